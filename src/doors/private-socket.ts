/** Private socket: a server on a Unix socket that its owner alone can open, from the socket's first moment. */
import { chmodSync } from "node:fs";
import type { Server } from "node:net";

/** null: it listens. The mask is the whole process's, so it is put back before anything else can run: the socket is made at once. */
export function listenPrivately(server: Server, path: string): Promise<Error | null> {
  return new Promise((resolve) => {
    server.once("error", resolve);
    const before = process.umask(0o177);
    server.listen(path, () => {
      server.off("error", resolve);
      chmodSync(path, 0o600);
      resolve(null);
    });
    process.umask(before);
  });
}
