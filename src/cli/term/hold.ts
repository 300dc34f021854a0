/**
 * Hold: the terminal while a foreign program has it.
 *   TTY-16.1  When the program is gone, the terminal's modes are as before, and where it was killed its screen is left, too.
 *   TTY-16.2  Until then keys that interrupt are the program's; we go on whatever is typed.
 */
import { spawnSync } from "node:child_process";
import { writeSync } from "node:fs";
import { isatty } from "node:tty";
import type { Host } from "./progress.ts";

/** Returns what gives the terminal back; `killed` says that the program had no time to tidy up. */
export function holdTerminal(host: Host): (killed: boolean) => void {
  const ignore = (): void => {};
  const keys = ["SIGINT", "SIGQUIT"] as const;
  for (const key of keys) host.on(key, ignore);
  const modes = isatty(0) ? stty(["-g"]) : null;
  return (killed) => {
    if (modes !== null) stty([modes]);
    if (modes !== null && killed && isatty(1)) writeSync(1, plainScreen);
    for (const key of keys) host.off(key, ignore);
  };
}

/**
 * The second screen left, mouse reports, focus reports and bracketed paste off, the cursor shown, keys and colours as usual. All are without effect
 * where nothing had turned them on.
 */
const plainScreen =
  "\u001b[?1047l\u001b[?1000l\u001b[?1002l\u001b[?1003l\u001b[?1006l\u001b[?1004l\u001b[?2004l\u001b[?25h\u001b[?1l\u001b>\u001b[0m";

/** Without SIGTTOU, which stops whoever sets a terminal that a killed program had taken for itself. null where there is no answer. */
function stty(words: readonly string[]): string | null {
  const ran = spawnSync("/usr/bin/env", ["--ignore-signal=TTOU", "stty", ...words], {
    stdio: ["inherit", "pipe", "ignore"],
    encoding: "utf8",
  });
  return ran.status === 0 ? ran.stdout.trim() : null;
}
