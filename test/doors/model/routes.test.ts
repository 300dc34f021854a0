import type { IncomingHttpHeaders } from "node:http";
import fc from "fast-check";
import { expect, test } from "vitest";
import { listerOf, routeOf, targetOf } from "../../../src/doors/model/routes.ts";

function at(method: string, address: string, headers: IncomingHttpHeaders = {}): unknown {
  const target = targetOf(address);
  return target === null ? null : routeOf(method, target, listerOf(headers, target));
}

test("DOR-3.1 the addresses of the four formats are known as their clients write them", () => {
  expect(at("POST", "/v1/messages?beta=true")).toMatchObject({
    kind: "generate",
    format: "messages",
    path: "/messages?beta=true",
  });
  expect(at("POST", "/v1/responses")).toMatchObject({ kind: "generate", format: "responses", stream: null });
  expect(at("POST", "/v1/responses/compact")).toMatchObject({ kind: "generate", format: "responses", stream: false });
  expect(at("POST", "/v1/chat/completions")).toMatchObject({ kind: "generate", format: "chat" });
  expect(at("POST", "/v1beta/models/gemini-3-pro:streamGenerateContent?alt=sse")).toEqual({
    kind: "generate",
    format: "gemini",
    path: "/v1beta/models/gemini-3-pro:streamGenerateContent?alt=sse",
    model: "gemini-3-pro",
    stream: true,
  });
  expect(at("POST", "/v1beta/models/x%2Fy:generateContent")).toMatchObject({ model: "x/y", stream: false });
  expect(at("POST", "/v1/messages/count_tokens")).toMatchObject({ kind: "aside", format: "messages" });
  expect(at("GET", "/v1/models?limit=1000", { "anthropic-version": "2023-06-01" })).toMatchObject({
    kind: "aside",
    format: "messages",
    path: "/models?limit=1000",
  });
  expect(at("GET", "/v1/models")).toMatchObject({ kind: "aside", format: "chat" });
  for (const [address, headers] of [
    ["/v1/models", { "x-goog-api-key": "k" }],
    ["/v1/models?key=k", {}],
  ] as const)
    expect(at("GET", address, headers)).toEqual({ kind: "aside", format: "gemini", path: "/v1/models" });
  expect(at("GET", "/v1/models/ft:gpt-x:org::7")).toMatchObject({ kind: "aside", path: "/models/ft:gpt-x:org::7" });
  expect(at("HEAD", "/api/hello")).toEqual({ kind: "ping" });
});

test("DOR-3.1 everything else is nothing", () => {
  for (const [method, path] of [
    ["GET", "/v1/messages"],
    ["POST", "/v1/messages/batches"],
    ["DELETE", "/v1/responses/resp_1"],
    ["POST", "/__proto__"],
    ["POST", "/constructor"],
    ["POST", "//v1/messages"],
    ["POST", "/v1/messages/"],
  ] as const)
    expect(at(method, path), `${method} ${path}`).toBe(null);
  for (const address of ["http://evil.example/v1/messages", "*", ""]) expect(targetOf(address)).toBe(null);
  fc.assert(fc.property(fc.webPath(), (path) => at("POST", `/x${path}`) === null));
});

test("DOR-3.2 a key in the address goes no further", () => {
  expect(at("POST", "/v1beta/models/m:generateContent?key=secret&alt=sse")).toMatchObject({
    path: "/v1beta/models/m:generateContent?alt=sse",
  });
  expect(JSON.stringify(at("GET", "/v1/models?key=secret"))).not.toContain("secret");
});
