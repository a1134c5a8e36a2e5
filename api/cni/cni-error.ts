import { describeError, errnoOf, isPodwrightError, PodwrightError, type ErrorCode } from '#base/errors.ts';

/** Error codes of the CNI specification (SPEC.md, section 5, Error); plugins may use 100 and above for their own. */
export const cniErrorCode = {
  incompatibleVersion: 1,
  unsupportedField: 2,
  unknownContainer: 3,
  invalidEnvironment: 4,
  ioFailure: 5,
  decodingFailure: 6,
  invalidNetworkConfig: 7,
  /** libcni's, since 1.2. */
  invalidNetns: 8,
  tryAgainLater: 11,
  pluginNotAvailable: 50,
  limitedConnectivity: 51,
  internal: 999,
} as const;

/** The document that a plugin prints when it fails. */
export interface CniErrorDocument {
  readonly cniVersion: string;
  readonly code: number;
  readonly msg: string;
  readonly details?: string;
}

const podwrightCode: Readonly<Record<number, ErrorCode>> = {
  1: 'E_UNSUPPORTED',
  2: 'E_UNSUPPORTED',
  3: 'E_NOT_FOUND',
  4: 'E_INVALID',
  5: 'E_KERNEL',
  6: 'E_INVALID',
  7: 'E_INVALID',
  8: 'E_INVALID',
  11: 'E_BUSY',
  50: 'E_UNSUPPORTED',
  51: 'E_UNSUPPORTED',
};

const cniCode: Partial<Record<ErrorCode, number>> = {
  E_INVALID: cniErrorCode.invalidNetworkConfig,
  E_UNSUPPORTED: cniErrorCode.unsupportedField,
  E_BUSY: cniErrorCode.tryAgainLater,
  E_KERNEL: cniErrorCode.ioFailure,
  E_PERMISSION: cniErrorCode.ioFailure,
  E_NO_SPACE: cniErrorCode.ioFailure,
};

/** An error that keeps its CNI code in `detail.cniCode`. */
export function cniError(
  code: number,
  message: string,
  options: { readonly details?: string; readonly cause?: unknown } = {},
): PodwrightError {
  const detail = { cniCode: code, ...(options.details === undefined ? {} : { details: options.details }) };
  return new PodwrightError(podwrightCode[code] ?? 'E_INTERNAL', message, { detail, cause: options.cause });
}

/** The CNI code of an error: its own if it has one, else by its PodwrightError code; an error of the system is a failure of I/O. */
export function cniCodeOf(error: unknown): number {
  if (!isPodwrightError(error))
    return /^E[A-Z0-9]+$/.test(errnoOf(error) ?? '') ? cniErrorCode.ioFailure : cniErrorCode.internal;
  const own = error.detail['cniCode'];
  return typeof own === 'number' ? own : (cniCode[error.code] ?? cniErrorCode.internal);
}

export function renderCniError(error: unknown, cniVersion: string): CniErrorDocument {
  const details = isPodwrightError(error) ? error.detail['details'] : undefined;
  return {
    cniVersion,
    code: cniCodeOf(error),
    msg: describeError(error),
    ...(typeof details === 'string' ? { details } : {}),
  };
}
