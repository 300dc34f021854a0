/**
 * Refusals: what a guest reads when the door lets something not through. Many programs show no more of a proxy's answer than its first line, so the
 * reason stands there too, shortened; the body says it in full, with what a person could do about it.
 *   DRN-5.1  A refusal is plain text that names the destination, why, and the next step; a tunnel is refused before it stands.
 *   DRN-5.2  A credential is asked for with 407; what policy, an address or a bound forbids is 403.
 */
import type { ServerResponse } from "node:http";
import type { Duplex } from "node:stream";
import { errnos, type SysError } from "../../abi/errno.ts";
import type { Refusal } from "./destinations.ts";

export interface Told {
  readonly status: number;
  readonly reason: string;
  readonly text: string;
}

export const noCredential: Told = {
  status: 407,
  reason: "Proxy Authentication Required",
  text: "daimon refused: the request does not carry this process's own credential; take the address of the proxy from HTTP_PROXY as it is\n",
};

/** `what`: the method and destination, as the guest asked for it. */
export function told({ error, entry }: Refusal, what: string): Told {
  const permit = entry === null ? "" : `Who runs daimon can permit it: add ${entry} to policy.allow.\n`;
  return {
    status: statusOf(error),
    reason: `daimon: ${error.message.split(";", 1)[0]}`.replace(/[^\x20-\x7e]/g, "?").slice(0, reasonCharsMax),
    text: `daimon refused ${what}: ${error.message}\n${permit}`,
  };
}

const reasonCharsMax = 200;

function statusOf({ errno }: SysError): number {
  if (errno === "EDQUOT") return 403;
  if (errno === "ENOENT") return 502;
  return errno === "ECANCELED" ? 503 : errnos[errno].http;
}

/** Ends the connection, on which nothing can follow. */
export function tellRaw(socket: Duplex, { status, reason, text }: Told): void {
  const head = [
    `HTTP/1.1 ${status} ${reason}`,
    ...(status === 407 ? [challenge.join(": ")] : []),
    "content-type: text/plain; charset=utf-8",
    `content-length: ${Buffer.byteLength(text)}`,
    "connection: close",
  ];
  if (!socket.writable) return void socket.destroy();
  // It lies with the reader when it is written: the socket is one of this machine, so that closing it takes nothing back.
  socket.end(`${head.join("\r\n")}\r\n\r\n${text}`, () => socket.destroy());
}

const challenge = ["proxy-authenticate", 'Basic realm="daimon"'] as const;

export function tell(response: ServerResponse, { status, reason, text }: Told): void {
  if (response.headersSent || response.destroyed) return void response.destroy();
  const [name, value] = challenge;
  if (status === 407) response.setHeader(name, value);
  response.writeHead(status, reason, {
    "content-type": "text/plain; charset=utf-8",
    "content-length": Buffer.byteLength(text),
    // What is left of a body is not read to its end for the sake of the next request.
    connection: "close",
  });
  response.end(text);
}
