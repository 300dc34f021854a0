/**
 * Confirm: a person's yes before something is changed.
 *   CLI-24.8  Only `y` or `yes` is a yes; where nobody can be asked it is EAGAIN and names --yes.
 */
import { fail, type SysError } from "../abi/errno.ts";
import { ok, type Result } from "../lib/result.ts";
import { isInteractive, type Io } from "./io.ts";
import { openKeyboard } from "./term/keyboard.ts";

/** `what` completes “WHAT needs a person's yes”. */
export async function confirm(question: string, what: string, io: Io): Promise<Result<boolean, SysError>> {
  if (!isInteractive(io)) return fail("EAGAIN", `${what} needs a person's yes and there is no terminal; add --yes`);
  const keyboard = openKeyboard(io.input);
  await keyboard.drain();
  io.err.write(question);
  const line = await keyboard.readLine();
  keyboard.close();
  return ok(/^y(?:es)?$/i.test(line?.trim() ?? ""));
}
