/**
 * Fold: paths as the most forgiving file system and reader would take them, so that a name cannot be disguised from a rule that forbids it.
 * Source: Unicode Standard Annex #31, section 5 (NFKC_Casefold); the names that Win32 and HFS+ take for one.
 *   LIB-6.1  Compatibility forms, case, code points that nobody sees, and dots and spaces at the end of a segment make no difference.
 *   LIB-6.2  Folding twice is folding once, and an ASCII path without such an end is only lower-cased.
 */

export function foldPath(path: string): string {
  const folded = /^[ -~]*$/.test(path) ? path.toLowerCase() : foldText(path);
  if (!/[. ](?:\/|$)|\/\/|^\/|\/$/.test(folded)) return folded;
  // Three dots alone are a name too; with nothing left of it, it cannot hide what lies below it.
  const segments = folded.split("/").map((segment) => segment.replace(/[. ]+$/, ""));
  return segments.filter((segment) => segment !== "").join("/") || ".";
}

/** Through upper case, because only there is `ß` the same as `ss`. */
function foldText(text: string): string {
  const seen = text.normalize("NFKC").replace(/\p{Default_Ignorable_Code_Point}/gu, "");
  return seen.toLowerCase().toUpperCase().toLowerCase().normalize("NFKC");
}
