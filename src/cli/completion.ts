/** daimon completion: the script that teaches a shell daimon's commands. */
import { ok, type Result } from "../lib/result.ts";
import { fail, type SysError } from "../abi/errno.ts";
import { didYouMean } from "../boot/suggest.ts";
import { commands } from "./commands.ts";
import { printJson, type Io } from "./io.ts";
import { completion, shells } from "./term/completion.ts";

export function run(name: string, io: Io): Result<number, SysError> {
  const shell = shells.find((known) => known === name);
  if (shell === undefined) {
    const hint = didYouMean(name, shells) || `; name one of ${shells.join(", ")}`;
    return fail("EINVAL", `there is no completion for \`${name.slice(0, 64)}\`${hint}`);
  }
  const script = completion(shell, commands);
  if (io.json) printJson(io, { shell, script });
  else io.out.write(script);
  return ok(0);
}
