/** The former name of zygote-client.ts, for importers that still use it. */
export { ZygoteClient as Helper } from "./zygote-client.ts";
export type { ZygoteClient } from "./zygote-client.ts";
