/**
 * Reach: what a call that names a folder may do with the files below it. The trap sees the folder's name; here each file is asked for by its own.
 *   BOO-19.1  What policy would not let a call name is left out of what it searches and shows, and refuses a commit as a whole.
 *   BOO-19.2  A file that needs a person's yes is reached only by a call that a person was asked about; otherwise it must be named itself.
 *   BOO-19.3  A folder that the program declared as its output is declared with what lies in it.
 */
import type { CallSpec } from "../abi/call.ts";
import { sysError, type SysError } from "../abi/errno.ts";
import type { Decision, PolicyEngine } from "../abi/policy.ts";
import { actionOf, principalOf, questionsOf } from "../security/question.ts";
import type { Proc } from "../kernel/table.ts";

/** null lets the call have the file; else why it may not. */
export type Reach = (path: string) => SysError | null;

/** `named` is what the process gave as paths, for which the trap has let it through. */
export function reachOf(policy: PolicyEngine, proc: Proc, spec: CallSpec, named: readonly string[]): Reach {
  const action = actionOf(spec);
  const principal = principalOf(proc.manifest.name);
  const [argument = ""] = Object.entries(spec.roles).find(([, role]) => role === "path") ?? [];
  const decide = (path: string, outputs: readonly string[]): Decision => {
    const questions = questionsOf(spec, action, { [argument]: path }, { principal, outputs, label: proc.label });
    const question = questions.ok ? questions.value[0] : undefined;
    return question === undefined ? { verb: "deny", rules: [] } : policy.decide(question);
  };
  const { outputs } = proc.manifest;
  const wasAsked = named.some((path) => decide(path, outputs).verb === "ask");
  const declared = named.filter((path) => outputs.includes(path));
  return (path) => {
    const decision = decide(path, declared.some((folder) => path.startsWith(`${folder}/`)) ? [path] : outputs);
    if (decision.verb === "allow" || (decision.verb === "ask" && wasAsked)) return null;
    return sysError("EPERM", `${spec.name} was refused for ${path}, ${whyNot(policy, decision)}`);
  };
}

function whyNot(policy: PolicyEngine, { verb, rules }: Decision): string {
  if (verb === "ask") return "which a person is asked about: name it itself, and they will be";
  const rule = rules[0] === undefined ? undefined : policy.rule(rules[0]);
  if (rule === undefined) return "which no rule permits: name the files that you mean, without it";
  const because = rule.reason === null ? "" : ` (${rule.reason})`;
  return `which rule ${rule.id} of the ${rule.scope} policy forbids${because}: name the files that you mean, without it`;
}
