/**
 * All guests, and which of them a command is.
 *   GUE-2.1  A command is the guest whose program it names; any other is a program like any.
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
