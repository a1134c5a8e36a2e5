import { isPodwrightError, PodwrightError, type ErrorCode } from '#base/errors.ts';

/** How a call ends that is not answered: google.rpc.Code and a text. */
export interface CallStatus {
  readonly code: number;
  readonly details: string;
}

export type RefusalName =
  | 'emptyKey'
  | 'keyNotFound'
  | 'valueProvided'
  | 'leaseProvided'
  | 'tooManyOps'
  | 'duplicateKey'
  | 'requestTooLarge'
  | 'invalidSortOption'
  | 'compacted'
  | 'futureRevision'
  | 'noSpace'
  | 'leaseNotFound'
  | 'leaseExists'
  | 'leaseTtlTooLarge'
  | 'stopped'
  | 'permissionDenied'
  | 'tooManyRequests'
  | 'keyNotText'
  | 'leaseIdNotExact';

/** etcd's errors: clients compare code and text (etcd api/v3rpc/rpctypes/error.go). */
const refusals: Readonly<Record<RefusalName, readonly [code: number, details: string]>> = {
  emptyKey: [3, 'etcdserver: key is not provided'],
  keyNotFound: [3, 'etcdserver: key not found'],
  valueProvided: [3, 'etcdserver: value is provided'],
  leaseProvided: [3, 'etcdserver: lease is provided'],
  tooManyOps: [3, 'etcdserver: too many operations in txn request'],
  duplicateKey: [3, 'etcdserver: duplicate key given in txn request'],
  requestTooLarge: [3, 'etcdserver: request is too large'],
  invalidSortOption: [3, 'etcdserver: invalid sort option'],
  compacted: [11, 'etcdserver: mvcc: required revision has been compacted'],
  futureRevision: [11, 'etcdserver: mvcc: required revision is a future revision'],
  noSpace: [8, 'etcdserver: mvcc: database space exceeded'],
  leaseNotFound: [5, 'etcdserver: requested lease not found'],
  leaseExists: [9, 'etcdserver: lease already exists'],
  leaseTtlTooLarge: [11, 'etcdserver: too large lease TTL'],
  stopped: [14, 'etcdserver: server stopped'],
  permissionDenied: [7, 'etcdserver: permission denied'],
  tooManyRequests: [8, 'etcdserver: too many requests'],
  // These are ours: etcd takes any bytes, and any 64 bits.
  keyNotText: [3, 'etcdserver: podwright keeps keys of UTF-8 up to U+FFFE without NUL'],
  leaseIdNotExact: [3, 'etcdserver: podwright keeps lease ids below 2^53'],
};

export function statusOfRefusal(name: RefusalName): CallStatus {
  const [code, details] = refusals[name];
  return { code, details };
}

/** An error that a client is told as etcd tells it. */
export function refusal(name: RefusalName): PodwrightError {
  return new PodwrightError('E_INVALID', refusals[name][1], { detail: { refusal: name } });
}

const byCode: Partial<Record<ErrorCode, RefusalName>> = {
  E_NO_SPACE: 'noSpace',
  E_CLOSED: 'stopped',
  E_EXISTS: 'leaseExists',
};

/** What a client is told of whatever was thrown. */
export function statusOf(error: unknown): CallStatus {
  if (!isPodwrightError(error)) return { code: 13, details: `etcdserver: ${String(error)}` };
  const name = nameOf(error);
  return name === undefined ? { code: 14, details: `etcdserver: ${error.message}` } : statusOfRefusal(name);
}

function nameOf({ code, detail }: PodwrightError): RefusalName | undefined {
  const own = detail['refusal'];
  if (typeof own === 'string' && own in refusals) return own as RefusalName;
  if (detail['compacted'] === true) return 'compacted';
  if (detail['future'] === true) return 'futureRevision';
  // Nothing else that the store is asked here is not found.
  return code === 'E_NOT_FOUND' ? 'leaseNotFound' : byCode[code];
}
