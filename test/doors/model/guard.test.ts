import fc from "fast-check";
import { expect, test } from "vitest";
import { Credentials, credentialOf, refusedByGuard } from "../../../src/doors/model/guard.ts";

const refused = (headers: Record<string, string>): string | null => refusedByGuard(headers, Object.entries(headers).flat());

test("DOR-1.1 only this machine's own names for the door are taken as a Host", () => {
  for (const host of ["127.0.0.1", "127.0.0.1:8080", "localhost:1", "LOCALHOST", "[::1]:9"]) expect(refused({ host })).toBe(null);
  for (const host of [
    ...[
      "evil.example",
      "127.0.0.1.evil.example",
      "localhost.evil.example:80",
      "evil.example:127.0.0.1",
      "127.0.0.1@evil.example",
    ],
    ...["127.0.0.1:80:80", "127.0.0.1:999999", "0.0.0.0", "2130706433", "", " 127.0.0.1", "127.0.0.1 evil", "[::]"],
  ])
    expect(refused({ host }), host).toBe("host");
  expect(refused({})).toBe("host");
  expect(refusedByGuard({ host: "127.0.0.1" }, ["Host", "127.0.0.1", "host", "evil.example"])).toBe("host");
});

test("DOR-1.2 what a browser sends is refused, whatever origin it names", () => {
  for (const origin of ["http://evil.example", "null", "", "http://127.0.0.1:8080", "http://localhost"])
    expect(refused({ host: "localhost", origin }), origin).toBe("origin");
  expect(refused({ host: "localhost", "sec-fetch-site": "same-origin" })).toBe("origin");
});

test("DOR-1.3 a credential is found where each client puts it, and holds until it is given back", () => {
  expect(credentialOf({ "x-api-key": "a" }, null)).toBe("a");
  expect(credentialOf({ authorization: "Bearer b" }, null)).toBe("b");
  expect(credentialOf({ "x-goog-api-key": "c" }, null)).toBe("c");
  expect(credentialOf({}, "d")).toBe("d");
  expect(credentialOf({ authorization: "Basic e" }, null)).toBe(null);
  const seats = new Credentials<number>();
  const leave = seats.add("secret", 7);
  expect(seats.holder("secret")).toBe(7);
  fc.assert(fc.property(fc.string(), (other) => other === "secret" || seats.holder(other) === null));
  expect(seats.holder(null)).toBe(null);
  leave();
  expect(seats.holder("secret")).toBe(null);
});
