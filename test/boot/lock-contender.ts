/** One starter of the lock's stress test: tries for the lock again and again, and proves alone-ness with an O_EXCL file while it holds it. */
import * as fs from "node:fs";
import { randomBytes } from "node:crypto";
import { acquireLock, readIdentity } from "../../src/boot/lock.ts";
import { systemClock } from "../../src/drivers/clock/system.ts";

const [, , folder = "", witness = "", tries = "1", crashes = "0"] = process.argv;
const clock = systemClock();
let held = 0;
let overlaps = 0;
for (let n = 0; n < Number(tries); n++) {
  const lock = await acquireLock(folder, readIdentity(process.pid), clock, () => randomBytes(4).toString("hex"));
  if (!lock.ok) {
    if (lock.error.errno !== "EBUSY") throw new Error(lock.error.message);
    // At once again: the narrower the gaps, the more starters meet in the same microseconds.
    await new Promise((wake) => setImmediate(wake));
    continue;
  }
  held += 1;
  const mine = `${witness}.${process.pid}.${n}`;
  fs.writeFileSync(mine, "");
  // Somebody else's mark of a living process beside ours is two holders at once.
  overlaps += marksOfTheLiving().length - 1;
  await new Promise((wake) => setTimeout(wake, n % 3));
  overlaps += marksOfTheLiving().length - 1;
  if (Number(crashes) > Math.random()) process.kill(process.pid, "SIGKILL");
  fs.rmSync(mine);
  lock.value.release();
}
process.stdout.write(JSON.stringify({ held, overlaps }));

function marksOfTheLiving(): readonly string[] {
  const at = witness.lastIndexOf("/");
  return fs.readdirSync(witness.slice(0, at)).filter((name) => {
    if (!name.startsWith(`${witness.slice(at + 1)}.`)) return false;
    const pid = Number(name.split(".").at(-2));
    return pid === process.pid || alive(pid);
  });
}

function alive(pid: number): boolean {
  try {
    const stat = fs.readFileSync(`/proc/${pid}/stat`, "utf8");
    return !/^[ZX]/.test(stat.slice(stat.lastIndexOf(")") + 2));
  } catch {
    return false;
  }
}
