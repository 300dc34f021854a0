/**
 * Properties: which examples fast-check tries. A suite that is run twice tries the same ones, so that a red run means the change and not
 * the day; `npm run trial:properties` looks for new ones, and PROPERTY_SEED says which (a number, or `random`).
 */
import fc from "fast-check";

const seed = process.env.PROPERTY_SEED ?? "20261121";
if (seed !== "random") fc.configureGlobal({ seed: Number(seed) });
