/**
 * Tunnel: bytes between a guest and the host that it was allowed, once the guest has shown that it speaks TLS to that host and to no other.
 * What is said inside is between the two of them: the door sees the name in the first message and how much passes.
 *   DRN-6.4  Each side's end is told to the other when all before it has arrived; when one side breaks, both are closed.
 *   DRN-6.5  HTTP inside a tunnel is no secret, and is taken as plain requests to the tunnel's host: each is decided on by its method and refused in words.
 *            A tunnel to port 80 is for nothing else, and stands before anything is decided.
 */
import type { Duplex } from "node:stream";
import { openingOf, type OpeningOptions } from "./opening.ts";
import type { SysError } from "../../abi/errno.ts";
import { carry, gauge, watchSilence, type Traffic } from "./traffic.ts";

export interface TunnelOptions extends OpeningOptions {
  readonly outside: Duplex;
  readonly traffic: Traffic;
  /** The door cut it off. */
  readonly refused: (error: SysError) => void;
}

/** Resolves when both sides are closed, with null; or with what the guest said, where that is HTTP and the guest is still there. */
export async function tunnel(options: TunnelOptions): Promise<Buffer | null> {
  const { guest, outside, refused } = options;
  const early = (): void => void guest.destroy();
  outside.on("error", early).once("close", early);
  guest.on("error", () => outside.destroy());
  const opening = await openingOf(options);
  outside.off("close", early);
  if (opening.kind === "tls") return await between(options, opening.bytes);
  outside.off("error", early).on("error", () => undefined);
  outside.destroy();
  if (opening.kind === "http") return opening.bytes;
  if (opening.kind === "refused") {
    refused(opening.error);
    guest.end(opening.answer, () => guest.destroy());
  }
  return null;
}

async function between({ guest, outside, clock, bounds, traffic, refused }: TunnelOptions, hello: Buffer): Promise<null> {
  const closed = Promise.all([guest, outside].map((side) => new Promise<void>((resolve) => side.once("close", () => resolve()))));
  const cut = (): void => {
    guest.destroy();
    outside.destroy();
  };
  const silence = watchSilence(clock, bounds.idleTimeoutMs, cut);
  const passes = gauge(traffic, silence.heard, (error) => {
    refused(error);
    cut();
  });
  guest.once("close", () => outside.destroy());
  outside.once("close", () => guest.end());
  for (const side of [guest, outside]) side.once("close", () => silence.stop());
  if (guest.destroyed || outside.destroyed) cut();
  else if (passes("up")(hello.length)) {
    outside.write(hello);
    carry(guest, outside, passes("up"));
    carry(outside, guest, passes("down"));
    guest.resume();
  }
  await closed;
  return null;
}
