/**
 * Reach: what a call that names a folder may do with the files below it. The trap sees the folder's name; here each file is asked for by its own.
 *   BOO-19.1  What policy would not let a call name is left out of what it searches and shows, and refuses a commit as a whole.
 *   BOO-19.2  A file that needs a person's yes is reached only by a call that a person was asked about; otherwise it must be named itself.
 *   BOO-19.3  A folder that the program declared as its output is declared with what lies in it.
 *   BOO-19.4  A link is no declared output, and none is committed that stands for what the process may not read.
 */
import type { CallSpec } from "../abi/call.ts";
import { sysError, type SysError } from "../abi/errno.ts";
import type { Decision, PolicyEngine } from "../abi/policy.ts";
import { actionOf, principalOf, questionsOf } from "../security/question.ts";
import { fsSpecs } from "../drivers/tool/fs-specs.ts";
import type { Proc } from "../kernel/table.ts";

/** null lets the call have the path; else why it may not. Of a link, `target` is the path in the workspace that it stands for; null leads out. */
export type Reach = (path: string, target?: string | null) => SysError | null;

/** `named` is what the process gave as paths, for which the trap has let it through. */
export function reachOf(policy: PolicyEngine, proc: Proc, spec: CallSpec, named: readonly string[]): Reach {
  const decide = asker(policy, proc, spec);
  const { outputs } = proc.manifest;
  const reading = asker(policy, proc, fsSpecs.read);
  const wasAsked = named.some((path) => decide(path, outputs).verb === "ask");
  const declared = named.filter((path) => outputs.includes(path));
  return (path, target) => {
    const refused = (why: string): SysError => sysError("EPERM", `${spec.name} was refused for ${path}, ${why}`);
    const isLink = target !== undefined;
    const decision = decide(path, isLink ? [] : declared.some((folder) => path.startsWith(`${folder}/`)) ? [path] : outputs);
    if (isLink && decision.verb === "ask" && !wasAsked)
      return refused(
        "which is a link, and an output is a file: remove the link with shell.run, and write the file with fs.write",
      );
    if (decision.verb === "deny" || (decision.verb === "ask" && !wasAsked)) return refused(whyNot(policy, decision));
    if (!isLink || target === null || reading(target, []).verb === "allow") return null;
    return refused(`which is a link to ${target}, and that may not be read: commit without it`);
  };
}

/** How policy decides when the call is made on this path. */
function asker(policy: PolicyEngine, proc: Proc, spec: CallSpec): (path: string, outputs: readonly string[]) => Decision {
  const action = actionOf(spec);
  const principal = principalOf(proc.manifest.name);
  const [argument = ""] = Object.entries(spec.roles).find(([, role]) => role === "path") ?? [];
  return (path, outputs) => {
    const questions = questionsOf(spec, action, { [argument]: path }, { principal, outputs, label: proc.label });
    const question = questions.ok ? questions.value[0] : undefined;
    return question === undefined ? { verb: "deny", rules: [] } : policy.decide(question);
  };
}

function whyNot(policy: PolicyEngine, { verb, rules }: Decision): string {
  if (verb === "ask") return "which a person is asked about: name it itself, and they will be";
  const rule = rules[0] === undefined ? undefined : policy.rule(rules[0]);
  if (rule === undefined) return "which no rule permits: name the files that you mean, without it";
  const because = rule.reason === null ? "" : ` (${rule.reason})`;
  return `which rule ${rule.id} of the ${rule.scope} policy forbids${because}: name the files that you mean, without it`;
}
