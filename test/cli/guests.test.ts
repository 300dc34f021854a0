import { expect, test } from "vitest";
import { guests } from "../../src/guests/all.ts";
import { daimon, place } from "./shell.ts";

test("CLI-45.1 the agents are listed with where they are and what was tried, and none of them is run", () => {
  const where = place();
  const bin = `${where.home}/bin`;
  const modules = `../home/node_modules`;
  where.put(`${modules}/@openai/codex/package.json`, JSON.stringify({ name: "@openai/codex", version: "9.8.7" }));
  where.put(`${modules}/@openai/codex/bin/codex`, "#!/bin/sh\ntouch ran\n");
  const path = `${where.home}/node_modules/@openai/codex/bin:${bin}:${process.env["PATH"] ?? ""}`;
  const ran = daimon(where.folder, ["guests"], where.env({ PATH: path }));
  expect(ran.code).toBe(0);
  for (const { title } of guests) expect(ran.out).toContain(title);
  expect(ran.out).toContain(`9.8.7 at ${where.home}/node_modules/@openai/codex/bin/codex`);
  expect(where.has("ran")).toBe(false);
  const listed = JSON.parse(daimon(where.folder, ["guests", "--json"], where.env({ PATH: path })).out) as {
    readonly guests: readonly { readonly name: string; readonly version: string | null }[];
  };
  expect(listed.guests.find(({ name }) => name === "codex")).toMatchObject({ version: "9.8.7" });
});
