/**
 * All guests, and which of them a command is.
 *   GUE-2.1  A command is the guest whose program it names; any other is a program like any.
 *   GUE-3.1  Each of them, unmodified, makes a turn with a real call: it is decided on and journaled, and what it changed lies in its session.
 *   GUE-3.2  Each of them is refused a call before it hears of it, and goes on.
 *   GUE-3.4  Each of them that speaks MCP calls tools of the configured servers through all three doors: such a call is made once, a person is asked about it
 *            once, and one that is refused is not made.
 *   GUE-3.5  Claude Code, Codex and opencode are told of their doors where no setting of the workspace counts more; the other two take no such settings.
 *   GUE-3.6  Claude Code, Codex and Gemini CLI tell of each call before they make it, by a hook that refuses what no model proposed at the model door.
 *   GUE-3.3  Each of them ends when its process was ended.
 */
import { claude } from "./claude.ts";
import { codex } from "./codex.ts";
import { gemini } from "./gemini.ts";
import type { Guest } from "./guest.ts";
import { opencode } from "./opencode.ts";
import { pi } from "./pi.ts";
import { program } from "./program.ts";

export const guests: readonly Guest[] = [claude, codex, opencode, gemini, pi, program];

/** `command` is the first word of what is run: a name, or a path that ends in one. */
export function guestOf(command: string): Guest {
  const base = command.split("/").at(-1) ?? "";
  return guests.find(({ programs }) => programs.includes(base)) ?? program;
}
