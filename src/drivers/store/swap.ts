/**
 * Swap: an unlinked file, so that nothing of it is left whatever ends the kernel.
 *   STO-4.1  What was put is what is got, until it is freed.
 *   STO-4.2  Once everything is freed the file is empty again.
 */
import { closeSync, ftruncateSync, mkdirSync, openSync, readSync, unlinkSync, writeSync } from "node:fs";
import { join } from "node:path";
import type { SwapDriver, SwapSlot } from "../../abi/store.ts";
import { assert } from "../../lib/assert.ts";

export function fileSwap(folder: string, name: string): SwapDriver {
  let file: number | null = null;
  let end = 0;
  let slots = 0;
  const open = (): number => {
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    const path = join(folder, `swap-${name}`);
    const opened = openSync(path, "wx+", 0o600);
    unlinkSync(path);
    return opened;
  };
  return {
    name: "file",
    put: (text) => {
      file ??= open();
      const slot: SwapSlot = { offset: end, bytes: writeSync(file, text, end) };
      assert(slot.bytes === Buffer.byteLength(text), "the swap took the whole text");
      end += slot.bytes;
      slots += 1;
      return slot;
    },
    get: ({ offset, bytes }) => {
      const buffer = Buffer.allocUnsafe(bytes);
      const read = file === null ? 0 : readSync(file, buffer, 0, bytes, offset);
      assert(read === bytes, "the swap holds what was put there");
      return buffer.toString("utf8");
    },
    free: () => {
      slots -= 1;
      if (slots > 0 || file === null) return;
      end = 0;
      ftruncateSync(file, 0);
    },
    close: () => {
      if (file !== null) closeSync(file);
      file = null;
    },
  };
}

/** The same in memory, for tests and simulation. */
export function memorySwap(): SwapDriver {
  const texts = new Map<number, string>();
  let end = 0;
  return {
    name: "memory",
    put: (text) => {
      const slot = { offset: end, bytes: Buffer.byteLength(text) };
      texts.set(end, text);
      end += Math.max(slot.bytes, 1);
      return slot;
    },
    get: ({ offset }) => {
      const text = texts.get(offset);
      assert(text !== undefined, "the swap holds what was put there");
      return text;
    },
    free: ({ offset }) => void texts.delete(offset),
    close: () => texts.clear(),
  };
}
