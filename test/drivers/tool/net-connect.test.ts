import { expect, test } from "vitest";
import { fail } from "../../../src/abi/errno.ts";
import { connectCalls } from "../../../src/drivers/tool/net-connect.ts";
import { callTable } from "../../../src/kernel/calls.ts";
import { ok } from "../../../src/lib/result.ts";
import { schemaCompiler } from "../../../src/lib/schema.ts";

const context = { pid: 1, id: "1.0.0", signal: new AbortController().signal, now: 0, frozen: null };

function made(addresses: readonly string[] | null) {
  const asked: string[] = [];
  const [handler] = connectCalls({
    locate: (url) => {
      asked.push(url.href);
      return Promise.resolve(addresses === null ? fail("EPERM", "its address is private") : ok(addresses));
    },
  });
  if (handler === undefined) throw new Error("no call");
  return { handler, asked };
}

test("NET-5.2 it gives the addresses, labelled as what comes from there, and fails where one is closed", async () => {
  const { handler, asked } = made(["8.8.8.8", "2001:4860:4860::8888"]);
  const given = await handler.perform({ url: "https://a.test", method: "CONNECT" } as never, context);
  expect(given).toEqual({
    ok: true,
    value: {
      value: { addresses: ["8.8.8.8", "2001:4860:4860::8888"] },
      source: "https://a.test",
      label: { integrity: "untrusted", confidentiality: "public" },
    },
  });
  expect(asked).toEqual(["https://a.test/"]);
  const closed = await made(null).handler.perform({ url: "https://a.test", method: "CONNECT" } as never, context);
  expect(closed).toMatchObject({ ok: false, error: { errno: "EPERM" } });
  const odd = await made([]).handler.perform({ url: "ftp://a.test", method: "GET" } as never, context);
  expect(odd).toMatchObject({ ok: false, error: { errno: "EINVAL" } });
});

test("NET-5.1 its arguments are a destination and a method that can be decided on", () => {
  const check = schemaCompiler()(made([]).handler.spec.input);
  if (!check.ok) throw new Error(check.error);
  expect(check.value({ url: "https://a.test", method: "CONNECT" })).toBeNull();
  for (const args of [
    {},
    { url: "https://a.test" },
    { url: "https://a.test", method: "TRACE" },
    { url: "https://a.test", method: "GET", more: 1 },
  ])
    expect(check.value(args), JSON.stringify(args)).not.toBeNull();
});

test("NET-5.3 no model is offered it, and it can be made", () => {
  const table = callTable([made([]).handler]);
  expect(table.ok && table.value.tools(() => true)).toEqual([]);
  expect(table.ok && table.value.get("net.connect")?.spec.name).toBe("net.connect");
});
