import { expect, test } from "vitest";
import { limits } from "../../../src/abi/limits.ts";
import { goOn, grown } from "../../../src/doors/model/chain.ts";

const said = { type: "message", role: "assistant", content: [] };
const call = { type: "function_call", call_id: "c1", name: "run", arguments: "{}" };

test("DOR-11.1 what goes on is the whole conversation, and all else of the request stays", () => {
  const chain = grown({ model: "m", input: "first" }, { id: "r1", output: [said] });
  expect(goOn(chain, { model: "m", previous_response_id: "r1", input: "second", temperature: 0.5 })).toEqual({
    ok: true,
    value: {
      known: true,
      request: {
        model: "m",
        temperature: 0.5,
        input: [{ role: "user", content: "first" }, said, { role: "user", content: "second" }],
      },
    },
  });
  const other = { model: "m", previous_response_id: "r0", input: "second" };
  expect(goOn(chain, other)).toEqual({ ok: true, value: { known: false, request: other } });
  expect(goOn(chain, { model: "m", input: "new" })).toMatchObject({ ok: true, value: { request: { input: "new" } } });
});

test("DOR-11.2 the result of a call that the conversation does not hold is an error", () => {
  const chain = grown({ input: "go" }, { id: "r1", output: [call] });
  const result = (id: string) => ({
    previous_response_id: "r1",
    input: [{ type: "function_call_output", call_id: id, output: "x" }],
  });
  expect(goOn(chain, result("c1")).ok).toBe(true);
  expect(goOn(chain, result("c2"))).toMatchObject({ ok: false, error: expect.stringContaining("No tool call") as string });
});

test("DOR-11.3 what cannot be sent again stays out, and what is too long is forgotten", () => {
  const open = { type: "reasoning", id: "a" };
  const sealed = { type: "reasoning", id: "b", encrypted_content: "x" };
  expect(grown({ input: [], store: false }, { id: "r1", output: [open, sealed] })?.items).toEqual([sealed]);
  expect(grown({ input: [] }, { id: "r1", output: [open] })?.items).toEqual([open]);
  expect(grown({ input: "x".repeat(limits.guestSocketBytesMax) }, { id: "r1", output: [] })).toBe(null);
  expect(grown({ input: "go", previous_response_id: "elsewhere" }, { id: "r1", output: [] })).toBe(null);
});
