import { expect, test } from "vitest";
import type { GuestFormat } from "../../src/wire/guest-format.ts";
import { guestFormats } from "../../src/wire/guest-formats.ts";
import { asked } from "./guests.ts";

const statuses = (name: keyof typeof guestFormats) => {
  const of = (errno: "EPERM" | "EDQUOT" | "EINVAL" | "EAGAIN" | "EIO", retry: boolean) =>
    guestFormats[name].refuse(errno, "x", retry).status;
  return [of("EPERM", false), of("EDQUOT", false), of("EINVAL", false), of("EAGAIN", true), of("EIO", true), of("EIO", false)];
};

test("WRT-1.1 each format refuses with the statuses that its guests stop at, and fails with those that they try again on", () => {
  expect(statuses("messages")).toEqual([403, 402, 400, 429, 529, 403]);
  expect(statuses("chat")).toEqual([400, 400, 400, 429, 502, 400]);
  expect(statuses("responses")).toEqual([400, 400, 400, 503, 502, 400]);
  expect(statuses("gemini")).toEqual([403, 400, 400, 503, 500, 403]);
});

test("WRT-1.1 clients are told in a header as well, and the message stays whole", () => {
  for (const { refuse } of Object.values(guestFormats)) {
    expect(refuse("EPERM", `not "this"\n`, false).headers["x-should-retry"]).toBe("false");
    const busy = refuse("EAGAIN", `not "this"\n`, true);
    expect(busy.headers["x-should-retry"]).toBe("true");
    const body = JSON.parse(Buffer.from(busy.body).toString()) as { error: { message: string } };
    expect(body.error.message).toBe(`not "this"\n`);
  }
});

test("WRT-1.2 in the middle of a stream a refusal is heard as the provider's own error would be", () => {
  const formats: readonly GuestFormat[] = Object.values(guestFormats);
  for (const format of formats) {
    for (const errno of ["EPERM", "EDQUOT", "EAGAIN", "EIO"] as const) {
      const hearing = format.hear(asked);
      hearing.push(format.writer(asked, "r1").part({ type: "text", text: "so far" }));
      const event = format.refuseEvent(errno, "no more");
      expect(hearing.push(event)).toHaveLength(1);
      expect(hearing.end()).toMatchObject({ ok: false, error: { told: true, trouble: { message: "no more" } } });
    }
  }
});
