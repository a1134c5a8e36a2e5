/**
 * The codes of operating errors. They are API: codes are added, never renamed.
 * E_ERRNO-like kernel errors keep their errno name in `detail.errno`.
 */
export type ErrorCode =
  | 'E_USAGE' // the command line or a configuration file is wrong
  | 'E_INVALID' // input (manifest, image, document, message) is not well formed
  | 'E_NOT_FOUND'
  | 'E_EXISTS'
  | 'E_CONFLICT'
  | 'E_BUSY' // something else holds the resource (port, data directory, lock)
  | 'E_PERMISSION'
  | 'E_UNSUPPORTED' // this kernel, host or version lacks it
  | 'E_NO_SPACE'
  | 'E_DAMAGED' // what is on disk is not what was written there
  | 'E_LIMIT' // a named bound of ours was reached
  | 'E_TIMEOUT'
  | 'E_CLOSED' // use after close
  | 'E_CONNECTION' // the peer went away or cannot be reached
  | 'E_API' // the API server answered with a Status; detail.status holds it
  | 'E_KERNEL' // any other errno from the kernel
  | 'E_LAUNCH' // a syscall program failed; detail: { index, errno, op }
  | 'E_INTERNAL';

/** The only error class. `message` reads: verb, object, place, then cause: `add route 10.1.2.0/24 dev eth0: ENETUNREACH`. */
export class PodwrightError extends Error {
  readonly code: ErrorCode;
  readonly detail: Readonly<Record<string, unknown>>;

  constructor(
    code: ErrorCode,
    message: string,
    options: { readonly detail?: Readonly<Record<string, unknown>>; readonly cause?: unknown } = {},
  ) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = 'PodwrightError';
    this.code = code;
    this.detail = options.detail ?? {};
  }
}

/** Whether it is one of ours, of that code. */
export function isPodwrightError(error: unknown, code?: ErrorCode): error is PodwrightError {
  return error instanceof PodwrightError && (code === undefined || error.code === code);
}

/** The errno name (`ENOENT`) of a kernel error of ours or of Node, or undefined. */
export function errnoOf(error: unknown): string | undefined {
  if (error instanceof PodwrightError) {
    const errno = error.detail['errno'];
    return typeof errno === 'string' ? errno : undefined;
  }
  if (error instanceof Error && 'code' in error && typeof error.code === 'string') return error.code;
  return undefined;
}

/** One line for a person: the message, and the messages of its causes where they add something. */
export function describeError(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const own = error.message === '' ? error.name : error.message;
  if (error.cause === undefined) return own;
  const cause = withoutPlace(describeError(error.cause), own);
  if (own.includes(cause)) return own;
  const errno = /: (E[A-Z0-9]+)$/.exec(own)?.[1];
  return errno !== undefined && cause.startsWith(`${errno}: `)
    ? `${own}${cause.slice(errno.length)}`
    : `${own}: ${cause}`;
}

/** Node says the file at the end of each error of the system: `ENOENT: no such file or directory, open 'a'`. Of a file that was named it is no news. */
function withoutPlace(cause: string, own: string): string {
  const { 1: said, 2: path = '' } =
    /^(E[A-Z0-9]+: [^,]+), [a-z]+ '([^']+)'(?: -> '[^']+')?$/.exec(cause) ?? [];
  return said !== undefined && own.includes(path.replace(/\.partial$/, '')) ? said : cause;
}
