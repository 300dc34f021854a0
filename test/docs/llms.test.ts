import * as fs from "node:fs";
import * as path from "node:path";
import { describe, expect, it } from "vitest";
import { root } from "./scratch.ts";

/** The form of llmstxt.org: an H1, a blockquote, text without headings, then H2 sections that are lists of links with notes. */
describe("llms.txt", () => {
  const rows = fs.readFileSync(path.join(root, "llms.txt"), "utf8").trimEnd().split("\n");

  it("begins with one H1 and a blockquote", () => {
    expect(rows[0]).toMatch(/^# \S/);
    expect(rows.filter((row) => row.startsWith("# "))).toHaveLength(1);
    expect(rows[2]).toMatch(/^> \S/);
  });

  it("has sections that are nothing but lists of links, and no deeper heading", () => {
    const first = rows.findIndex((row) => row.startsWith("## "));
    expect(first).toBeGreaterThan(2);
    const odd = rows.slice(first).filter((row) => row !== "" && !/^## \S/.test(row) && !/^- \[[^\]]+\]\([^)\s]+\): \S/.test(row));
    expect(odd).toEqual([]);
  });

  it("lists every page of docs, and only files that are there", () => {
    const links = rows.flatMap((row) => /\]\(([^)]+)\)/.exec(row)?.[1] ?? []);
    expect(links.filter((link) => !fs.existsSync(path.join(root, link)))).toEqual([]);
    const pages = fs.readdirSync(path.join(root, "docs"), { recursive: true, encoding: "utf8" });
    for (const page of pages.filter((name) => name.endsWith(".md"))) expect(links).toContain(`docs/${page}`);
  });
});
