/**
 * Aside: what guests ask of a provider that generates nothing and costs nothing: counting tokens, listing models.
 *   DOR-7.1  It goes on as it is where a provider of the format is there, and costs the guest's budget nothing.
 *   DOR-7.2  Where none is and a model of another format answers, the door counts by itself and lists that model; where nobody answers, the guest reads
 *            that in its own format.
 *   DOR-7.3  An answer beyond the bound is an error that says so, and is not asked for again.
 */
import type { IncomingMessage, ServerResponse } from "node:http";
import { sysError, type SysError } from "../../abi/errno.ts";
import { limits } from "../../abi/limits.ts";
import type { Upstream } from "../../abi/upstream.ts";
import { modelList, tokenCount } from "../../wire/asides.ts";
import type { GuestFormat } from "../../wire/guest-format.ts";
import { jsonBytes } from "../../wire/parts.ts";
import { readBody, type BodyPlace, type KeptBody } from "./body.ts";
import { refuse, tell, type HeadFields } from "./telling.ts";

/** `model`: who answers where no provider of the format is there; null: nobody. */
export async function aside(
  upstream: Upstream | null,
  model: () => Promise<string | null>,
  format: GuestFormat,
  path: string,
  place: BodyPlace,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const body = request.method === "POST" ? await readBody(request, { push: () => true }, place) : null;
  if (body?.ok === false) return refuse(response, format, body.error, false);
  try {
    const other = upstream === null ? await model() : null;
    if (other !== null) return instead(format, path, other, body?.value ?? null, response);
    if (upstream === null) {
      const missing = sysError("ENOENT", "no provider of this format is configured, so there is nobody to ask; it works without");
      return refuse(response, format, missing, false);
    }
    let answer: { readonly status: number; readonly headers: HeadFields } = { status: 502, headers: {} };
    const chunks: Uint8Array[] = [];
    let bytes = 0;
    const exchange = upstream.send(
      {
        method: body === null ? "GET" : "POST",
        path,
        headers: request.rawHeaders,
        body: body?.value.send() ?? null,
        bytes: body?.value.bytes ?? 0,
      },
      {
        head: (status, headers) => void (answer = { status, headers }),
        data: (chunk) => {
          bytes += chunk.length;
          if (bytes <= limits.guestAsideBytesMax) chunks.push(chunk);
          else exchange.abort();
          return true;
        },
      },
    );
    response.once("close", () => exchange.abort());
    const ended = await exchange.ended;
    if (bytes > limits.guestAsideBytesMax) return refuse(response, format, tooLong(upstream.name), false);
    if (!ended.ok) return refuse(response, format, ended.error, true);
    tell(response, answer.status, answer.headers, Buffer.concat(chunks));
  } finally {
    body?.value.close();
  }
}

/** Nothing is asked of anybody. */
function instead(format: GuestFormat, path: string, model: string, body: KeptBody | null, response: ServerResponse): void {
  const alone = /\/models\/[^/?]/.test(path);
  const said = body === null ? modelList(format.name, model, alone) : tokenCount(format.name, Math.ceil(body.bytes / 4));
  tell(response, 200, { "content-type": "application/json" }, jsonBytes(said));
}

function tooLong(provider: string): SysError {
  return sysError("E2BIG", `what ${provider} answered has more than ${limits.guestAsideBytesMax} bytes; ask for less at once`);
}
