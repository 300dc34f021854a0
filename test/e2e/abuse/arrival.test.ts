/** A `.daimon` that arrives with somebody else's files, in the ways in which files arrive: it is not believed, and nothing of it acts. */
import { spawnSync } from "node:child_process";
import * as fs from "node:fs";
import * as path from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import { errnos } from "../../../src/abi/errno.ts";
import { put, snapshot } from "../../boot/folder.ts";
import { evil, planted } from "../../boot/planted.ts";
import { down, perform, up, workspace, type Workspace } from "../../boot/machine.ts";
import { daimon, documents, place, type Place, type Ran } from "../../cli/shell.ts";

const attacker: { made: Workspace | null } = { made: null };
beforeAll(async () => {
  attacker.made = await planted();
}, 60_000);

function theirs(): Workspace {
  if (attacker.made === null) throw new Error("the attacker's workspace is made before all");
  return attacker.made;
}

function sh(cwd: string, script: string): void {
  const identity = "-c user.name=a -c user.email=a@example.com -c init.defaultBranch=main -c core.hooksPath=/dev/null";
  const ran = spawnSync("bash", ["-e", "-c", `git() { command git ${identity} "$@"; }\n${script}`], {
    cwd,
    encoding: "utf8",
    env: { PATH: process.env["PATH"], HOME: cwd, GIT_CONFIG_NOSYSTEM: "1" },
  });
  if (ran.status !== 0) throw new Error(`${script}: ${ran.stdout} ${ran.stderr}`);
}

function environment(home: string): Readonly<Record<string, string>> {
  return { PATH: process.env["PATH"] ?? "", HOME: home };
}

/** Neither the commit nor the parked process of the attacker's journal did anything, and its files are as they came. */
function nothingActed(root: string, before: ReturnType<typeof snapshot>, ran: Ran, name: string): void {
  expect(ran.err, name).not.toMatch(/\n\s+at |node:internal/);
  expect(fs.readFileSync(path.join(root, "build.sh"), "utf8"), name).toBe("make\n");
  expect(snapshot(path.join(root, ".daimon")), name).toEqual(before);
}

describe("a planted .daimon", () => {
  it("the plant is a real one: where it was made, the commit is performed", async () => {
    const where = await planted();
    const ran = daimon(where.root, ["run", "--resume"], environment(where.home));
    expect(ran.code).toBe(errnos.EAGAIN.exit);
    expect(where.read("build.sh")).toBe(evil);
  });

  it.each([
    ["cp -a", "cp -a THEIRS/. ."],
    ["cp -r", "cp -r THEIRS/. ."],
    ["cp -al", "cp -al THEIRS/. ."],
    ["tar", "tar -C THEIRS -cf - . | tar -xf -"],
    ["an empty .daimon before it", "mkdir .daimon; cp -a THEIRS/. ."],
    ["git clone", "cp -a THEIRS ../theirs; cd ../theirs; git init -q; git add -fA; git commit -qm all; git clone -q . ../work"],
  ])("brought by %s it is not believed: it is told, and nothing acts", (name, script) => {
    const here = place();
    sh(here.folder, script.replace("THEIRS", theirs().root));
    expect(here.has(".daimon/keys/journal.pem"), "it came whole").toBe(true);
    const before = snapshot(path.join(here.folder, ".daimon"));
    fs.mkdirSync(path.join(here.folder, "below"));
    for (const folder of [here.folder, path.join(here.folder, "below")]) {
      const ran = daimon(folder, ["run", "--resume"], here.env());
      expect(ran.code).toBe(errnos.EUCLEAN.exit);
      expect(ran.err).toMatch(/next: .*daimon fsck/);
      nothingActed(here.folder, before, ran, folder);
    }
    const told = here.run("fsck");
    expect(told.code).toBe(1);
    const words = name === "cp -al" ? /a second name elsewhere/ : /commit +cut short, the next run would finish it: build\.sh/;
    expect(told.out).toMatch(words);
    nothingActed(here.folder, before, told, "fsck");
  });

  it("only a person's adoption makes it act, and by then it was told what it would do", () => {
    const here = place();
    sh(here.folder, `cp -a ${theirs().root}/. .`);
    const adopted = here.run("fsck", "--adopt", "--yes");
    expect(adopted).toMatchObject({ code: 0, out: expect.stringContaining("build.sh") });
    here.run("run", "--resume");
    expect(here.read("build.sh")).toBe(evil);
  });
});

describe("files that come into a .daimon of ours", () => {
  interface Clone {
    readonly where: Workspace;
    run(...args: string[]): Ran;
    /** What upstream commits, and a pull brings. */
    pull(script: string): void;
  }

  /** A clone in which daimon has run. Git ignores its `.daimon`, and what git ignores it overwrites without a word. */
  async function clone(): Promise<Clone> {
    const where = workspace();
    const upstream = path.join(where.folder, "upstream");
    sh(where.folder, "mkdir upstream; cd upstream; git init -q; echo make > build.sh; git add -A; git commit -qm one");
    sh(where.root, `git init -q; git pull -q ${upstream} main`);
    const machine = await up(where);
    await perform(machine, [["fs.write", { path: "note.txt", text: "mine\n" }]]);
    await down(machine);
    return {
      where,
      run: (...args) => daimon(where.root, args, environment(where.home)),
      pull: (script) => {
        sh(upstream, `${script}\ngit add -fA; git commit -qm two`);
        sh(where.root, `git pull -q ${upstream} main`);
      },
    };
  }

  it("a journal that a pull exchanges under our own key is refused: it is not signed with it", async () => {
    const { where, run, pull } = await clone();
    const journal = path.join(where.layout.journal, "000000000000.log");
    const mine = fs.readFileSync(journal);
    const { layout } = theirs();
    pull(`mkdir .daimon; cp -a ${layout.journal} ${layout.blobs} ${layout.sessions} .daimon/`);
    expect(fs.readFileSync(journal).equals(mine), "git overwrote it").toBe(false);
    const before = snapshot(where.layout.folder);
    for (const command of [["run", "--resume"], ["ps"], ["log"]]) {
      const ran = run(...command);
      expect([command[0], ran.code]).toEqual([command[0], errnos.EKEYREJECTED.exit]);
      expect(ran.err).toContain("somebody else's files took its place");
      if (command[0] !== "run") nothingActed(where.root, before, ran, command.join(" "));
    }
    expect(where.read("build.sh")).toBe("make\n");
    expect(run("fsck").out).toMatch(/error: .daimon\/journal: the journal is not signed/);
    expect(run("fsck", "--repair", "--yes").code, "who signed it is nothing that a repair mends").toBe(1);
    expect(run("run", "--resume").code).toBe(errnos.EKEYREJECTED.exit);
    expect(where.read("build.sh")).toBe("make\n");
  });

  it("a pull that exchanges all of it, key and journal, is refused: the key is not the one that was recorded", async () => {
    const { where, run, pull } = await clone();
    pull(`cp -a ${theirs().layout.folder} .`);
    const before = snapshot(where.layout.folder);
    const ran = run("run", "--resume");
    expect(ran.code).toBe(errnos.EUCLEAN.exit);
    expect(ran.err).toContain("the key in .daimon/keys is not the one");
    nothingActed(where.root, before, ran, "pulled");
  });

  it("links that a pull puts into it lead nowhere", async () => {
    const { where, run, pull } = await clone();
    const secret = path.join(where.home, ".bashrc");
    put(secret, "as it was\n");
    pull(`mkdir -p .daimon/sessions/1; cd .daimon/sessions/1
      for name in base.jsonl.next gone.jsonl.next mounted.next; do ln -s ${secret} $name; done; cd ../..
      ln -s ${secret} index.sqlite; cd ..`);
    const grep = run("log", "--grep", "mine");
    expect(grep).toMatchObject({ code: errnos.EUCLEAN.exit, err: expect.stringContaining("index.sqlite is a link") });
    fs.rmSync(where.layout.index);
    expect(run("diff", "1")).toMatchObject({ code: errnos.EUCLEAN.exit, err: expect.stringContaining("is a link") });
    expect(fs.readFileSync(secret, "utf8")).toBe("as it was\n");
  });

  it("a link in place of .daimon, or of a folder in it, is refused and not followed", async () => {
    const { where, run } = await clone();
    const aside = path.join(where.folder, "aside");
    for (const name of ["", "journal", "keys", "run", "sessions"]) {
      const at = path.join(where.layout.folder, name);
      fs.renameSync(at, aside);
      fs.symlinkSync(aside, at);
      const before = snapshot(aside);
      for (const command of [["run", "--resume"], ["ps"]])
        expect(run(...command)).toMatchObject({ code: errnos.EUCLEAN.exit, err: expect.stringContaining("is a link") });
      for (const command of name === "" ? [["fsck"], ["fsck", "--adopt", "--yes"], ["fsck", "--repair", "--yes"]] : [["fsck"]]) {
        const ran = run(...command);
        expect([1, errnos.EUCLEAN.exit], ran.err).toContain(ran.code);
        expect(ran.out + ran.err).toContain("is a link");
      }
      expect(snapshot(aside), name).toEqual(before);
      fs.rmSync(at);
      fs.renameSync(aside, at);
    }
    expect(run("ps", "--all").code).toBe(0);
  });

  it("pipes where files should be are told, and nobody waits for them", async () => {
    const { where, run } = await clone();
    for (const name of ["keys/journal.pem", "keys/journal.pub.pem", "run/control.sock"]) {
      const at = path.join(where.layout.folder, name);
      const aside = path.join(where.folder, "aside");
      if (fs.existsSync(at)) fs.renameSync(at, aside);
      expect(spawnSync("mkfifo", [at]).status).toBe(0);
      expect([name, run("ps").code]).toEqual([name, name.startsWith("keys") ? errnos.EUCLEAN.exit : 0]);
      fs.rmSync(at);
      if (fs.existsSync(aside)) fs.renameSync(aside, at);
    }
  });
});

describe("whose folder it is", () => {
  const other = { uid: 65_534, gid: 65_534 };
  const bin = path.resolve(import.meta.dirname, "../../../bin/daimon.mjs");

  function asOther(here: Place, home: string, ...args: readonly string[]): Ran {
    const options = { cwd: here.folder, env: environment(home), encoding: "utf8", ...other } as const;
    const ran = spawnSync(process.execPath, [bin, ...args], options);
    return { code: ran.status, out: ran.stdout, err: ran.stderr };
  }

  it("a user in root's folder is refused before anything is made; root in another user's is told, and its files are its own", ({
    skip,
  }) => {
    if (process.getuid?.() !== 0) skip("only root can give a folder to another user");
    const here = place();
    documents(here);
    const home = path.join(path.dirname(here.home), "other");
    fs.mkdirSync(home);
    fs.chownSync(home, other.uid, other.gid);
    fs.chmodSync(here.folder, 0o777);
    for (const folder of [path.dirname(here.folder), path.dirname(path.dirname(here.folder))]) fs.chmodSync(folder, 0o755);
    if (asOther(here, home, "version").code !== 0) skip("another user cannot reach this checkout");
    const refused = (from: number, as: number) => ({
      code: errnos.EUCLEAN.exit,
      err: expect.stringMatching(new RegExp(`folder belongs to user ${from} and you are user ${as}[^]*next: run as its owner`)),
    });
    expect(asOther(here, home, "init")).toMatchObject(refused(0, other.uid));
    fs.chownSync(here.folder, other.uid, other.gid);
    expect(here.has(".daimon")).toBe(false);
    expect(asOther(here, home, "init"), "its owner works in it").toMatchObject({ code: 0, err: "" });
    expect(asOther(here, home, "fsck"), "and again").toMatchObject({ code: 0, err: "" });
    expect(here.run("ps")).toMatchObject({
      code: errnos.EUCLEAN.exit,
      err: expect.stringContaining(`.daimon belongs to user ${other.uid}`),
    });
    expect(here.run("run", "brief", "inbox")).toMatchObject({
      code: errnos.EUCLEAN.exit,
      err: expect.stringContaining(`.daimon belongs to user ${other.uid}`),
    });
    fs.chownSync(here.folder, 0, 0);
    expect(asOther(here, home, "ps")).toMatchObject(refused(0, other.uid));

    fs.rmSync(path.join(here.folder, ".daimon"), { recursive: true });
    fs.chownSync(here.folder, other.uid, other.gid);
    const ran = here.run("run", "brief", "inbox");
    expect(ran).toMatchObject({ code: 0, err: expect.stringMatching(new RegExp(`belongs to user ${other.uid}, who can`)) });
    expect(asOther(here, home, "ps")).toMatchObject({
      code: errnos.EUCLEAN.exit,
      err: expect.stringContaining("belongs to user 0"),
    });
  });

  it("a folder bound to a second place is another one there, and adopted works in both", ({ skip }) => {
    const here = place();
    expect(here.run("init").code).toBe(0);
    const bound = `${here.folder}-bound`;
    fs.mkdirSync(bound);
    if (spawnSync("mount", ["--bind", here.folder, bound]).status !== 0) skip("a folder cannot be bound here: that needs root");
    try {
      const refused = { code: errnos.EUCLEAN.exit, err: expect.stringContaining("seen through another path") };
      expect(daimon(bound, ["ps"], here.env())).toMatchObject(refused);
      expect(daimon(bound, ["fsck", "--adopt", "--yes"], here.env()).code).toBe(0);
      for (const folder of [bound, here.folder]) expect(daimon(folder, ["fsck"], here.env()).code).toBe(0);
    } finally {
      spawnSync("umount", [bound]);
    }
  });

  it("a mount in place of .daimon is adopted once, and then used", ({ skip }) => {
    const here = place();
    const at = path.join(here.folder, ".daimon");
    fs.mkdirSync(at);
    const mounted = spawnSync("mount", ["-t", "tmpfs", "-o", "mode=700", "tmpfs", at]);
    if (mounted.status !== 0) skip("a file system cannot be mounted here: that needs root");
    try {
      const refused = { code: errnos.EIO.exit, err: expect.stringMatching(/mount point[^]*daimon fsck --adopt/) };
      expect(here.run("init")).toMatchObject(refused);
      expect(fs.readdirSync(here.folder)).toEqual([".daimon"]);
      expect(here.run("fsck", "--adopt", "--yes").code).toBe(0);
      expect(here.run("init").code).toBe(0);
      expect(here.run("fsck").code).toBe(0);
    } finally {
      spawnSync("umount", [at]);
    }
  });

  it("a home that cannot be written: the run works and says what that means, and the next command is refused with the way out", () => {
    const here = place();
    documents(here);
    const nowhere = here.env({ HOME: "/dev/null" });
    expect(daimon(here.folder, ["run", "brief", "inbox"], nowhere)).toMatchObject({
      code: 0,
      err: expect.stringMatching(/warning: .daimon: .*will not be known again.*XDG_CONFIG_HOME/),
    });
    expect(here.has("BRIEF.md")).toBe(true);
    expect(daimon(here.folder, ["ps"], nowhere).code).toBe(errnos.EUCLEAN.exit);
    const better = here.env({ HOME: "/dev/null", XDG_CONFIG_HOME: path.join(here.home, "config") });
    expect(daimon(here.folder, ["fsck", "--adopt", "--yes"], better).code).toBe(0);
    expect(daimon(here.folder, ["ps", "--all"], better).code).toBe(0);
  });

  it("a user folder that others can write vouches for nothing", () => {
    const here = place();
    expect(here.run("init").code).toBe(0);
    fs.chmodSync(path.join(here.home, ".config/daimon"), 0o777);
    for (const command of [["run", "--resume"], ["ps"], ["config"], ["config", "trust", "daimon.yaml"]])
      expect(here.run(...command)).toMatchObject({ code: errnos.EUCLEAN.exit, err: expect.stringContaining("chmod go-w") });
    fs.chmodSync(path.join(here.home, ".config/daimon"), 0o700);
    expect(here.run("fsck").code).toBe(0);
  });
});
