/**
 * Secret: does a text look like a credential? Used where a credential must not stand, so a doubtful case is left alone.
 *   BOO-3.6  Keys of the known providers, private keys, bearer tokens and signed web tokens are recognised; names, paths, addresses, digests and prose are not.
 * Source: the key formats the providers publish for secret scanning.
 */

const formats: readonly RegExp[] = [
  /\bsk-(?:ant-|proj-|or-v1-|svcacct-|admin-)?[A-Za-z0-9_-]{20,}/,
  /\b(?:sk|rk|pk)_(?:live|test)_[A-Za-z0-9]{16,}/,
  /\bAIza[A-Za-z0-9_-]{35}/,
  /\b(?:AKIA|ASIA)[A-Z0-9]{16}\b/,
  /\bgh[pousr]_[A-Za-z0-9]{36,}/,
  /\bgithub_pat_[A-Za-z0-9_]{40,}/,
  /\bglpat-[A-Za-z0-9_-]{20,}/,
  /\bxox[abeoprs]-[A-Za-z0-9-]{10,}/,
  /\b(?:hf|gsk|pplx|r8|npm|xai|nvapi|dop_v1|tvly)[_-][A-Za-z0-9_-]{24,}/,
  /-----BEGIN (?:[A-Z]+ )*PRIVATE KEY-----/,
  /\beyJ[A-Za-z0-9_-]{10,}\.eyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{10,}/,
  /\bBearer\s+[A-Za-z0-9._~+/-]{20,}/i,
];

export function looksSecret(text: string): boolean {
  return formats.some((format) => format.test(text));
}
