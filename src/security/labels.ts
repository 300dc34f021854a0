/**
 * Labels: how trust and secrecy combine.
 *   LAB-1.1  A join is never better than either side: the worse integrity, the stricter confidentiality.
 *   LAB-1.2  Joining is associative, commutative and idempotent, and equal labels are one object.
 */
import { confidentialities, integrities, type Confidentiality, type Integrity, type Label } from "../abi/label.ts";

/** One object per label, so that a join allocates nothing and equality is identity. */
const interned: readonly (readonly Label[])[] = integrities.map((integrity) =>
  confidentialities.map((confidentiality) => Object.freeze({ integrity, confidentiality })),
);

const integrityRank: Readonly<Record<Integrity, number>> = { system: 0, user: 1, derived: 2, untrusted: 3 };
const confidentialityRank: Readonly<Record<Confidentiality, number>> = { public: 0, workspace: 1, secret: 2 };

export function label(integrity: Integrity, confidentiality: Confidentiality): Label {
  return at(integrityRank[integrity], confidentialityRank[confidentiality]);
}

/** The label of a value made from both. */
export function join(a: Label, b: Label): Label {
  return at(
    Math.max(integrityRank[a.integrity], integrityRank[b.integrity]),
    Math.max(confidentialityRank[a.confidentiality], confidentialityRank[b.confidentiality]),
  );
}

function at(integrity: number, confidentiality: number): Label {
  const found = interned[integrity]?.[confidentiality];
  if (found === undefined) throw new RangeError("a label has four integrities and three confidentialities");
  return found;
}
