/**
 * Net door: a forward proxy for one guest, through which it reaches those hosts that policy permits, and no others. It takes tunnels (CONNECT) and plain
 * requests with an address in full; where they may go is decided by the call `net.connect` (destinations.ts).
 *   DRN-8.1  Without this guest's own credential nothing is decided and nothing leaves; another guest's, a wrong one and none look the same.
 *   DRN-8.2  Before anything else is looked at the request is read strictly (targets.ts); what can be read in two ways goes nowhere.
 *   DRN-8.3  A guest has so many connections, and so long to say what it wants.
 *   DRN-8.4  A request that is not understood costs one answer: the door and every other connection go on.
 *   DRN-8.5  Closing ends every connection, in both directions, and what was about to be opened.
 */
import { timingSafeEqual } from "node:crypto";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { Duplex } from "node:stream";
import type { Clock } from "../../abi/clock.ts";
import { fail, sysError, type SysError } from "../../abi/errno.ts";
import type { Outside } from "../../abi/outside.ts";
import { sha256 } from "../../lib/hash.ts";
import { err, ok, type Result } from "../../lib/result.ts";
import { valuesOf } from "../heads.ts";
import { bounds as usual, type Bounds } from "./bounds.ts";
import { Destinations, type Guest, type Refusal } from "./destinations.ts";
import { plain, type Credential } from "./plain.ts";
import { noCredential, tell, tellRaw, told, type Told } from "./refusals.ts";
import { insideOf, plainOf, tunnelOf, type Destination, type PlainTarget } from "./targets.ts";
import { Traffic } from "./traffic.ts";
import { tunnel } from "./tunnel.ts";

export interface NetDoorOptions {
  readonly guest: Guest;
  readonly credential: string;
  readonly clock: Clock;
  readonly bounds?: Partial<Bounds>;
  readonly outside: Outside;
  /** What this host is to get; null: nothing. An error: it should get something that is not there. */
  credentialFor(host: string): Result<Credential | null, SysError>;
  /** A fault of our own. */
  broke(error: unknown): void;
}

export interface NetDoor {
  readonly server: Server;
  close(): Promise<void>;
}

export function netDoor(options: NetDoorOptions): NetDoor {
  const bounds = { ...usual, ...options.bounds };
  const desk = new Desk(options, bounds, (socket) => server.emit("connection", socket));
  const open = new Set<Duplex>();
  const server: Server = createServer(
    {
      maxHeaderSize: bounds.headerBytesMax,
      headersTimeout: bounds.headersTimeoutMs,
      connectionsCheckingInterval: Math.ceil(bounds.headersTimeoutMs / 4),
      requestTimeout: 0,
      keepAliveTimeout: bounds.headersTimeoutMs,
      requireHostHeader: false,
    },
    (request, response) => {
      response.on("error", () => undefined);
      desk.plain(request, response, open.size > bounds.connectionsMax).catch((error: unknown) => {
        options.broke(error);
        response.destroy();
      });
    },
  );
  server.on("connect", (request, socket, head) => {
    socket.on("error", () => socket.destroy());
    desk.tunnel(request, socket, head, open.size > bounds.connectionsMax).catch((error: unknown) => {
      options.broke(error);
      socket.destroy();
    });
  });
  // Each that is beyond the bound is told so; of those that wait to be told there are as many at most.
  server.maxConnections = bounds.connectionsMax * 2;
  server.on("connection", (socket) => {
    open.add(socket);
    socket.once("close", () => open.delete(socket));
  });
  server.on("clientError", (error: NodeJS.ErrnoException, socket) => tellRaw(socket, unreadable(error.code ?? "")));
  return {
    server,
    close: () =>
      new Promise((resolve) => {
        desk.leave();
        server.close(() => resolve());
        for (const socket of open) socket.destroy();
      }),
  };
}

function unreadable(code: string): Told {
  const [status, reason, why] =
    code === "HPE_HEADER_OVERFLOW"
      ? ([431, "Request Header Fields Too Large", "its headers are too long"] as const)
      : code === "ERR_HTTP_REQUEST_TIMEOUT"
        ? ([408, "Request Timeout", "it was not complete in time"] as const)
        : ([400, "Bad Request", "it is not HTTP that can be read in one way"] as const);
  return { status, reason, text: `daimon refused the request: ${why}\n` };
}

const established = "HTTP/1.1 200 Connection established\r\n\r\n";

class Desk {
  readonly #options: NetDoorOptions;
  readonly #bounds: Bounds;
  readonly #traffic: Traffic;
  readonly #destinations: Destinations;
  readonly #digest: Buffer;
  readonly #leaving = new AbortController();
  /** Tunnels in which the guest speaks HTTP, and where they lead. */
  readonly #inside = new WeakMap<Duplex, Destination>();
  readonly #readOn: (guest: Duplex) => void;

  /** `readOn` takes a connection for one that has just come. */
  constructor(options: NetDoorOptions, bounds: Bounds, readOn: (guest: Duplex) => void) {
    this.#options = options;
    this.#bounds = bounds;
    this.#readOn = readOn;
    this.#traffic = new Traffic(bounds);
    this.#digest = Buffer.from(sha256(options.credential));
    this.#destinations = new Destinations({
      guest: options.guest,
      clock: options.clock,
      bounds,
      locate: options.outside.locate,
    });
  }

  leave(): void {
    this.#leaving.abort();
  }

  async tunnel(request: IncomingMessage, guest: Duplex, head: Buffer, crowded: boolean): Promise<void> {
    if (!this.#inside.has(guest) && !this.#mayEnter(request)) return tellRaw(guest, noCredential);
    const place = this.#inside.has(guest) ? fail("EINVAL", "a tunnel leads out of no other; open it beside") : tunnelOf(request);
    const what = `a tunnel to ${shown(request.url)}`;
    if (!place.ok) return tellRaw(guest, told({ error: place.error, entry: null }, what));
    if (place.value.port === 80) {
      guest.write(established);
      return this.#readInside(place.value, guest, head);
    }
    const outside = crowded ? this.#crowded() : await this.#connected(place.value, false, guest);
    if (!outside.ok) return tellRaw(guest, told(outside.error, what));
    if (guest.destroyed) return void outside.value.destroy();
    guest.write(established);
    const { clock } = this.#options;
    const [bounds, traffic] = [this.#bounds, this.#traffic];
    const refused = (error: SysError): void => void this.#destinations.refuse(place.value, error);
    const said = await tunnel({ place: place.value, guest, outside: outside.value, head, clock, bounds, traffic, refused });
    if (said !== null) this.#readInside(place.value, guest, said);
  }

  #readInside(place: Destination, guest: Duplex, said: Buffer): void {
    this.#inside.set(guest, place);
    if (said.length > 0) guest.unshift(said);
    this.#readOn(guest);
    guest.resume();
  }

  async plain(request: IncomingMessage, response: ServerResponse, crowded: boolean): Promise<void> {
    const around = this.#inside.get(request.socket);
    if (around === undefined && !this.#mayEnter(request)) return tell(response, noCredential);
    const { method = "", rawHeaders } = request;
    const url = around === undefined ? (request.url ?? "") : insideOf(request, around);
    const read = plainOf({ method, url, rawHeaders });
    const what = `${method} ${shown(url)}`;
    if (!read.ok) return tell(response, told({ error: read.error, entry: null }, what));
    const credential = this.#options.credentialFor(read.value.url.hostname);
    if (!credential.ok) return tell(response, told({ error: credential.error, entry: null }, what));
    const place = credential.value === null ? read.value : overTls(read.value);
    const large = this.#tooLarge(place);
    if (large !== null) return tell(response, told(large, what));
    const outside = crowded ? this.#crowded() : await this.#connected(place, credential.value !== null, response);
    if (!outside.ok) return tell(response, told(outside.error, what));
    const { clock } = this.#options;
    const [bounds, traffic] = [this.#bounds, this.#traffic];
    const refused = (error: SysError): void => void this.#destinations.refuse(place, error);
    const rest = { request, response, outside: outside.value, clock, bounds, traffic, refused };
    const error = await plain({ place, credential: credential.value, ...rest });
    if (error !== null) tell(response, told({ error, entry: null }, what));
  }

  /** Over digests, which are of one length whatever was sent. */
  #mayEnter({ rawHeaders }: IncomingMessage): boolean {
    const [value = "", ...others] = valuesOf(rawHeaders, "proxy-authorization");
    const encoded = /^Basic +([A-Za-z0-9+/=]{1,1024})$/i.exec(value)?.[1] ?? "";
    const given = Buffer.from(encoded, "base64").toString("latin1");
    const password = given.slice(given.indexOf(":") + 1);
    const right = timingSafeEqual(Buffer.from(sha256(password)), this.#digest);
    return right && given.includes(":") && others.length === 0;
  }

  /** A connection to the place, if it may be reached; `guest` is who waits for it. */
  async #connected(place: Destination, secure: boolean, guest: Duplex | ServerResponse): Promise<Result<Duplex, Refusal>> {
    const spent = this.#traffic.spent();
    if (spent !== null) return this.#destinations.refuse(place, spent);
    const addresses = await this.#destinations.addresses(place);
    if (!addresses.ok) return addresses;
    const gone = new AbortController();
    const left = (): void => gone.abort();
    guest.once("close", left);
    if (guest.destroyed) left();
    const signal = AbortSignal.any([gone.signal, this.#leaving.signal]);
    const way = { host: place.url.hostname, port: place.port, addresses: addresses.value, secure };
    const socket = await this.#options.outside.connect(way, signal);
    guest.off("close", left);
    return socket.ok ? ok(socket.value) : err({ error: socket.error, entry: null });
  }

  #tooLarge({ bodyBytes }: PlainTarget): Refusal | null {
    const { upBytesMax } = this.#bounds;
    if (bodyBytes === null || bodyBytes <= upBytesMax) return null;
    const error = sysError(
      "E2BIG",
      `a request carries at most ${upBytesMax} bytes, and this one says ${bodyBytes}; send less at once`,
    );
    return { error, entry: null };
  }

  #crowded(): Result<never, Refusal> {
    const most = `a guest has at most ${this.#bounds.connectionsMax} connections at once; close one, or wait for one to end`;
    return err({ error: sysError("EAGAIN", most), entry: null });
  }
}

/** What has a credential goes where nobody on the way can read it. */
function overTls(target: PlainTarget): PlainTarget {
  const port = target.port === 80 ? 443 : target.port;
  return { ...target, url: new URL(`https://${target.url.hostname}:${port}`), port };
}

/** A guest's own words, in a text that it may show to a person. */
function shown(target: string | undefined): string {
  return (target ?? "").replace(/[^\x21-\x7e]/g, "?").slice(0, 200);
}
