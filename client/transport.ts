/** A request to an API server. `path` starts with `/` and holds the query. */
export interface TransportRequest {
  readonly method: string;
  readonly path: string;
  /** Names in lower case. Several values are several lines. */
  readonly headers: Readonly<Record<string, string | readonly string[]>>;
  readonly body?: Uint8Array | undefined;
  /** Ends the request, and the body of its response, at once. */
  readonly signal?: AbortSignal | undefined;
  /** Whether the caller wants the body as it comes (watches, followed logs). */
  readonly stream?: boolean;
  /** With `stream`: for how long its beginning is waited for, where the server begins at once (watches). Default: as long as it takes. */
  readonly headMsMax?: number | undefined;
}

export interface TransportResponse {
  readonly status: number;
  /** Names in lower case. */
  readonly headers: Readonly<Record<string, string>>;
  /**
   * Whole, or in pieces as they come. Ends normally when the peer ends it, throws E_CONNECTION when the connection breaks
   * and the signal's reason when aborted. A caller that stops iterating ends the request. An error Status may always be whole.
   */
  readonly body: Uint8Array | AsyncIterable<Uint8Array>;
}

/**
 * How a client reaches an API server: over the network (`http-transport.ts`), or in the same process, through the same
 * chain of handlers. Who the caller is, is the transport's business: credentials are not in the request's headers.
 */
export interface Transport extends AsyncDisposable {
  /** @throws {E_CONNECTION} when no answer came. */
  request(request: TransportRequest): Promise<TransportResponse>;
}
