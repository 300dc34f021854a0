/** Commands: docs/reference/commands.md, from the command line's table. */
import { anchor, code, generated, tableOf } from "./markdown.ts";

/** What this page needs of a command; the command line's own type may hold more. */
interface Documented {
  readonly name: string;
  readonly summary: string;
  readonly usage?: string | readonly string[];
  readonly description?: string;
  readonly options?: unknown;
}

export function commandsPage(table: readonly unknown[]): string {
  const commands = table.filter(isDocumented).toSorted((a, b) => (a.name < b.name ? -1 : 1));
  const overview = commands.map(({ name, summary }) => [`[${code(`daimon ${name}`)}](#${anchor(`daimon ${name}`)})`, summary]);
  return `# Commands

${generated}

Every command takes \`--help\` and \`--json\`. Exit codes are those of [errors.md](errors.md).

${tableOf(["Command", "What it does"], overview)}

${commands.map(section).join("\n\n")}
`;
}

function section(command: Documented): string {
  const usage = [command.usage ?? `daimon ${command.name}`].flat().join("\n");
  const rows = optionRows(command.options);
  const parts = [`## daimon ${command.name}`, command.summary, `\`\`\`\n${usage}\n\`\`\``];
  if (command.description !== undefined) parts.push(command.description);
  if (rows.length > 0) parts.push(tableOf(["Option", "Meaning"], rows));
  return parts.join("\n\n");
}

/** Options are a list, or a record by name. */
function optionRows(options: unknown): readonly (readonly string[])[] {
  if (typeof options !== "object" || options === null) return [];
  const entries: [string, unknown][] = Array.isArray(options)
    ? options.map((option: unknown) => ["", option])
    : Object.entries(options);
  return entries.flatMap(([key, option]) => {
    if (typeof option === "string") return [[code(flag(key)), option]];
    if (typeof option !== "object" || option === null) return [];
    const fields = option as Record<string, unknown>;
    const [name, short, value] = [
      fields["flag"] ?? fields["name"] ?? key,
      fields["short"],
      fields["value"] ?? fields["argument"],
    ];
    if (typeof name !== "string" || name === "") return [];
    const long = `${flag(name)}${typeof value === "string" && value !== "" ? ` ${value}` : ""}`;
    const written = typeof short === "string" && short !== "" ? `-${short.replace(/^-+/, "")}, ${long}` : long;
    const meaning = fields["summary"] ?? fields["description"] ?? "";
    return [[code(written), typeof meaning === "string" ? meaning : ""]];
  });
}

function flag(name: string): string {
  return name.startsWith("-") ? name : `--${name}`;
}

function isDocumented(value: unknown): value is Documented {
  return typeof value === "object" && value !== null && "name" in value && "summary" in value && typeof value.name === "string";
}
