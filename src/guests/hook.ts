/**
 * Hook: the script that a guest runs before each of its calls, for agents that can be told to. It asks the model door whether a model proposed the call
 * there. Written for bash, which every sandbox has, so that it starts in a few milliseconds.
 *   GUE-4.1  Anything but a clear yes ends it with 2, which is what refuses in these agents: any other code would let the call be made.
 *   GUE-4.2  Nothing of the environment changes what it does: its address and credential stand in it, and the shell is told to read no settings.
 */
import { limits } from "../abi/limits.ts";
import type { DoorAddresses } from "./guest.ts";

/** Where it is shown, for the guest to read and not to change. */
export const hookFolder = "/etc/daimon";
export const hookFile = `${hookFolder}/hook`;

/** `-p`: neither BASH_ENV nor functions of the environment. */
export const hookCommand = `/bin/bash -p ${hookFile}`;

/** Beyond what the script itself waits, so that it is the script that refuses. */
export const hookTimeoutSeconds = limits.hookTimeoutMs / 1000 + 10;

export function hookScript({ model, credential }: Pick<DoorAddresses, "model" | "credential">): string {
  const { hostname, port } = new URL(model);
  const seconds = Math.ceil(limits.hookTimeoutMs / 1000);
  return `# Asks daimon whether a model proposed this call.
yes=
trap '[ -n "$yes" ] || exit 2' EXIT
trap 'exit 2' HUP INT TERM ALRM
trap '' PIPE
PATH=/usr/bin:/bin LC_ALL=C
no() { printf 'daimon refused: %s\\n' "$1" >&2; exit 2; }
report=$(cat; printf .) || no 'the hook could not read what is to be called'
report=\${report%.}
{ exec 3<>/dev/tcp/${hostname}/${port}; } 2>/dev/null || no 'the model door does not answer'
{ printf 'POST /daimon/hook HTTP/1.1\\r\\nHost: ${hostname}:${port}\\r\\nAuthorization: Bearer ${credential}\\r\\n'
  printf 'Content-Type: application/json\\r\\nContent-Length: %s\\r\\nConnection: close\\r\\n\\r\\n%s' "\${#report}" "$report"
} >&3 2>/dev/null || no 'the model door does not answer'
IFS=' ' read -r -t ${seconds} version status rest <&3 || no 'the model door did not answer in time'
[ "$version $status" = 'HTTP/1.1 204' ] && { yes=1; exit 0; }
while IFS= read -r -t ${seconds} line <&3; do [ "$line" = $'\\r' ] && break; done
IFS= read -r -t ${seconds} why <&3
no "\${why:-this call is not known}"
`;
}
