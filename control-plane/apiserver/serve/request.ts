import type { X509Certificate } from 'node:crypto';
import type { Readable } from 'node:stream';
import type { JsonObject } from '#api/meta/object.ts';

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
  /** A connection, with the client certificate that was shown. */
  | {
      readonly kind: 'network';
      readonly certificate?: ClientCertificate;
      /** Of whoever is at the other end. */
      readonly address?: string;
    };

/** What a client showed of itself. Whom it makes of the client, if anybody, authentication says. */
export interface ClientCertificate {
  /** undefined: the handshake found it in order, for a client, of one of the authorities that were trusted then. */
  readonly problem?: string;
  /** The certificate itself, then those that should have signed it, as the client sent them. */
  readonly chain: readonly X509Certificate[];
  /** The last of several. */
  readonly commonName: string;
  readonly organizations: readonly string[];
  /** Those of a user (1.3.6.1.4.1.57683.2, KEP 5295). */
  readonly uids: readonly string[];
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
  readonly query: URLSearchParams;
  readonly user: User;
  /** What was said by `warn`. */
  readonly warnings: readonly string[];
  /** What was said by `annotate`, in order. */
  readonly annotations: ReadonlyMap<string, string>;
  /** What is left of it is mostly waiting: of a watch, when all was told that was there. */
  begun(): void;
  /** What is recorded of it; undefined where nothing is. */
  readonly record?: BodyRecord | undefined;
}

/** What an audit record is told of bodies, by those who read and make them. */
export interface BodyRecord {
  /** The object that came, decoded. */
  saw(object: JsonObject): void;
  /** Whether bodies of requests are recorded. */
  readonly keepsRequests: boolean;
  /** A patch, as it came. */
  sawPatch(bytes: Uint8Array): void;
  /** The answer, before it is compressed; gives the one to send instead. */
  sawResponse(response: ApiResponse): ApiResponse;
  /** For an upgrade: the connection has ended. */
  complete(): Promise<void>;
}

/** What may be used of a request by who has a say in it. */
export interface RequestScope {
  /** Aborts when the client has gone. */
  readonly signal: AbortSignal;
  /** With what options it writes. */
  readonly query?: URLSearchParams;
  /** Monotonic: when it is to have an answer. Only of requests that may not take as long as they like. */
  readonly deadlineMs?: number | undefined;
  /** It waits for somebody else from now on: its seat may go to another. */
  begun?(): void;
  /** Something that the answer tells, in a Warning of its own; once, however often it is said. */
  warn(text: string): void;
  /**
   * Something for the audit record of the request, under a qualified name (`pod-security.kubernetes.io/enforce-policy`). What was said first
   * stays, as upstream has it. `least`: only where so much is recorded of the request.
   */
  annotate(key: string, value: string, least?: 'Request'): void;
}

/** Where a streamed body goes. */
export interface ByteSink {
  /**
   * False when the receiver lags: `drained` says when it has caught up.
   * @param sent called once nobody reads these bytes any more, so that there may be others in their place; never called where that is not known
   */
  write(bytes: Uint8Array, sent?: () => void): boolean;
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
