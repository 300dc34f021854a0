/** A guest's request on its way in, through a real server. */
import { createServer } from "node:http";
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { connect, type AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gzipSync, zstdCompressSync } from "node:zlib";
import { request } from "undici";
import { afterAll, expect, test } from "vitest";
import type { SysError } from "../../../src/abi/errno.ts";
import { limits } from "../../../src/abi/limits.ts";
import { readBody, type BodyPlace, type KeptBody, type Onlooker } from "../../../src/doors/model/body.ts";
import { decoderFor } from "../../../src/drivers/net/decoder.ts";
import type { Result } from "../../../src/lib/result.ts";

const folder = mkdtempSync(join(tmpdir(), "daimon-body-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
let names = 0;
const place: BodyPlace = { folder, name: () => `body-${(names += 1)}`, decoder: decoderFor };
const anything: Onlooker = { push: () => true };

async function sent(
  body: Buffer | AsyncIterable<Buffer>,
  look: (kept: Result<KeptBody, SysError>) => Promise<void> | void,
  onlooker = anything,
  headers: Record<string, string> = {},
  where = place,
): Promise<void> {
  let failure: Error | null = null;
  const server = createServer((incoming, response) => {
    void readBody(incoming, onlooker, where)
      .then(look)
      .catch((error: unknown) => (failure = error instanceof Error ? error : new Error(String(error))))
      .finally(() => response.end());
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  try {
    const { port } = server.address() as AddressInfo;
    const answer = await request(`http://127.0.0.1:${port}/`, { method: "POST", body: body as Buffer, headers });
    await answer.body.dump();
  } finally {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  }
  if (failure !== null) throw failure as Error;
}

async function joined(body: Uint8Array | AsyncIterable<Uint8Array>): Promise<Buffer> {
  if (body instanceof Uint8Array) return Buffer.from(body);
  const pieces: Uint8Array[] = [];
  for await (const piece of body) pieces.push(piece);
  return Buffer.concat(pieces);
}

test("DOR-2.1 a small body stays in memory; a large one lies in a file without a name, and can be sent twice", async () => {
  const large = Buffer.from("x".repeat(3 * limits.guestBodyMemoryBytesMax) + "end");
  for (const body of [Buffer.from("{}"), large]) {
    await sent(body, async (kept) => {
      if (!kept.ok) throw new Error(kept.error.message);
      expect(readdirSync(folder)).toEqual([]);
      expect(kept.value.send() instanceof Uint8Array).toBe(body !== large);
      expect((await joined(kept.value.send())).equals(body)).toBe(true);
      expect((await joined(kept.value.send())).equals(body)).toBe(true);
      expect(kept.value.text() === body.toString()).toBe(true);
      expect(kept.value.bytes).toBe(body.length);
      kept.value.close();
    });
  }
});

test("DOR-2.1 a body that cannot be kept is refused with what is full", async () => {
  const gone = { ...place, folder: join(folder, "not-there") };
  const look = (kept: Result<KeptBody, SysError>): void => expect(kept).toMatchObject({ ok: false, error: { errno: "ENOSPC" } });
  await sent(Buffer.alloc(2 * limits.guestBodyMemoryBytesMax), look, anything, {}, gone);
});

test("DOR-2.2 what is too large, no JSON or of an unknown compression is refused while it arrives", async () => {
  async function* endless(): AsyncGenerator<Buffer> {
    const piece = Buffer.alloc(1024 * 1024, 32);
    for (let n = 0; n < 80; n += 1) yield piece;
  }
  await sent(endless(), (kept) => expect(kept).toMatchObject({ ok: false, error: { errno: "E2BIG" } }));
  await sent(Buffer.from("not json"), (kept) => expect(kept).toMatchObject({ ok: false, error: { errno: "EINVAL" } }), {
    push: () => false,
  });
  await sent(Buffer.from("x"), (kept) => expect(kept).toMatchObject({ ok: false, error: { errno: "EINVAL" } }), anything, {
    "content-encoding": "rot13",
  });
  await sent(Buffer.from("no gzip"), (kept) => expect(kept).toMatchObject({ ok: false, error: { errno: "EINVAL" } }), anything, {
    "content-encoding": "gzip",
  });
  const bomb = gzipSync(Buffer.alloc(limits.guestBodyBytesMax + 1));
  await sent(bomb, (kept) => expect(kept).toMatchObject({ ok: false, error: { errno: "E2BIG" } }), anything, {
    "content-encoding": "gzip",
  });
  expect(readdirSync(folder)).toEqual([]);
});

test("DOR-2.2 a guest that breaks off its request is told apart from one that ended it", async () => {
  const results: Result<KeptBody, SysError>[] = [];
  let over = (): void => undefined;
  const ended = new Promise<void>((resolve) => (over = resolve));
  const server = createServer((incoming) => {
    void readBody(incoming, anything, place).then((kept) => {
      results.push(kept);
      over();
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const socket = connect((server.address() as AddressInfo).port, "127.0.0.1");
  socket.write("POST / HTTP/1.1\r\nhost: localhost\r\ncontent-length: 100\r\n\r\nhalf", () => socket.destroy());
  await ended;
  await new Promise((resolve) => server.close(resolve));
  expect(results).toMatchObject([{ ok: false, error: { errno: "ECANCELED" } }]);
});

test("DOR-2.3 what is sent on is decompressed", async () => {
  const body = Buffer.from(JSON.stringify({ model: "m" }));
  for (const [encoding, packed] of [
    ["gzip", gzipSync(body)],
    ["zstd", zstdCompressSync(body)],
  ] as const) {
    const look = (kept: Result<KeptBody, SysError>): void => expect(kept.ok && kept.value.text() === body.toString()).toBe(true);
    await sent(packed, look, anything, { "content-encoding": encoding });
  }
});
