import { PodwrightError, type ErrorCode } from '#base/errors.ts';

/** How a gRPC call ended (google.rpc.Code), as grpc-js gives it. */
export interface CallStatus {
  readonly code: number;
  readonly details: string;
}

const cancelled = 1;
const deadlineExceeded = 4;
const unavailable = 14;
const outOfRange = 11;

/** By code; etcd's own errors are texts under a few codes (api/v3rpc/rpctypes/error.go), so those come first. */
const texts: readonly (readonly [text: RegExp, code: ErrorCode])[] = [
  [/database space exceeded/, 'E_NO_SPACE'],
  [/requested lease not found/, 'E_NOT_FOUND'],
  [/lease already exists/, 'E_EXISTS'],
  [/request is too large|too many (requests|operations)|message larger than max/i, 'E_LIMIT'],
  [/no leader|leader changed|request timed out|server stopped/, 'E_CONNECTION'],
];

const codes: Readonly<Record<number, ErrorCode>> = {
  [cancelled]: 'E_CLOSED',
  3: 'E_INVALID',
  [deadlineExceeded]: 'E_TIMEOUT',
  5: 'E_NOT_FOUND',
  6: 'E_EXISTS',
  7: 'E_PERMISSION',
  8: 'E_LIMIT',
  12: 'E_UNSUPPORTED',
  [unavailable]: 'E_CONNECTION',
  16: 'E_PERMISSION',
};

/** The port's error for a call that failed; `what` is verb, object and place. */
export function etcdError(what: string, { code, details }: CallStatus): PodwrightError {
  const message = `${what}: ${details}`;
  if (code === outOfRange) {
    return /has been compacted/.test(details)
      ? new PodwrightError('E_NOT_FOUND', message, { detail: { compacted: true } })
      : new PodwrightError('E_INVALID', message, { detail: { future: true } });
  }
  const known = texts.find(([text]) => text.test(details))?.[1];
  return new PodwrightError(known ?? codes[code] ?? 'E_INTERNAL', message);
}

/** Whether another try, or another member, may do better. What was asked may have been done all the same. */
export function isTransient({ code }: PodwrightError): boolean {
  return code === 'E_CONNECTION' || code === 'E_TIMEOUT';
}
