/** Chain: the operands of `a && b && c` or `a || b || c`, which Cedar's JSON form nests one level deeper for each. */
import { isObject, type Json } from "../../lib/json.ts";

/** In the order of evaluation; an expression with another operator is a chain of one. */
export function chainOf(operator: "&&" | "||", expression: Json | undefined): readonly (Json | undefined)[] {
  const reversed: (Json | undefined)[] = [];
  let rest = expression;
  for (;;) {
    const body = isObject(rest) && Object.keys(rest).length === 1 ? rest[operator] : undefined;
    if (!isObject(body)) break;
    reversed.push(body["right"]);
    rest = body["left"];
  }
  reversed.push(rest);
  return reversed.toReversed();
}
