import { describeError, isPodwrightError, PodwrightError, type ErrorCode } from '#base/errors.ts';

/** How a call ended, by gRPC's names; their numbers are their places (grpc/grpc doc/statuscodes.md). */
export const statusNames = [
  'OK',
  'CANCELLED',
  'UNKNOWN',
  'INVALID_ARGUMENT',
  'DEADLINE_EXCEEDED',
  'NOT_FOUND',
  'ALREADY_EXISTS',
  'PERMISSION_DENIED',
  'RESOURCE_EXHAUSTED',
  'FAILED_PRECONDITION',
  'ABORTED',
  'OUT_OF_RANGE',
  'UNIMPLEMENTED',
  'INTERNAL',
  'UNAVAILABLE',
  'DATA_LOSS',
  'UNAUTHENTICATED',
] as const;

export type StatusName = (typeof statusNames)[number];

/** What of our own errors callers are told, where the error does not say it by `detail.status`. */
const statusOfCode: Readonly<Record<ErrorCode, StatusName>> = {
  E_USAGE: 'INVALID_ARGUMENT',
  E_INVALID: 'INVALID_ARGUMENT',
  E_NOT_FOUND: 'NOT_FOUND',
  E_EXISTS: 'ALREADY_EXISTS',
  E_CONFLICT: 'ABORTED',
  E_BUSY: 'FAILED_PRECONDITION',
  E_PERMISSION: 'PERMISSION_DENIED',
  E_UNSUPPORTED: 'UNIMPLEMENTED',
  E_NO_SPACE: 'RESOURCE_EXHAUSTED',
  E_DAMAGED: 'DATA_LOSS',
  E_LIMIT: 'RESOURCE_EXHAUSTED',
  E_TIMEOUT: 'DEADLINE_EXCEEDED',
  E_CLOSED: 'FAILED_PRECONDITION',
  E_CONNECTION: 'UNAVAILABLE',
  E_API: 'UNKNOWN',
  E_KERNEL: 'INTERNAL',
  E_LAUNCH: 'UNKNOWN',
  E_INTERNAL: 'INTERNAL',
};

const codeOfStatus: Readonly<Record<StatusName, ErrorCode>> = {
  OK: 'E_INTERNAL',
  CANCELLED: 'E_CLOSED',
  UNKNOWN: 'E_CONNECTION',
  INVALID_ARGUMENT: 'E_INVALID',
  DEADLINE_EXCEEDED: 'E_TIMEOUT',
  NOT_FOUND: 'E_NOT_FOUND',
  ALREADY_EXISTS: 'E_EXISTS',
  PERMISSION_DENIED: 'E_PERMISSION',
  RESOURCE_EXHAUSTED: 'E_LIMIT',
  FAILED_PRECONDITION: 'E_BUSY',
  ABORTED: 'E_CONFLICT',
  OUT_OF_RANGE: 'E_INVALID',
  UNIMPLEMENTED: 'E_UNSUPPORTED',
  INTERNAL: 'E_CONNECTION',
  UNAVAILABLE: 'E_CONNECTION',
  DATA_LOSS: 'E_DAMAGED',
  UNAUTHENTICATED: 'E_PERMISSION',
};

/** An error that tells its caller just this. */
export function refusal(status: Exclude<StatusName, 'OK'>, message: string): PodwrightError {
  return new PodwrightError(codeOfStatus[status], message, { detail: { status } });
}

/** What a caller is told of an error. */
export function statusOf(error: unknown): { readonly code: number; readonly details: string } {
  return { code: statusNames.indexOf(statusNameOf(error)), details: describeError(error) };
}

/** Of an error of a handler, or of one that a client of proto/unix-client.ts threw. */
export function statusNameOf(error: unknown): StatusName {
  if (error instanceof Error && error.name === 'AbortError') return 'CANCELLED';
  if (error instanceof Error && error.name === 'TimeoutError') return 'DEADLINE_EXCEEDED';
  if (!isPodwrightError(error)) return 'INTERNAL';
  const own = statusNames.find((name) => name === error.detail['status']);
  return own ?? statusOfCode[error.code];
}

/** What a client throws: `detail` has `status`, by name, and `details`, what the server said. */
export function callError(path: string, code: number, details: string): PodwrightError {
  const status = statusNames[code] ?? 'UNKNOWN';
  return new PodwrightError(codeOfStatus[status], `call ${path}: ${status}: ${details}`, {
    detail: { status, details },
  });
}
