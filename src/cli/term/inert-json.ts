/**
 * Inert JSON: JSON that a terminal can be shown.
 *   TTY-12.1  What a terminal might obey or hide is written as an escape; parsing gives the same value.
 */

export function inertJson(value: unknown): string {
  return JSON.stringify(value).replaceAll(
    /[\u007f-\u009f\p{Default_Ignorable_Code_Point}\p{Cf}\u2028\u2029\p{Surrogate}]/gu,
    (character) =>
      character
        .split("")
        .map((unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, "0")}`)
        .join(""),
  );
}
