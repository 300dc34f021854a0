/**
 * Gateway: the model door as an HTTP server. It speaks the four formats that agents speak, to any client that knows one of them.
 *   DOR-6.1  What is refused is refused in the words of the format that was spoken, and nothing of it was asked of anyone.
 *   DOR-6.5  One guest has so many requests under way, and all of them so many connections; what is beyond is told to try again, or waits.
 *   DOR-6.2  A request that is not understood costs one answer: the server and every other request go on.
 *   DOR-6.3  The credential of a guest ends with it.
 *   DOR-6.4  Closing ends every connection; a guest that was waiting reads that it may try again.
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { Clock } from "../../abi/clock.ts";
import { fail, sysError, type SysError } from "../../abi/errno.ts";
import { limits } from "../../abi/limits.ts";
import type { ModelDriver } from "../../abi/model.ts";
import type { Format, Upstream } from "../../abi/upstream.ts";
import type { Priced } from "../../kernel/admission.ts";
import type { GuestProcess } from "../../kernel/guest.ts";
import { isObject, parseJson, tooDeep } from "../../lib/json.ts";
import { ok, type Result } from "../../lib/result.ts";
import { askedReader, type Asked } from "../../wire/asked.ts";
import type { GuestFormat, Question } from "../../wire/guest-format.ts";
import { aside } from "./aside.ts";
import { readBody, type BodyPlace, type KeptBody } from "./body.ts";
import { Credentials, credentialOf, refusedByGuard } from "./guard.ts";
import { hook } from "./hook.ts";
import { pass } from "./passage.ts";
import { listerOf, routeOf, targetOf, type Route } from "./routes.ts";
import { openSockets } from "./sockets.ts";
import { refuse } from "./telling.ts";
import { through } from "./through.ts";
import { translated } from "./translated.ts";

/** Where a request of this format for this model goes: to a provider that speaks the format, or to a model of another one. */
export type Destination =
  { readonly model: Priced; readonly upstream: Upstream } | { readonly model: Priced; readonly driver: ModelDriver };

export interface ModelDoor {
  readonly clock: Clock;
  readonly place: BodyPlace;
  readonly formats: Readonly<Record<Format, GuestFormat>>;
  destination(format: Format, model: string): Promise<Result<Destination, SysError>>;
  /** The provider that is asked what costs nothing; null: there is none of this format. */
  upstream(format: Format): Promise<Upstream | null>;
  /** A fault of our own. */
  broke(error: unknown): void;
}

export interface ModelGateway {
  /** One for each place that it listens at. */
  readonly server: Server;
  /** From now on a request with this credential is the guest's; until the returned function is called. */
  admit(credential: string, guest: GuestProcess): () => void;
  close(): Promise<void>;
}

/** A guest at this door. */
interface Seat {
  readonly guest: GuestProcess;
  requests: number;
  underWay: number;
  lastAnswered: boolean;
}

export function modelGateway(door: ModelDoor): ModelGateway {
  const seats = new Credentials<Seat>();
  const server = createServer(
    {
      maxHeaderSize: 64 * 1024,
      headersTimeout: 30_000,
      requestTimeout: limits.modelTimeoutMs,
      keepAliveTimeout: 120_000,
      highWaterMark: 64 * 1024,
      requireHostHeader: false,
    },
    (request, response) => {
      answer(door, seats, request, response).catch((error: unknown) => {
        door.broke(error);
        response.destroy();
      });
    },
  );
  server.maxConnections = limits.guestConnectionsMax;
  server.on("clientError", (_error, socket) => {
    if (socket.writable) socket.end("HTTP/1.1 400 Bad Request\r\nconnection: close\r\ncontent-length: 0\r\n\r\n");
  });
  const sockets = openSockets(server, (credential) => seats.holder(credential) !== null);
  return {
    server,
    admit: (credential, guest) => seats.add(credential, { guest, requests: 0, underWay: 0, lastAnswered: false }),
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        sockets.close();
        server.closeAllConnections();
      }),
  };
}

async function answer(
  door: ModelDoor,
  seats: Credentials<Seat>,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  response.on("error", () => undefined);
  const refused = refusedByGuard(request.headers, request.rawHeaders);
  if (refused !== null)
    return bare(response, 403, `a request with this ${refused === "host" ? "Host" : "Origin"} has no business here`);
  const target = targetOf(request.url ?? "");
  if (target === null) return bare(response, 400, "the address cannot be read");
  const route = routeOf(request.method ?? "", target, listerOf(request.headers, target));
  if (route === null)
    return bare(
      response,
      404,
      `nothing is here; the model door knows /v1/messages, /v1/responses, /v1/chat/completions and Gemini's addresses`,
    );
  if (route.kind === "ping") return bare(response, 200, "");
  const seat = seats.holder(credentialOf(request.headers, target.key));
  if (route.kind === "hook")
    return seat === null ? bare(response, 403, "no guest has this credential") : await hook(seat.guest, request, response);
  const format = door.formats[route.format];
  if (seat === null) {
    const error = sysError("EACCES", "no guest has this credential; start the program with daimon exec");
    return refuse(response, format, error, false);
  }
  if (seat.underWay >= limits.guestRequestsMax) {
    const error = sysError("EAGAIN", `a guest has at most ${limits.guestRequestsMax} requests under way; wait for one to end`);
    return refuse(response, format, error, true);
  }
  seat.underWay += 1;
  try {
    if (route.kind === "generate") return await generate(door, seat, format, route, request, response);
    const model = async (): Promise<string | null> => {
      const other = await door.destination(route.format, "");
      return other.ok && "driver" in other.value ? other.value.model.model : null;
    };
    await aside(await door.upstream(route.format), model, format, route.path, door.place, request, response);
  } finally {
    seat.underWay -= 1;
  }
}

async function generate(
  door: ModelDoor,
  seat: Seat,
  format: GuestFormat,
  route: Extract<Route, { kind: "generate" }>,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const { guest } = seat;
  const reader = askedReader(format.name, (id) => guest.awaits(id), limits.guestResultBytesMax);
  const body = await readBody(request, reader, door.place);
  if (!body.ok) return refuse(response, format, body.error, false);
  try {
    const asked = understood(reader.end(), route);
    if (!asked.ok) return refuse(response, format, asked.error, false);
    for (const { id, ok: good, text, cut } of asked.value.results)
      guest.gave(id, { ok: good, text: cut ? "(too large to keep)" : text });
    const { model, stream, windowTokens, outputTokensMax, choices } = asked.value;
    const destination = await door.destination(format.name, model);
    if (!destination.ok) return refuse(response, format, destination.error, false);
    if ("driver" in destination.value && route.path.startsWith("/responses/compact"))
      return refuse(response, format, noCompact, false);
    seat.requests += 1;
    const id = `daimon_${guest.pid}_${seat.requests}`;
    const common = { guest, format, outputTokensMax, clock: door.clock, body: body.value };
    const question = questionOf(body.value, { model, stream, windowTokens });
    const conversation =
      "upstream" in destination.value
        ? ok(
            through({ ...common, question, upstream: destination.value.upstream, path: route.path, headers: request.rawHeaders }),
          )
        : translated({ ...common, driver: destination.value.driver, model: destination.value.model.model, id });
    if (!conversation.ok) return refuse(response, format, conversation.error, false);
    const lastAnswer = (): boolean => {
      const was = seat.lastAnswered;
      seat.lastAnswered = true;
      return was;
    };
    await pass(
      {
        ...common,
        outputTokensMax: outputTokensMax * choices,
        question,
        model: destination.value.model,
        conversation: conversation.value,
        id,
        lastAnswer,
      },
      response,
    );
  } finally {
    body.value.close();
  }
}

const noCompact = sysError(
  "EINVAL",
  "a compacted conversation can be read by OpenAI alone, and a model of another format answers here; ask it for a summary",
);

/** A format that repeats the request's settings asks for them only when it has to write a reply. */
function questionOf(body: KeptBody, question: Question): Question {
  return {
    ...question,
    get echo() {
      const asked = parseJson(body.text());
      return isObject(asked) && !tooDeep(asked, limits.jsonDepthMax) ? asked : {};
    },
  };
}

interface Understood {
  readonly model: string;
  readonly stream: boolean;
  readonly windowTokens: number;
  readonly outputTokensMax: number;
  readonly choices: number;
  readonly results: Asked["results"];
}

function understood(asked: Asked | null, route: Extract<Route, { kind: "generate" }>): Result<Understood, SysError> {
  if (asked === null) return fail("EINVAL", "the request is not one JSON value");
  const model = route.model ?? asked.model;
  if (model === null || model === "") return fail("EINVAL", "the request names no model");
  return ok({
    model,
    stream: route.stream ?? asked.stream,
    /** A token of JSON is about four bytes; the provider's own count settles it. */
    windowTokens: Math.ceil(asked.bytes / 4),
    outputTokensMax: asked.outputTokensMax ?? limits.guestOutputTokensMax,
    choices: asked.choices,
    results: asked.results,
  });
}

function bare(response: ServerResponse, status: number, text: string): void {
  response.writeHead(status, { "content-type": "text/plain; charset=utf-8", "content-length": Buffer.byteLength(text) });
  response.end(text);
}
