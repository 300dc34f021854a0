/** Label: who wrote a value and who may read it. Order is from best to worst; a join keeps the worse of each. */

/** system: the platform · user: the person's own words · derived: a model or a tool's structured field · untrusted: free text by others. */
export const integrities = ["system", "user", "derived", "untrusted"] as const;
export type Integrity = (typeof integrities)[number];

export const confidentialities = ["public", "workspace", "secret"] as const;
export type Confidentiality = (typeof confidentialities)[number];

export interface Label {
  readonly integrity: Integrity;
  readonly confidentiality: Confidentiality;
}
