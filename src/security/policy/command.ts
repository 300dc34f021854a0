/** Command: what policy may know of a shell command without running a shell. (The kernel's view of it; the full rules are being written.) */

/** One plain command: no operator, substitution, redirection or newline outside quotes. */
export function isSimpleCommand(command: string): boolean {
  return /^[\w@%+=:,./ -]+$/.test(command);
}

/** Every sub-command a shell might run, trimmed; over-approximates. */
export function subCommands(command: string): readonly string[] {
  return command
    .split(/[;&|\n`()]+/)
    .map((part) => part.trim())
    .filter((part) => part !== "");
}
