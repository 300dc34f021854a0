/**
 * Net connect: the call `net.connect`, which stands for a guest's way to one destination. The net door (doors/net) makes it when a guest first wants to
 * go there, so that policy, journal, budget and a person's answer hold for it as for any call.
 *   NET-5.1  It gives the addresses of a host of which every one is public, and fails where one is not (net/guard.ts); nothing is sent to anyone.
 *   NET-5.2  What comes over the connection is untrusted, and the outcome's label says so before its first byte.
 *   NET-5.3  No model and no client of the tool door is offered it.
 */
import type { CallHandler } from "../../abi/call.ts";
import type { Outside } from "../../abi/outside.ts";
import { ok } from "../../lib/result.ts";
import { readTarget } from "../net/guard.ts";

interface ConnectArgs {
  readonly url: string;
  readonly method: string;
}

/** `CONNECT` is a tunnel, in which nothing but the host can be seen. */
export const connectMethods = ["CONNECT", "GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"] as const;

export function connectCalls({ locate }: Pick<Outside, "locate">): readonly CallHandler[] {
  return [
    {
      spec: {
        name: "net.connect",
        summary:
          "Open the way to one host and port for a guest's own connections. The net door makes it; it gives the host's addresses.",
        input: {
          type: "object",
          properties: {
            url: { type: "string", minLength: 1, description: "Scheme, host and port." },
            method: { enum: [...connectMethods], description: "Of plain requests theirs; CONNECT for a tunnel." },
          },
          required: ["url", "method"],
          additionalProperties: false,
        },
        output: {
          type: "object",
          properties: { addresses: { type: "array", items: { type: "string" } } },
          required: ["addresses"],
        },
        effect: "external",
        reversible: false,
        recovery: "idempotent",
        roles: { url: "host", method: "option" },
        offered: false,
      },
      async perform({ url: text }: ConnectArgs) {
        const url = readTarget(text);
        if (!url.ok) return url;
        const addresses = await locate(url.value);
        if (!addresses.ok) return addresses;
        return ok({
          value: { addresses: addresses.value },
          source: url.value.origin,
          label: { integrity: "untrusted", confidentiality: "public" },
        });
      },
    },
  ];
}
