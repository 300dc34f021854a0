/** Limits: every bound of the system in one place, each with its unit in its name. */

export const limits = {
  /** A value of more bytes goes to the blob store and the journal holds its digest. */
  inlineBytesMax: 4_096,
  /** A record of the journal. */
  recordBytesMax: 16 * 1024 * 1024,
  /** A journal segment is closed and a checkpoint written beyond this. */
  segmentBytesMax: 64 * 1024 * 1024,
  /** What one call may put into the window; the rest is read on with another call. */
  resultTokensMax: 2_000,
  /** Arguments of one call, serialised. */
  argsBytesMax: 1024 * 1024,
  jsonDepthMax: 64,
  /** Calls of one reply that are looked at; more are refused. */
  callsPerTurnMax: 64,
  fileBytesMax: 16 * 1024 * 1024,
  pathBytesMax: 4_096,
  processesMax: 100_000,
  spawnDepthMax: 16,
  stepsMax: 10_000,
  outputTokensMax: 4_096,
  shellTimeoutMs: 120_000,
  shellMemoryBytesMax: 1024 * 1024 * 1024,
  shellProcessesMax: 256,
  shellOutputBytesMax: 1024 * 1024,
  fetchTimeoutMs: 30_000,
  fetchBytesMax: 4 * 1024 * 1024,
  /** Retries of one model request after a transient failure. */
  modelRetriesMax: 4,
  modelTimeoutMs: 600_000,
  configBytesMax: 1024 * 1024,
  /** Share of the window at which pages leave, and down to which they leave. */
  windowHighShare: 0.8,
  windowLowShare: 0.5,
} as const;
