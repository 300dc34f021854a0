/**
 * Completion: scripts for bash, zsh and fish, from the command table, so they never offer what does not exist.
 *   TTY-10.1  Commands, options and choices are offered where they can stand, words, files and folders at the place where the table says so.
 *   TTY-10.2  Summaries are quoted for each shell: no summary can end its quotes or start a command.
 *   TTY-10.3  Each script passes its own shell's syntax check.
 */
import { sharedOptions, type Command, type Completes, type OptionSpec, type Positional } from "./args.ts";

export const shells = ["bash", "zsh", "fish"] as const;
export type Shell = (typeof shells)[number];

export function completion(shell: Shell, commands: readonly Command<never>[]): string {
  switch (shell) {
    case "bash":
      return bash(commands);
    case "zsh":
      return zsh(commands);
    case "fish":
      return fish(commands);
  }
}

function bash(commands: readonly Command<never>[]): string {
  const cases = commands.map((command) => {
    const options = optionsOf(command);
    const values = options.flatMap(([name, spec]) => {
      if (spec.type === "flag") return [];
      const pattern = spec.short === undefined ? `--${name}` : `--${name}|-${spec.short}`;
      return [`        ${pattern}) ${bashOffer(spec)}; return ;;`];
    });
    const words = options.map(([name]) => `--${name}`).join(" ");
    return `    ${command.name})
      case "$prev" in
${values.join("\n")}
      esac
      if [[ $cur == -* ]]; then COMPREPLY=($(compgen -W ${quote(words)} -- "$cur")); return; fi
${bashPlaces(command, commands)} ;;`;
  });
  return `# bash completion for daimon; source it, or put it into ~/.local/share/bash-completion/completions/daimon
_daimon() {
  local cur="\${COMP_WORDS[COMP_CWORD]}" prev="\${COMP_WORDS[COMP_CWORD-1]}"
  COMPREPLY=()
  if ((COMP_CWORD == 1)); then COMPREPLY=($(compgen -W ${quote(commands.map(({ name }) => name).join(" "))} -- "$cur")); return; fi
  case "\${COMP_WORDS[1]}" in
${cases.join("\n")}
  esac
}
complete -F _daimon daimon
`;
}

/** What was written before the cursor, without options and their values, says which place this is. */
function bashPlaces(command: Command<never>, commands: readonly Command<never>[]): string {
  const { positionals } = command;
  const valued = optionsOf(command).flatMap(([name, spec]) =>
    spec.type === "flag" ? [] : [`--${name}`, ...(spec.short === undefined ? [] : [`-${spec.short}`])],
  );
  const cases = positionals.map((positional, index) => {
    const pattern = positional.many === true ? "*" : String(index);
    return `        ${pattern}) ${bashPositional(positional, commands)} ;;`;
  });
  return `      local place=0 skip= word
      for word in "\${COMP_WORDS[@]:2:COMP_CWORD-2}"; do
        if [[ $skip ]]; then skip=; continue; fi
        case "$word" in ${valued.join("|")}) skip=1 ;; -*) ;; *) place=$((place + 1)) ;; esac
      done
      case "$place" in
${cases.join("\n")}
      esac`;
}

function bashOffer(spec: OptionSpec): string {
  if (spec.type === "choice") return `COMPREPLY=($(compgen -W ${quote(spec.choices.join(" "))} -- "$cur"))`;
  return bashKind(spec.type === "text" ? spec.complete : undefined, []);
}

function bashPositional({ words, complete }: Positional, commands: readonly Command<never>[]): string {
  if (words === undefined) return bashKind(complete, commands);
  return `COMPREPLY=($(compgen -W ${quote(words.join(" "))} -- "$cur"))`;
}

function bashKind(kind: Completes | undefined, commands: readonly Command<never>[]): string {
  if (kind === "file") return `COMPREPLY=($(compgen -f -- "$cur"))`;
  if (kind === "folder") return `COMPREPLY=($(compgen -d -- "$cur"))`;
  if (kind === "command") return `COMPREPLY=($(compgen -W ${quote(commands.map(({ name }) => name).join(" "))} -- "$cur"))`;
  return "COMPREPLY=()";
}

function zsh(commands: readonly Command<never>[]): string {
  const list = commands.map(({ name, summary }) => `    ${quote(`${name}:${summary.replaceAll(":", "\\:")}`)}`);
  const cases = commands.map((command) => {
    const options = optionsOf(command).map(([name, spec]) => `        ${quote(`${zshOption(name, spec)}${zshValue(spec)}`)}`);
    const places = command.positionals.map(({ name, many, complete, words }, index) => {
      const action = words === undefined ? zshAction(complete, commands) : `(${words.join(" ")})`;
      return `        ${quote(`${many === true ? "*" : index + 1}:${name.replaceAll(":", " ")}:${action}`)}`;
    });
    return `      ${command.name}) _arguments \\\n${[...options, ...places].join(" \\\n")} ;;`;
  });
  return `#compdef daimon
# zsh completion for daimon; put it into a folder of $fpath as _daimon
_daimon() {
  local -a commands
  commands=(
${list.join("\n")}
  )
  if ((CURRENT == 2)); then _describe 'command' commands; return; fi
  local command="$words[2]"
  shift words
  ((CURRENT--))
  case "$command" in
${cases.join("\n")}
  esac
}
if [[ $zsh_eval_context[-1] == loadautofunc ]]; then _daimon "$@"; else compdef _daimon daimon; fi
`;
}

function zshOption(name: string, spec: OptionSpec): string {
  const many = spec.type === "text" && spec.many === true ? "*" : "";
  return `${many}--${name}[${spec.summary.replaceAll(/[[\]:\\]/g, (character) => `\\${character}`)}]`;
}

function zshValue(spec: OptionSpec): string {
  if (spec.type === "flag") return "";
  if (spec.type === "choice") return `:value:(${spec.choices.join(" ")})`;
  return `:value:${zshAction(spec.type === "text" ? spec.complete : undefined, [])}`;
}

function zshAction(kind: Completes | undefined, commands: readonly Command<never>[]): string {
  if (kind === "file") return "_files";
  if (kind === "folder") return "_files -/";
  return kind === "command" ? `(${commands.map(({ name }) => name).join(" ")})` : " ";
}

function fish(commands: readonly Command<never>[]): string {
  const lines = ["# fish completion for daimon; put it into ~/.config/fish/completions/daimon.fish", "complete -c daimon -f"];
  for (const command of commands) {
    lines.push(`complete -c daimon -n __fish_use_subcommand -a ${command.name} -d ${fishQuote(command.summary)}`);
    const seen = fishQuote(`__fish_seen_subcommand_from ${command.name}`);
    for (const [name, spec] of optionsOf(command)) {
      const short = spec.short === undefined ? "" : ` -s ${spec.short}`;
      lines.push(`complete -c daimon -n ${seen} -l ${name}${short}${fishValue(spec)} -d ${fishQuote(spec.summary)}`);
    }
    for (const { words = [] } of command.positionals) {
      if (words.length === 0) continue;
      // Until one of them is written: fish itself counts no places.
      const open = fishQuote(
        `__fish_seen_subcommand_from ${command.name}; and not __fish_seen_subcommand_from ${words.join(" ")}`,
      );
      lines.push(`complete -c daimon -n ${open} -a ${fishQuote(words.join(" "))}`);
    }
    const kind = command.positionals.map(({ complete }) => complete).find((one) => one !== undefined);
    const offer = fishAction(kind, commands);
    if (offer !== "") lines.push(`complete -c daimon -n ${seen}${offer}`);
  }
  return `${lines.join("\n")}\n`;
}

function fishValue(spec: OptionSpec): string {
  if (spec.type === "flag") return "";
  if (spec.type === "choice") return ` -x -a ${fishQuote(spec.choices.join(" "))}`;
  return spec.type === "text" && spec.complete !== undefined ? ` -r${fishAction(spec.complete, [])}` : " -x";
}

function fishAction(kind: Completes | undefined, commands: readonly Command<never>[]): string {
  if (kind === "file") return " -F";
  if (kind === "folder") return ` -a ${fishQuote("(__fish_complete_directories)")}`;
  return kind === "command" ? ` -a ${fishQuote(commands.map(({ name }) => name).join(" "))}` : "";
}

function optionsOf(command: Command<never>): readonly (readonly [string, OptionSpec])[] {
  return Object.entries({ ...command.options, ...sharedOptions });
}

/** For bash and zsh: inside single quotes nothing is special but the quote itself. */
function quote(text: string): string {
  return `'${text.replaceAll("'", `'\\''`)}'`;
}

/** fish also reads a backslash inside single quotes. */
function fishQuote(text: string): string {
  return `'${text.replaceAll(/[\\']/g, (character) => `\\${character}`)}'`;
}
