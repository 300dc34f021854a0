/**
 * Approval: a person decides about one call, and sees exactly what would happen.
 * The kernel's words stand at the margin; every row of a word that is not the kernel's begins with a bar.
 *   TTY-11.1  Each row of a value begins with `│ `, or with `┆ ` where a long line goes on: no text can look like the kernel's own.
 *   TTY-11.2  Values are shown whole, page by page where they are long; yes counts only after the last page.
 *   TTY-11.3  Values are neutralised; one that acts on the world and holds more than ASCII also stands in escaped form.
 *   TTY-11.4  What was typed before the question was shown does not answer it; only `y` or `yes` allows, and an empty answer asks again.
 *   TTY-11.10  Of each deciding rule it is told whether it asks or permits.
 *   TTY-11.9  Of a commit the changes themselves stand before the question; where they cannot be read it can be refused and not allowed.
 *   TTY-11.5  An irreversible or external call is allowed by typing the first six digits of its digest, not by a reflex.
 *   TTY-11.6  Without a terminal nothing is asked and nothing is allowed: EAGAIN, with the command that answers.
 *   TTY-11.7  A closed input leaves the call parked.
 */
import type { Review } from "../../files/review.ts";
import { ok, type Result } from "../../lib/result.ts";
import type { Digest } from "../../lib/hash.ts";
import { fail, type SysError } from "../../abi/errno.ts";
import type { ArgRole, EffectClass } from "../../abi/call.ts";
import { neutraliseLine } from "./neutralise.ts";
import { escapedRows, quoted } from "./quote.ts";
import { renderReview } from "./review.ts";
import { columnsOf, type Palette, type Screen } from "./screen.ts";
import { wrap } from "./width.ts";

export interface ApprovalRequest {
  /** The call's id, `PID.STEP.N`. */
  readonly id: string;
  readonly pid: number;
  readonly program: string;
  readonly call: string;
  readonly effect: EffectClass;
  readonly reversible: boolean;
  readonly args: readonly { readonly name: string; readonly role: ArgRole; readonly value: string }[];
  /** Where the values come from, in the kernel's words. */
  readonly source: string;
  /** Texts by others that the process has read, by their names. */
  readonly untrusted: readonly string[];
  /** What a commit would do, and the command that shows all of it; null for any other call. */
  readonly changes: { readonly review: Result<Review, SysError>; readonly more: string } | null;
  /** The rules that decided, each `FILE:LINE text`; a call may be permitted by one and asked about by another. */
  readonly rules: readonly { readonly does: "asks" | "permits" | "forbids"; readonly line: string }[];
  /** What the agent says about it; null when it says nothing. */
  readonly words: string | null;
  /** SHA-256 over call, arguments and plan: what is allowed is this and nothing else. */
  readonly digest: Digest;
}

export type Answer = "allow" | "deny" | "later";

/** A person at a keyboard. */
export interface Keyboard {
  readonly isTTY: boolean;
  /** Throw away what was typed so far, also what the terminal holds already. */
  drain(): Promise<void>;
  /** One line without its end; null when the input is closed. */
  readLine(): Promise<string | null>;
}

export async function askApproval(
  request: ApprovalRequest,
  screen: Screen,
  keyboard: Keyboard,
  colours: Palette,
): Promise<Result<Answer, SysError>> {
  if (screen.isTTY !== true || !keyboard.isTTY) {
    return fail(
      "EAGAIN",
      `call ${request.id} needs a person's answer and there is no terminal; run \`daimon approve ${request.pid}\` in one`,
    );
  }
  const lines = renderApproval(request, columnsOf(screen) ?? 80, colours);
  const pageRows = Math.max(5, (screen.rows ?? 24) - 2);
  const pages = Math.ceil(lines.length / pageRows);
  for (let page = 0; page < pages; page++) {
    screen.write(`${lines.slice(page * pageRows, (page + 1) * pageRows).join("\n")}\n`);
    if (page === pages - 1) break;
    await keyboard.drain();
    screen.write(`page ${page + 1} of ${pages} · Enter shows the next · n denies · l leaves it parked: `);
    const answer = await keyboard.readLine();
    if (answer === null || isWord(answer, "l", "later")) return ok("later");
    if (isWord(answer, "n", "no")) return ok("deny");
  }
  return decide(request, screen, keyboard);
}

/** The whole question as rows of at most `width` columns. */
export function renderApproval(request: ApprovalRequest, width: number, colours: Palette): readonly string[] {
  const kernel = (text: string): readonly string[] => wrap(neutraliseLine(text), width);
  const finality = request.reversible ? "it can be undone" : "it cannot be undone";
  const rows = [
    ...kernel(`Process ${request.pid} (${request.program}) wants ${request.call}: ${effects[request.effect]}; ${finality}.`).map(
      (row) => colours.paint("strong", row),
    ),
    ...request.rules.flatMap(({ does, line }) => [deciders[does], ...quoted(line, width)]),
  ];
  for (const { name, role, value } of request.args) {
    const size = value.includes("\n") ? `, ${value.split("\n").length} lines` : "";
    rows.push(...argumentRows(name, `${role}${size}`, width), ...quoted(value, width));
    const escaped = role === "content" || role === "option" ? [] : escapedRows(value, width);
    if (escaped.length > 0) rows.push("escaped:", ...escaped);
  }
  const named = request.untrusted.slice(0, untrustedMax);
  const others = request.untrusted.length - named.length;
  rows.push(...kernel(request.source), ...named.flatMap((name) => quoted(neutraliseLine(name), width)));
  if (others > 0) rows.push(...kernel(`and ${others} more`));
  if (request.changes !== null) rows.push(...changeRows(request.changes, width, colours));
  if (request.words !== null) rows.push(...kernel("the agent says:"), ...quoted(request.words, width));
  return [...rows, ...kernel(`call ${request.id}, digest ${request.digest}`)];
}

const deciders = { asks: "asked by", permits: "permitted by", forbids: "forbidden by" } as const;

const untrustedMax = 10;

/** A name that could be more than a name is a value itself. */
function argumentRows(name: string, about: string, width: number): readonly string[] {
  if (/^[\w.-]{1,64}$/.test(name)) return wrap(`${name} (${about}):`, width);
  return [...wrap(`an argument (${about}) of this name:`, width), ...quoted(neutraliseLine(name), width), "is:"];
}

function changeRows(
  { review, more }: NonNullable<ApprovalRequest["changes"]>,
  width: number,
  colours: Palette,
): readonly string[] {
  if (review.ok) return ["what it would do:", ...renderReview(review.value, more, width, colours)];
  return wrap(neutraliseLine(`what it would do cannot be shown: ${review.error.message}`), width).map((row) =>
    colours.paint("bad", row),
  );
}

async function decide(request: ApprovalRequest, screen: Screen, keyboard: Keyboard): Promise<Result<Answer, SysError>> {
  const final = request.effect === "irreversible" || request.effect === "external";
  const unseen = request.changes?.review.ok === false;
  const code = request.digest.slice(0, 6);
  await keyboard.drain();
  for (;;) {
    if (unseen) screen.write("n to deny, l to leave it parked: ");
    else
      screen.write(final ? `Type ${code} to allow, n to deny, l to leave it parked: ` : "Allow? y, n, or l to leave it parked: ");
    const answer = await keyboard.readLine();
    if (answer === null || isWord(answer, "l", "later")) return ok("later");
    if (isWord(answer, "n", "no")) return ok("deny");
    if (unseen) continue;
    if (final ? answer.trim().toLowerCase() === code : isWord(answer, "y", "yes")) return ok("allow");
  }
}

const effects: Readonly<Record<EffectClass, string>> = {
  pure: "it computes",
  read: "it reads",
  write: "it writes in its own session",
  external: "it has an effect outside the process's own session",
  irreversible: "it has a final effect",
};

function isWord(answer: string, ...words: readonly string[]): boolean {
  return words.includes(answer.trim().toLowerCase());
}
