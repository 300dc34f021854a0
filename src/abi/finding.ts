/** Finding: what a check found. fsck, doctor, tidy, trial and audit all speak it. */

export type Severity = "info" | "warning" | "error";

export interface Finding {
  /** `BOO-3.1`, `store-separation`. */
  readonly rule: string;
  readonly severity: Severity;
  /** `path:line`, `pid 4`, `entry 812`. */
  readonly where: string;
  readonly message: string;
  /** What `fsck --repair` would do; absent when only a person can mend it. */
  readonly fix?: string;
}
