/** A real MCP server on stdio for the tests of mcp.ts. With `swap FILE` it has other tools once FILE exists. */
import { existsSync } from "node:fs";
import { StdioServerTransport } from "@modelcontextprotocol/server/stdio";
import { fixtureServer } from "./mcp-fixture.ts";
import { richServer } from "./mcp-rich.ts";

const [variant = "plain", file = ""] = process.argv.slice(2);
process.stderr.write("fixture started\n");
if (variant === "refuses") process.exit(1);
// Neither the end of its input nor a SIGTERM ends this one.
if (variant === "stubborn") {
  process.on("SIGTERM", () => undefined);
  setInterval(() => undefined, 1_000);
}
const server =
  variant === "rich"
    ? richServer()
    : fixtureServer(variant === "swap" ? (existsSync(file) ? "changed" : "plain") : variant === "stubborn" ? "plain" : variant);
await server.connect(new StdioServerTransport());
