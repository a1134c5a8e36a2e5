import { constants } from 'node:os';
import { type ErrorCode, PodwrightError } from '#base/errors.ts';
import { lastErrno } from './libc.ts';

/** The errnos that Node's own table leaves out (asm-generic/errno.h). */
const errnosBeyondNode: Readonly<Record<string, number>> = { ENOTBLK: 15, ESHUTDOWN: 108, EUCLEAN: 117 };

/** errno 95 has two names; the kernel's source says EOPNOTSUPP. EAGAIN likewise is EWOULDBLOCK. */
const aliases: ReadonlySet<string> = new Set(['ENOTSUP', 'EWOULDBLOCK']);

const nameByErrno: ReadonlyMap<number, string> = new Map(
  Object.entries({ ...constants.errno, ...errnosBeyondNode })
    .filter(([name]) => !aliases.has(name))
    .map(([name, errno]) => [errno, name]),
);

/** `ENOENT` for 2; `errno 133` where no name is known. */
export function errnoName(errno: number): string {
  return nameByErrno.get(errno) ?? `errno ${errno}`;
}

const codeByErrnoName: Readonly<Record<string, ErrorCode>> = {
  ENOENT: 'E_NOT_FOUND',
  ENODEV: 'E_NOT_FOUND',
  ENXIO: 'E_NOT_FOUND',
  ESRCH: 'E_NOT_FOUND',
  EADDRNOTAVAIL: 'E_NOT_FOUND',
  EEXIST: 'E_EXISTS',
  EBUSY: 'E_BUSY',
  EADDRINUSE: 'E_BUSY',
  ETXTBSY: 'E_BUSY',
  EPERM: 'E_PERMISSION',
  EACCES: 'E_PERMISSION',
  EROFS: 'E_PERMISSION',
  EOPNOTSUPP: 'E_UNSUPPORTED',
  ENOSYS: 'E_UNSUPPORTED',
  EPROTONOSUPPORT: 'E_UNSUPPORTED',
  EAFNOSUPPORT: 'E_UNSUPPORTED',
  ENOSPC: 'E_NO_SPACE',
  EDQUOT: 'E_NO_SPACE',
  EMFILE: 'E_LIMIT',
  ENFILE: 'E_LIMIT',
  ETIMEDOUT: 'E_TIMEOUT',
  EAGAIN: 'E_TIMEOUT',
  ECONNREFUSED: 'E_CONNECTION',
  ECONNRESET: 'E_CONNECTION',
  EPIPE: 'E_CONNECTION',
};

/** The one table from errno names to codes. */
export function codeOfErrno(name: string): ErrorCode {
  return codeByErrnoName[name] ?? 'E_KERNEL';
}

/** `verb object place`, then `: ENOENT` and, in brackets, why where somebody knows. `detail.errno` holds the name. */
export function kernelError(
  attempt: string,
  errno: number | string,
  options: { readonly why?: string | undefined; readonly detail?: Readonly<Record<string, unknown>> } = {},
): PodwrightError {
  const name = typeof errno === 'number' ? errnoName(errno) : errno;
  const why = options.why === undefined || options.why === '' ? '' : ` (${options.why})`;
  return new PodwrightError(codeOfErrno(name), `${attempt}: ${name}${why}`, {
    detail: { ...options.detail, errno: name },
  });
}

/**
 * Passes a result that is not negative; -1 throws errno with what was attempted. `attempt` is a function where the text
 * would cost something.
 */
export function checked(result: number, attempt: string | (() => string)): number {
  if (result >= 0) return result;
  const errno = lastErrno();
  throw kernelError(typeof attempt === 'string' ? attempt : attempt(), errno);
}

/** An error of node:fs as a PodwrightError of the same shape as those of our own calls; others come back unchanged. */
export function fromNodeError(error: unknown, attempt: string, why?: string): unknown {
  if (!(error instanceof Error) || !('code' in error) || typeof error.code !== 'string') return error;
  // Node's own ERR_INVALID_ARG_TYPE and the like are bugs of ours; a PodwrightError is done already.
  if (!/^E[A-Z0-9]+$/.test(error.code)) return error;
  const wrapped = kernelError(attempt, error.code, { why });
  return new PodwrightError(wrapped.code, wrapped.message, { detail: wrapped.detail, cause: error });
}
