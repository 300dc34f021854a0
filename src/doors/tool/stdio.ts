/**
 * Stdio: the tool door over a pair of streams, for one client, which is gone when its input ends.
 *   DRT-6.1  The era is the one in which the client opens; a message beyond the bound ends the connection.
 */
import type { Readable, Writable } from "node:stream";
import type { McpServer } from "@modelcontextprotocol/server";
import { serveStdio, StdioServerTransport } from "@modelcontextprotocol/server/stdio";
import { limits } from "../../abi/limits.ts";
import { tellChange, type ToolDoor } from "./door.ts";

export interface StdioDoor {
  /** Settles when the client is gone or the door was closed. */
  readonly ended: Promise<void>;
  close(): Promise<void>;
}

export function serveStreams(door: ToolDoor, input: Readable, output: Writable): StdioDoor {
  const gone = new AbortController();
  const { promise: ended, resolve } = Promise.withResolvers<void>();
  const servers = new Set<McpServer>();
  const transport = new StdioServerTransport(input, output, { maxBufferSize: limits.doorBodyBytesMax });
  const handle = serveStdio(
    ({ era }) => {
      const server = door.serve(era === "modern" ? "stateless" : "sessions", gone.signal);
      servers.add(server);
      return server;
    },
    { transport },
  );
  const unwatch = door.watch((kind) => {
    for (const server of servers) tellChange(server, kind).catch(() => undefined);
  });
  const end = (): void => {
    unwatch();
    gone.abort("the client is gone");
    resolve();
  };
  const told = transport.onclose;
  transport.onclose = () => {
    told?.();
    end();
  };
  return { ended, close: () => handle.close().finally(end) };
}
