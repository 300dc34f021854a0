/**
 * Expression: compile Cedar's JSON form of an expression into a closure over the request.
 *   POL-5.1  Every operator answers as Cedar's does, short circuits included; `undefined` is Cedar's evaluation error.
 *   POL-5.2  An operator, function or literal the compiler does not know is refused at load, by name; it never means something else.
 */
import { isObject, type Json, type JsonObject } from "../../lib/json.ts";
import { err, ok, type Result } from "../../lib/result.ts";
import { chainOf } from "./chain.ts";
import { extensionFunctions, long } from "./extension.ts";
import { likeMatcher, runsOf, type PatternElement } from "./like.ts";
import { actorOf, binary, entityIn, isEntity, isLong, isRecord, isSet, type Scene } from "./operators.ts";
import { readValue, setOf, type Fields, type Value } from "./value.ts";

export type Evaluate = (scene: Scene) => Value | undefined;

/** Thrown and caught within this folder only; `compile` gives a Result. */
class Refusal extends Error {}

const depthMax = 200;

/** The closure, or why there is none. */
export function compileExpression(expression: Json): Result<Evaluate, string> {
  try {
    return ok(compile(expression, 0));
  } catch (cause) {
    if (cause instanceof Refusal) return err(cause.message);
    throw cause;
  }
}

function compile(expression: Json, depth: number): Evaluate {
  if (depth > depthMax) throw new Refusal(`the expression is nested deeper than ${depthMax} levels`);
  if (!isObject(expression)) throw new Refusal("an expression is an object");
  const operators = Object.keys(expression);
  const operator = operators[0];
  if (operator === undefined || operators.length !== 1) throw new Refusal("an expression has one operator");
  const body = expression[operator];
  const inner = (part: Json | undefined): Evaluate => compile(part ?? null, depth + 1);
  if (operator === "&&" || operator === "||") return compileChain(operator === "||", chainOf(operator, expression).map(inner));
  if (Array.isArray(body) && operator !== "Set") return compileCall(operator, body.map(inner));
  switch (operator) {
    case "Value":
      return compileLiteral(body);
    case "Var":
      return compileVariable(body);
    case "Set":
      return compileSet((Array.isArray(body) ? body : []).map(inner));
    default:
      if (!isObject(body)) throw new Refusal(`the operator "${operator}" is not supported`);
      return operator === "Record" ? compileRecord(body, inner) : compileOperator(operator, body, inner);
  }
}

function compileOperator(operator: string, body: JsonObject, inner: (part: Json | undefined) => Evaluate): Evaluate {
  switch (operator) {
    case "!":
    case "neg":
    case "isEmpty":
      return compileUnary(operator, inner(body["arg"]));
    case "if-then-else":
      return compileIf(inner(body["if"]), inner(body["then"]), inner(body["else"]));
    case ".":
      return compileAttribute(body, inner);
    case "has":
      return compileHas(body, inner);
    case "like":
      return compileLike(body, inner);
    case "is":
      return compileIs(body, inner);
    default:
      return compileBinary(operator, inner(body["left"]), inner(body["right"]));
  }
}

function compileLiteral(json: Json | undefined): Evaluate {
  const value = readValue(json ?? null);
  if (value === undefined) {
    if (typeof json === "number") {
      throw new Refusal(
        "an integer literal beyond ±9007199254740991 cannot be carried exactly; write it as a product or sum of smaller ones",
      );
    }
    throw new Refusal(`the literal ${JSON.stringify(json)} is not supported`);
  }
  return () => value;
}

function compileVariable(name: Json | undefined): Evaluate {
  switch (name) {
    case "principal":
      return (scene) => scene.principal.value;
    case "action":
      return (scene) => scene.action.value;
    case "resource":
      return (scene) => scene.resource.value;
    case "context":
      return (scene) => ({ kind: "record", fields: scene.context });
    default:
      throw new Refusal(`the variable ${JSON.stringify(name)} is not supported`);
  }
}

function compileSet(parts: readonly Evaluate[]): Evaluate {
  return (scene) => {
    const values = evaluateAll(parts, scene);
    return values === undefined ? undefined : setOf(values);
  };
}

function compileRecord(body: JsonObject, inner: (part: Json | undefined) => Evaluate): Evaluate {
  const names = Object.keys(body);
  const parts = names.map((name) => inner(body[name]));
  return (scene) => {
    const values = evaluateAll(parts, scene);
    if (values === undefined) return undefined;
    const fields = Object.create(null) as Record<string, Value>;
    names.forEach((name, at) => (fields[name] = values[at] as Value));
    return { kind: "record", fields };
  };
}

function compileCall(name: string, args: readonly Evaluate[]): Evaluate {
  const known = Object.hasOwn(extensionFunctions, name) ? extensionFunctions[name] : undefined;
  if (known === undefined) throw new Refusal(`the function "${name}" is not supported`);
  if (known.arity !== args.length) throw new Refusal(`the function "${name}" takes ${known.arity} arguments`);
  return (scene) => {
    const values = evaluateAll(args, scene);
    return values === undefined ? undefined : known.run(values);
  };
}

function evaluateAll(parts: readonly Evaluate[], scene: Scene): Value[] | undefined {
  const values: Value[] = [];
  for (const part of parts) {
    const value = part(scene);
    if (value === undefined) return undefined;
    values.push(value);
  }
  return values;
}

/** `||` ends at the first operand that is true, `&&` at the first that is false; until then every operand must be a boolean. */
function compileChain(ends: boolean, operands: readonly Evaluate[]): Evaluate {
  const [left, right] = operands;
  if (operands.length === 2 && left !== undefined && right !== undefined) {
    return (scene) => {
      const first = left(scene);
      if (first !== !ends) return first === ends ? ends : undefined;
      const second = right(scene);
      return typeof second === "boolean" ? second : undefined;
    };
  }
  return (scene) => {
    for (const operand of operands) {
      const value = operand(scene);
      if (value !== !ends) return value === ends ? ends : undefined;
    }
    return !ends;
  };
}

function compileIf(test: Evaluate, then: Evaluate, otherwise: Evaluate): Evaluate {
  return (scene) => {
    const answer = test(scene);
    if (answer === true) return then(scene);
    return answer === false ? otherwise(scene) : undefined;
  };
}

function compileUnary(operator: "!" | "neg" | "isEmpty", arg: Evaluate): Evaluate {
  switch (operator) {
    case "!":
      return (scene) => {
        const value = arg(scene);
        return typeof value === "boolean" ? !value : undefined;
      };
    case "neg":
      return (scene) => {
        const value = arg(scene);
        return isLong(value) ? long(-BigInt(value)) : undefined;
      };
    case "isEmpty":
      return (scene) => {
        const value = arg(scene);
        return isSet(value) ? value.members.size === 0 : undefined;
      };
  }
}

function compileBinary(operator: string, left: Evaluate, right: Evaluate): Evaluate {
  const apply = Object.hasOwn(binary, operator) ? binary[operator] : undefined;
  if (apply === undefined) throw new Refusal(`the operator "${operator}" is not supported`);
  return (scene) => {
    const first = left(scene);
    if (first === undefined) return undefined;
    const second = right(scene);
    return second === undefined ? undefined : apply(first, second, scene);
  };
}

function compileAttribute(body: JsonObject, inner: (part: Json | undefined) => Evaluate): Evaluate {
  const name = body["attr"];
  if (typeof name !== "string") throw new Refusal("an attribute's name is a string");
  const fieldsOf = compileFields(body["left"], inner);
  if (name in Object.prototype) {
    return (scene) => {
      const fields = fieldsOf(scene);
      return fields !== undefined && Object.hasOwn(fields, name) ? fields[name] : undefined;
    };
  }
  return (scene) => fieldsOf(scene)?.[name];
}

/** `a has b.c` is `a has b && a.b has c`. */
function compileHas(body: JsonObject, inner: (part: Json | undefined) => Evaluate): Evaluate {
  const attr = body["attr"];
  const path = Array.isArray(attr) ? attr : [attr];
  if (!path.every((name) => typeof name === "string")) throw new Refusal("an attribute's name is a string");
  const target = path.length === 1 ? compileFieldsOrNone(body["left"], inner) : inner(body["left"]);
  if (path.length === 1) {
    const name = path[0] as string;
    return (scene) => {
      const fields = (target as (scene: Scene) => Fields | null | undefined)(scene);
      if (fields === undefined) return undefined;
      return fields !== null && Object.hasOwn(fields, name) && fields[name] !== undefined;
    };
  }
  return (scene) => {
    let value = (target as Evaluate)(scene);
    for (const name of path as readonly string[]) {
      const fields = fieldsOrNone(value, scene);
      if (fields === undefined) return undefined;
      if (fields === null || !Object.hasOwn(fields, name)) return false;
      value = fields[name];
      if (value === undefined) return false;
    }
    return true;
  };
}

/** The fields of a record or of an entity of the request. The variables are read straight from the scene: the hot path. */
function compileFields(
  left: Json | undefined,
  inner: (part: Json | undefined) => Evaluate,
): (scene: Scene) => Fields | undefined {
  const fields = compileFieldsOrNone(left, inner);
  return (scene) => fields(scene) ?? undefined;
}

function compileFieldsOrNone(
  left: Json | undefined,
  inner: (part: Json | undefined) => Evaluate,
): (scene: Scene) => Fields | null | undefined {
  const variable = isObject(left) ? left["Var"] : undefined;
  if (variable === "context") return (scene) => scene.context;
  if (variable === "principal") return (scene) => scene.principal.attrs;
  if (variable === "resource") return (scene) => scene.resource.attrs;
  const value = inner(left);
  return (scene) => fieldsOrNone(value(scene), scene);
}

/** null: an entity that is not part of the request; undefined: a value without fields. */
function fieldsOrNone(value: Value | undefined, scene: Scene): Fields | null | undefined {
  if (isRecord(value)) return value.fields;
  if (isEntity(value)) return actorOf(scene, value)?.attrs ?? null;
  return undefined;
}

function compileLike(body: JsonObject, inner: (part: Json | undefined) => Evaluate): Evaluate {
  const pattern = body["pattern"];
  if (!Array.isArray(pattern)) throw new Refusal("a pattern of `like` is a list");
  const matches = likeMatcher(runsOf(pattern as readonly PatternElement[]));
  const left = inner(body["left"]);
  return (scene) => {
    const text = left(scene);
    return typeof text === "string" ? matches(text) : undefined;
  };
}

function compileIs(body: JsonObject, inner: (part: Json | undefined) => Evaluate): Evaluate {
  const type = body["entity_type"];
  if (typeof type !== "string") throw new Refusal("an entity type is a string");
  const left = inner(body["left"]);
  const group = body["in"] === undefined ? undefined : inner(body["in"]);
  return (scene) => {
    const value = left(scene);
    if (!isEntity(value)) return undefined;
    if (value.type !== type) return false;
    if (group === undefined) return true;
    const right = group(scene);
    return right === undefined ? undefined : entityIn(value, right, scene);
  };
}
