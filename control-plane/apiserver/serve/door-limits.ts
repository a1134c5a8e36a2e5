/**
 * What the door of a server takes of clients, whoever they are: nobody has said yet who they are when these hold. Each has a hostile client in
 * `hostile-clients.test.ts` that goes beyond it while another is served.
 */
export interface DoorLimits {
  /** At once; each costs some 70 KB. What comes then is closed. */
  readonly connectionsMax: number;
  /** Of one address, of IPv6 one /64: who has one cannot keep all others out. */
  readonly connectionsPerAddressMax: number;
  /** For a TLS handshake. */
  readonly handshakeMs: number;
  /** Of HTTP/1.1: the request line and headers; the whole request (Kubernetes' ReadHeaderTimeout is 32 s). */
  readonly headersMs: number;
  readonly requestMs: number;
  /** A connection without a request: what kube-apiserver keeps it, announced by `Keep-Alive: timeout=90`. */
  readonly connectionIdleMs: number;
  /** How long a client that is asked whether it is there may take to say so. */
  readonly answeringMs: number;
  /** Of one HTTP/2 connection at once; a client that needs more opens another. */
  readonly streamsMax: number;
  /** Streams beyond that which a client may try. */
  readonly refusedStreamsMax: number;
  readonly headerPairsMax: number;
  /**
   * Request line and headers together, as Go's server takes them; the arguments of `kubectl exec` stand in the request line. Of
   * HTTP/2, nghttp2 takes no single value of more than 64 KiB.
   */
  readonly headerBytesMax: number;
  /** Streams that a client may reset at once, and a second (CVE-2023-44487); a client that resets more is sent away. */
  readonly resetsBurstMax: number;
  readonly resetsPerSecond: number;
  /** Frames that make no sense. */
  readonly invalidFramesMax: number;
  /** Between two looks at a connection (5 s), of frames that bring neither a request nor a body: settings, pings, windows, priorities. */
  readonly emptyBytesMax: number;
}

export const doorLimits: DoorLimits = {
  connectionsMax: 10_000,
  connectionsPerAddressMax: 5_000,
  handshakeMs: 10_000,
  headersMs: 32_000,
  requestMs: 300_000,
  connectionIdleMs: 90_000,
  answeringMs: 15_000,
  streamsMax: 1000,
  refusedStreamsMax: 100,
  headerPairsMax: 200,
  headerBytesMax: 1_048_576,
  resetsBurstMax: 1000,
  resetsPerSecond: 100,
  invalidFramesMax: 1000,
  emptyBytesMax: 16_777_216,
};
