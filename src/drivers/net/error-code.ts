/** Error code: what a failed connection says of itself: `ECONNREFUSED`, `UND_ERR_CONNECT_TIMEOUT`. Empty where it says nothing. */
export function codeOf(error: unknown): string {
  /** A connection that was tried over several addresses fails with all their errors; the first says why. */
  if (error instanceof AggregateError && error.errors.length > 0) return codeOf(error.errors[0]);
  if (typeof error !== "object" || error === null || !("code" in error)) return "";
  return typeof error.code === "string" ? error.code : "";
}
