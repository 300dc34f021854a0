import { connect as connectTls } from "node:tls";
import fc from "fast-check";
import { expect, test } from "vitest";
import { readHello } from "../../../src/doors/net/hello.ts";
import { tcp } from "./rig.ts";

/** What Node's own TLS says first. */
async function spoken(servername?: string): Promise<Buffer> {
  return await new Promise((resolve) => {
    void tcp((socket) => {
      let bytes = Buffer.alloc(0);
      socket.on("data", (piece: Buffer) => {
        bytes = Buffer.concat([bytes, piece]);
        if (readHello(bytes).kind === "more") return;
        socket.destroy();
        resolve(bytes);
      });
    }).then((port) => {
      connectTls({ port, host: "127.0.0.1", ...(servername !== undefined && { servername }) }).on("error", () => undefined);
    });
  });
}

/** The same message in records of these sizes. */
function cut(hello: Buffer, sizes: readonly number[]): Buffer {
  const records: Buffer[] = [];
  let left = hello.subarray(5, 5 + hello.readUInt16BE(3));
  for (let n = 0; left.length > 0; n += 1) {
    const piece = left.subarray(0, sizes[n % sizes.length] ?? 1);
    records.push(record(piece));
    left = left.subarray(piece.length);
  }
  return Buffer.concat(records);
}

function record(content: Buffer): Buffer {
  return Buffer.concat([Buffer.from([22, 3, 1, content.length >> 8, content.length & 255]), content]);
}

function made(extensions: readonly (readonly [type: number, content: Buffer])[]): Buffer {
  const list = Buffer.concat(extensions.map(([type, content]) => Buffer.concat([short(type), short(content.length), content])));
  const body = Buffer.concat([
    Buffer.alloc(34),
    Buffer.from([0]),
    short(2),
    Buffer.from([0x13, 0x01]),
    Buffer.from([1, 0]),
    short(list.length),
    list,
  ]);
  return record(Buffer.concat([Buffer.from([1, 0, body.length >> 8, body.length & 255]), body]));
}

function short(value: number): Buffer {
  return Buffer.from([value >> 8, value & 255]);
}

function names(...hosts: readonly string[]): readonly [number, Buffer] {
  const list = Buffer.concat(hosts.map((host) => Buffer.concat([Buffer.from([0]), short(host.length), Buffer.from(host)])));
  return [0, Buffer.concat([short(list.length), list])];
}

test("DRN-1.1 the name is read from what a real client says, and a client that names nobody names nobody", async () => {
  expect(readHello(await spoken("a.test"))).toEqual({ kind: "hello", name: "a.test" });
  expect(readHello(await spoken())).toEqual({ kind: "hello", name: null });
});

test("DRN-1.1 however it is cut into records and pieces, the name is the same and nothing is said before it is whole", async () => {
  const hello = await spoken("some.host.example");
  fc.assert(
    fc.property(
      fc.array(fc.integer({ min: 1, max: 600 }), { minLength: 1, maxLength: 8 }),
      fc.double({ min: 0, max: 1, noNaN: true }),
      (sizes, share) => {
        const bytes = cut(hello, sizes);
        expect(readHello(bytes)).toEqual({ kind: "hello", name: "some.host.example" });
        const part = bytes.subarray(0, Math.floor(share * (bytes.length - 1)));
        expect(readHello(part)).toEqual({ kind: "more" });
        expect(readHello(Buffer.concat([bytes, Buffer.from("more of the same connection")])).kind).toBe("hello");
      },
    ),
    { numRuns: 200 },
  );
});

test("DRN-1.2 two names, an extension twice and lengths that contradict each other are not TLS to the door", () => {
  expect(readHello(made([names("a.test")]))).toEqual({ kind: "hello", name: "a.test" });
  for (const wrong of [
    made([names("a.test", "b.test")]),
    made([names("a.test"), names("b.test")]),
    made([
      [10, Buffer.alloc(2)],
      [10, Buffer.alloc(2)],
    ]),
    made([[0, Buffer.from([0, 200, 0, 0, 1, 65])]]),
    made([[0, Buffer.from([0, 4, 7, 0, 1, 65])]]),
    made([[0, Buffer.from([0, 0])]]),
    Buffer.concat([record(Buffer.from([1, 0, 0, 4])), record(Buffer.alloc(4))]),
    record(Buffer.from([2, 0, 0, 0])),
    Buffer.from([22, 3, 1, 0, 0]),
    Buffer.from([22, 3, 1, 255, 255]),
    Buffer.from([22, 2, 1, 0, 10]),
    Buffer.from("GET / HTTP/1.1\r\n"),
    Buffer.from("SSH-2.0-x\r\n"),
  ])
    expect(readHello(wrong), wrong.toString("hex")).toEqual({ kind: "other" });
});

test("DRN-1.2 whatever bytes come, they are read without a fault, and a changed message names nobody else by chance", () => {
  const good = made([names("a.test"), [16, Buffer.from("0003026832", "hex")]]);
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 400 }), fc.nat(good.length - 1), fc.nat(255), (bytes, at, value) => {
      readHello(bytes);
      const changed = Buffer.from(good);
      changed[at] = value;
      const hello = readHello(changed);
      if (hello.kind === "hello" && hello.name !== null) expect(hello.name).toHaveLength(6);
    }),
    { numRuns: 500 },
  );
});
