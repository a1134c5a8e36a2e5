import type { Readable } from 'node:stream';

/** Who asks, as authentication found out. */
export interface User {
  readonly name: string;
  readonly uid?: string;
  readonly groups: readonly string[];
  readonly extra?: Readonly<Record<string, readonly string[]>>;
}

/** What the transport knows of the caller before authentication. */
export type Caller =
  /** A client of this very process, whose user the composition root vouches for. */
  | { readonly kind: 'in-process'; readonly user: User }
  /** A connection, with the client certificate that the TLS handshake verified. */
  | {
      readonly kind: 'network';
      readonly certificate?: ClientCertificate;
      /** Whether one was shown that the handshake could not verify: of another authority, or out of date. */
      readonly hasForeignCertificate?: boolean;
      /** Of whoever is at the other end. */
      readonly address?: string;
    };

export interface ClientCertificate {
  readonly commonName: string;
  readonly organizations: readonly string[];
  /** SHA-256 of the certificate, lower-case hex. */
  readonly fingerprint: string;
}

/** A request, whatever brought it: HTTP/2, HTTP/1.1 or the process itself. */
export interface ApiRequest {
  readonly method: string;
  /** As on the wire: percent-encoded, without the query. */
  readonly path: string;
  readonly query: URLSearchParams;
  /** The query as on the wire, for those that pass it on. Absent in process. */
  readonly rawQuery?: string;
  /** By lower-case name; of several of one name, all joined by `, `. */
  readonly headers: Readonly<Record<string, string | undefined>>;
  /** As they came, name and value in turns, of any case: for those that may come several times. Absent in process. */
  readonly rawHeaders?: readonly string[];
  readonly caller: Caller;
  /** @throws {E_API} 413 beyond 3 MiB */
  readBody(): Promise<Uint8Array>;
  /** Instead, for those that pass it on: as it comes, of any length and with any method; undefined where there is none. Absent in process. */
  openBody?(): Readable | undefined;
  /** Aborts when the client has gone. */
  readonly signal: AbortSignal;
}

/** A request whose caller is known and may do what it asks. */
export interface AuthorizedRequest extends ApiRequest, RequestScope {
  readonly user: User;
  /** What was said by `warn`. */
  readonly warnings: readonly string[];
}

/** What may be used of a request by who has a say in it. */
export interface RequestScope {
  /** Aborts when the client has gone. */
  readonly signal: AbortSignal;
  /** Something that the answer tells, in a Warning of its own; once, however often it is said. */
  warn(text: string): void;
}

/** Where a streamed body goes. */
export interface ByteSink {
  /** False when the receiver lags: `drained` says when it has caught up. */
  write(bytes: Uint8Array): boolean;
  drained(): Promise<void>;
  /** Bytes accepted that the receiver has not taken yet. */
  readonly pendingBytes: number;
}

export interface ApiResponse {
  readonly status: number;
  /** By lower-case name. */
  readonly headers: Readonly<Record<string, string | readonly string[]>>;
  /** Whole, or written to the sink until the promise resolves. */
  readonly body: Uint8Array | ((sink: ByteSink) => Promise<void>);
}

export const emptyBody: Uint8Array = new Uint8Array();

/** A 3 MiB object in JSON is what etcd's own limit leaves room for; kube-apiserver refuses more, too. */
export const bodyBytesMax = 3_145_728;
