/** Bounds: what a guest may take of the network. */
import { limits } from "../../abi/limits.ts";

export interface Bounds {
  readonly connectionsMax: number;
  readonly destinationsMax: number;
  readonly headerBytesMax: number;
  readonly headersTimeoutMs: number;
  readonly helloBytesMax: number;
  readonly helloTimeoutMs: number;
  readonly idleTimeoutMs: number;
  /** Of one tunnel or one request. */
  readonly upBytesMax: number;
  readonly downBytesMax: number;
  /** Of the guest. */
  readonly guestUpBytesMax: number;
  readonly guestDownBytesMax: number;
  readonly retryMs: number;
}

export const bounds: Bounds = {
  connectionsMax: limits.egressConnectionsMax,
  destinationsMax: limits.egressDestinationsMax,
  headerBytesMax: limits.egressHeaderBytesMax,
  headersTimeoutMs: limits.egressHeadersTimeoutMs,
  helloBytesMax: limits.egressHelloBytesMax,
  helloTimeoutMs: limits.egressHelloTimeoutMs,
  idleTimeoutMs: limits.egressIdleTimeoutMs,
  upBytesMax: limits.egressUpBytesMax,
  downBytesMax: limits.egressDownBytesMax,
  guestUpBytesMax: limits.egressGuestUpBytesMax,
  guestDownBytesMax: limits.egressGuestDownBytesMax,
  retryMs: limits.egressRetryMs,
};
