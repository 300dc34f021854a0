/** Errors: docs/reference/errors.md, from the errno table. */
import type { errnos } from "../../src/abi/errno.ts";
import { code, generated, tableOf } from "./markdown.ts";

const retries = { never: "no", later: "later, unchanged", "after-change": "after a change" } as const;

export function errorsPage(table: typeof errnos): string {
  const rows = Object.entries(table).map(([errno, row]) => [
    code(errno),
    row.text,
    retries[row.retry],
    String(row.exit),
    String(row.http),
    String(row.rpc),
  ]);
  return `# Errors

${generated}

Every call that fails names one of these. The message beside it says what happened, why, and the next step. The table is
[src/abi/errno.ts](../../src/abi/errno.ts).

${tableOf(["Errno", "Meaning", "Worth a retry", "Exit code", "HTTP status", "JSON-RPC and MCP code"], rows)}

Exit code 0 is success and 1 a check that found something; 70 is a broken invariant of daimon itself, and a report is welcome.
`;
}
