/** What the client programs of the door's trial share: where they were pointed, what they ask for, and what they check. */
// @ts-nocheck: the libraries are installed for the trial alone, and so their types are not here.
import assert from "node:assert/strict";
import { createRequire } from "node:module";
import { setTimeout as wait } from "node:timers/promises";
import { pathToFileURL } from "node:url";

export const [client = "", baseUrl = "", key = "", upstream = "", speaks = "all"] = process.argv.slice(2);
export const { resolve } = createRequire(`${process.cwd()}/`);
export const load = (/** @type {string} */ specifier) => import(pathToFileURL(resolve(specifier)).href);
export const model = "oracle-1";
export const run = `${process.pid}-${Date.now()}`;
export const weather = {
  type: "object",
  properties: { city: { type: "string" } },
  required: ["city"],
  additionalProperties: false,
};
export const person = {
  type: "object",
  properties: { name: { type: "string" }, age: { type: "integer" } },
  required: ["name", "age"],
  additionalProperties: false,
};
export const png = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==";
export const unicode = "héllo 世界 👩‍🚀 \u2028 ok";
export const endless = "Reply with exactly: endless words and words and words and words and words";
export const long = "words and words and words and words and words and words and words";

/** The upstream has let go of every stream that nobody reads any more. */
export async function allClosed() {
  for (let tries = 0; tries < 100; tries += 1) {
    const { open } = await (await fetch(`${upstream}/trial/open`)).json();
    if (open === 0) return;
    await wait(50);
  }
  assert.fail("the upstream still generates for a client that went away");
}

/** An error of another format has the status at which clients of this one stop or try again: see docs/doors.md. */
export async function throws(work, format, types, type, status) {
  const error = await work.then(
    () => assert.fail(`no ${type.name}`),
    (thrown) => thrown,
  );
  if (speaks !== "all" && speaks !== format) {
    assert.ok(
      error instanceof types.APIError && error.status >= 400 && /\S/.test(error.message),
      `no error of the client's: ${error}`,
    );
    return;
  }
  assert.ok(error instanceof type, `${error.constructor.name} ${error.status} instead of ${type.name}: ${error.message}`);
  assert.equal(error.status, status);
  if (error.requestID !== undefined) assert.equal(error.requestID, "req_trial");
}

/** Goes away after the first piece of text; where the reply comes in one piece that never does, after a while. */
export async function leave(stream, isText) {
  const { controller } = stream;
  const timer = speaks === "all" ? null : setTimeout(() => controller.abort(), 500);
  try {
    for await (const event of stream) if (isText(event)) break;
  } catch (error) {
    assert.ok(controller.signal.aborted, error);
  }
  clearTimeout(timer);
  controller.abort();
}

export async function collected(stream) {
  const all = [];
  for await (const event of stream) all.push(event);
  return all;
}
