/** Heads: what both doors look at in the head of a request. Rules: model/guard.ts, tool/guards.ts. */

/** Every value of a header: of several of one name Node keeps the first and says nothing. */
export function valuesOf(rawHeaders: readonly string[], name: string): readonly string[] {
  return rawHeaders.filter((_value, n) => n % 2 === 1 && rawHeaders[n - 1]?.toLowerCase() === name);
}

/** `HOST` or `HOST:PORT` as a header has it: a loopback name, and the port, HTTP's own where none is said. null: any port. */
export function isThisMachine(host: string, port: number | null): boolean {
  const found = /^(?:127\.0\.0\.1|localhost|\[::1\])(?::(\d{1,5}))?$/i.exec(host);
  return found !== null && (port === null || Number(found[1] ?? 80) === port);
}
