import { expect, test } from "vitest";
import { passedOn, plainOf, tunnelOf } from "../../../src/doors/net/targets.ts";

const tunnel = (url: string, ...rawHeaders: string[]) => tunnelOf({ method: "CONNECT", url, rawHeaders });
const plain = (url: string, rawHeaders: string[], method = "GET") => plainOf({ method, url, rawHeaders });
const refused = { ok: false, error: { errno: "EINVAL" } };

test("DRN-2.1 a tunnel names a host and a port", () => {
  for (const [text, origin, port] of [
    ["a.test:443", "https://a.test", 443],
    ["A.Test:8443", "https://a.test:8443", 8443],
    ["[2001:db8::1]:443", "https://[2001:db8::1]", 443],
    ["127.1:443", "https://127.0.0.1", 443],
    ["2130706433:80", "https://127.0.0.1:80", 80],
  ] as const) {
    const read = tunnel(text, "Host", text);
    expect(read.ok && [read.value.url.origin, read.value.port, read.value.method], text).toEqual([origin, port, "CONNECT"]);
  }
  expect(tunnel("a.test:443")).toMatchObject({ ok: true });
  expect(tunnel("a.test:443", "Host", "a.test")).toMatchObject({ ok: true });
});

test("DRN-2.1 a tunnel with a path, a user, a body, another Host or none of a port is refused", () => {
  for (const text of [
    "",
    "a.test",
    "a.test:",
    "a.test:0",
    "a.test:70000",
    "a.test:443/x",
    "u@a.test:443",
    "a.test:443?q",
    "http://a.test:443",
    "a.test:44 3",
    ":443",
    "a b:443",
    "a.test\\@b.test:443",
  ])
    expect(tunnel(text), text).toMatchObject(refused);
  for (const headers of [
    ["Host", "b.test"],
    ["Host", "a.test:8443"],
    ["Host", "u@a.test"],
    ["Host", "a.test", "host", "a.test"],
    ["Host", ""],
    ["Content-Length", "5"],
    ["Transfer-Encoding", "chunked"],
  ])
    expect(tunnel("a.test:443", ...headers), headers.join()).toMatchObject(refused);
  expect(tunnel("a.test:443", "Content-Length", "0")).toMatchObject({ ok: true });
});

test("DRN-2.2 a plain request names an address in full, and one Host header names the same host", () => {
  const read = plain("http://A.test:8080/x/y?q=1", ["Host", "a.test:8080"]);
  expect(read.ok && { ...read.value, url: read.value.url.origin }).toEqual({
    method: "GET",
    url: "http://a.test:8080",
    port: 8080,
    path: "/x/y?q=1",
    bodyBytes: null,
    bodyInPieces: false,
  });
  for (const url of [
    "/x",
    "*",
    "https://a.test/",
    "ftp://a.test/",
    "http://",
    "http://u:p@a.test/",
    "http://a.test/#x",
    "http://a.test\\@b.test/",
    "http:a.test",
    "//a.test/",
  ])
    expect(plain(url, ["Host", "a.test"]), url).toMatchObject(refused);
  for (const headers of [
    [],
    ["Host", "b.test"],
    ["Host", "a.test", "Host", "a.test"],
    ["Host", "a.test:81"],
    ["Host", "a.test/"],
    ["Host", ""],
    ["Host", "x@a.test"],
  ])
    expect(plain("http://a.test/", headers), headers.join()).toMatchObject(refused);
  expect(plain(`http://a.test/${"x".repeat(10_000)}`, ["Host", "a.test"])).toMatchObject({
    ok: false,
    error: { errno: "E2BIG" },
  });
});

test("DRN-2.3 a body whose length can be read in two ways is refused", () => {
  const post = (...headers: string[]) => plain("http://a.test/", ["Host", "a.test", ...headers], "POST");
  for (const headers of [
    ["Content-Length", "5", "Transfer-Encoding", "chunked"],
    ["Content-Length", "5", "Content-Length", "5"],
    ["Content-Length", "5, 5"],
    ["Content-Length", "+5"],
    ["Content-Length", "0x5"],
    ["Content-Length", ""],
    ["Transfer-Encoding", "gzip, chunked"],
    ["Transfer-Encoding", "identity"],
    ["Transfer-Encoding", "chunked", "Transfer-Encoding", "chunked"],
    ["Transfer-Encoding", "\u000bchunked"],
  ])
    expect(post(...headers), headers.join()).toMatchObject(refused);
  expect(post("Content-Length", "5")).toMatchObject({ ok: true, value: { bodyBytes: 5, bodyInPieces: false } });
  expect(post("transfer-encoding", "Chunked")).toMatchObject({ ok: true, value: { bodyBytes: null, bodyInPieces: true } });
});

test("DRN-2.4 what belongs to the connection stays, and what Connection names; the length of a body cannot be taken out", () => {
  const raw = [
    ["Host", "a.test"],
    ["Connection", "keep-alive, X-Mine, Content-Length"],
    ["X-Mine", "1"],
    ["Proxy-Authorization", "Basic secret"],
    ["Proxy-Connection", "keep-alive"],
    ["Te", "trailers"],
    ["Transfer-Encoding", "chunked"],
    ["Upgrade", "websocket"],
    ["Via", "1.1 x"],
    ["X-Forwarded-For", "10.0.0.1"],
    ["Content-Length", "3"],
    ["Accept", "*/*"],
    ["Cookie", "a=1"],
    ["Cookie", "b=2"],
  ].flat();
  expect(passedOn(raw)).toEqual(["Content-Length", "3", "Accept", "*/*", "Cookie", "a=1", "Cookie", "b=2"]);
});

test("DRN-2.5 methods that nobody knows, and TRACE, are refused", () => {
  for (const method of ["TRACE", "TRACK", "get", "PROPFIND", "", "QUERY"])
    expect(plain("http://a.test/", ["Host", "a.test"], method), method).toMatchObject(refused);
  for (const method of ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"])
    expect(plain("http://a.test/", ["Host", "a.test"], method), method).toMatchObject({ ok: true });
});
