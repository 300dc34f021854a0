/**
 * Help: the texts of `--help` and `daimon help`, from the commands' own tables.
 *   TTY-9.1  A command's help names its usage, every positional and every option with its value, and nothing that does not exist.
 *   TTY-9.2  No line is wider than the terminal.
 */
import { sharedOptions, usageOf, type Command, type OptionSpec, type OptionTable } from "./args.ts";
import type { Palette } from "./screen.ts";
import { widthOf, wrap } from "./width.ts";

export function commandHelp(command: Command<never>, width: number | null, colours: Palette): string {
  const columns = width ?? 100;
  const positionals = command.positionals.map(({ name, summary }) => [name.toUpperCase(), summary] as const);
  const parts = [wrap(`usage: ${usageOf(command)}`, columns).join("\n"), wrap(command.summary, columns).join("\n")];
  if (command.details !== undefined)
    parts.push(
      command.details
        .split("\n")
        .flatMap((line) => wrap(line, columns))
        .join("\n"),
    );
  if (positionals.length > 0) parts.push(section("arguments", positionals, columns, colours));
  if (Object.keys(command.options).length > 0) parts.push(section("options", optionLines(command.options), columns, colours));
  parts.push(section("every command", optionLines(sharedOptions), columns, colours));
  return `${parts.join("\n\n")}\n`;
}

/** The list of commands; `groups` keeps their order. */
export function commandList(
  groups: readonly {
    readonly title: string;
    readonly commands: readonly { readonly name: string; readonly summary: string }[];
  }[],
  width: number | null,
  colours: Palette,
): string {
  const columns = width ?? 100;
  const parts = groups.map(({ title, commands }) =>
    section(
      title,
      commands.map(({ name, summary }) => [name, summary] as const),
      columns,
      colours,
    ),
  );
  return `usage: daimon COMMAND [OPTIONS]\n\n${parts.join("\n\n")}\n`;
}

/** `--cwd DIR`: how an option stands in help. */
export function optionLabel(name: string, spec: OptionSpec): string {
  const value = spec.type === "flag" ? "" : ` ${valueName(spec)}`;
  return `${spec.short === undefined ? "" : `-${spec.short}, `}--${name}${value}`;
}

function valueName(spec: OptionSpec): string {
  if (spec.type === "text") return spec.value;
  if (spec.type === "choice") return spec.choices.join("|");
  return { number: "N", count: "N", duration: "TIME", bytes: "SIZE", usd: "USD", flag: "" }[spec.type];
}

function optionLines(options: OptionTable): readonly (readonly [string, string])[] {
  return Object.entries(options).map(([name, spec]) => [optionLabel(name, spec), spec.summary]);
}

function section(title: string, lines: readonly (readonly [string, string])[], columns: number, colours: Palette): string {
  const left = Math.min(Math.max(...lines.map(([label]) => widthOf(label))), Math.max(12, Math.floor(columns / 2)));
  const body = lines.flatMap(([label, summary]) => {
    const parts = wrap(summary, Math.max(10, columns - left - 4));
    const head = widthOf(label) > left ? [`  ${colours.paint("name", label)}`] : [];
    const first = head.length > 0 ? " ".repeat(left) : `${colours.paint("name", label)}${" ".repeat(left - widthOf(label))}`;
    return [...head, ...parts.map((part, index) => `  ${index === 0 ? first : " ".repeat(left)}  ${part}`)];
  });
  return [colours.paint("strong", `${title}:`), ...body].join("\n");
}
