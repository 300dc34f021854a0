/** What bench/mcp.ts starts on stdio: `sdk` is the SDK's server alone, `door` the tool door with the same tool as a call of its kernel. A part of mcp.ts. */
import { serveStdio } from "@modelcontextprotocol/server/stdio";
import { serveStreams } from "../src/doors/tool/stdio.ts";
import { doorOf, sdkServer } from "./mcp-sides.ts";

if (process.argv[2] === "sdk") serveStdio(sdkServer);
else serveStreams(doorOf(), process.stdin, process.stdout);
