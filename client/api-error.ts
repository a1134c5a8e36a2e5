import { describeError, isPodwrightError, PodwrightError } from '#base/errors.ts';
import type { Status, StatusCause } from '#api/generated/objects.ts';

/** The failure that a Status answer is: E_API with detail { status, httpCode, reason }. */
export function apiError(
  what: string,
  status: Status,
  httpCode: number = status.code ?? 500,
): PodwrightError {
  const reason = status.reason ?? reasonOfCode[httpCode] ?? 'Unknown';
  return new PodwrightError('E_API', `${what}: ${status.message ?? `HTTP ${httpCode}`}`, {
    detail: { status, httpCode, reason },
  });
}

/** The Status that the API server answered with; undefined when the error is of another kind. */
export function statusOf(error: unknown): Status | undefined {
  if (!isPodwrightError(error, 'E_API')) return undefined;
  const status = error.detail['status'];
  return typeof status === 'object' && status !== null ? status : {};
}

/** One line for events and conditions: of an API failure only what the server said, as client-go's errors read. */
export function describeRefusal(error: unknown): string {
  return statusOf(error)?.message ?? describeError(error);
}

/** The reason of an API failure (`NotFound`, `Conflict`, …), or undefined when the error is of another kind. */
export function reasonOf(error: unknown): string | undefined {
  if (!isPodwrightError(error, 'E_API')) return undefined;
  const reason = error.detail['reason'];
  return typeof reason === 'string' ? reason : undefined;
}

/** There is no such object, or no such kind. */
export function isNotFound(error: unknown): boolean {
  return reasonOf(error) === 'NotFound';
}

/** The object was changed since it was read (or, for a binding, is already bound). */
export function isConflict(error: unknown): boolean {
  return reasonOf(error) === 'Conflict';
}

/** Who asks is nobody that the server knows. */
export function isUnauthorized(error: unknown): boolean {
  return reasonOf(error) === 'Unauthorized';
}

/** Who asks may not. */
export function isForbidden(error: unknown): boolean {
  return reasonOf(error) === 'Forbidden';
}

/** There is one of that name. */
export function isAlreadyExists(error: unknown): boolean {
  return reasonOf(error) === 'AlreadyExists';
}

/** The object is refused for what its fields say (`apiFailureOf` gives each as a cause). */
export function isInvalid(error: unknown): boolean {
  return reasonOf(error) === 'Invalid';
}

/** The server does not do that with this kind. */
export function isMethodNotSupported(error: unknown): boolean {
  return reasonOf(error) === 'MethodNotAllowed';
}

/** The resource version asked for is too old: list again. */
export function isExpired(error: unknown): boolean {
  const reason = reasonOf(error);
  return reason === 'Expired' || reason === 'Gone';
}

/** The namespace is being deleted: nothing new can be created in it. */
export function isNamespaceTerminating(error: unknown): boolean {
  return statusOf(error)?.details?.causes?.some((cause) => cause.reason === 'NamespaceTerminating') === true;
}

// Reasons of answers that carry no Status, as apimachinery's StatusReason names them.
const reasonOfCode: Readonly<Record<number, string>> = {
  400: 'BadRequest',
  401: 'Unauthorized',
  403: 'Forbidden',
  404: 'NotFound',
  405: 'MethodNotAllowed',
  406: 'NotAcceptable',
  409: 'Conflict',
  410: 'Gone',
  413: 'RequestEntityTooLarge',
  415: 'UnsupportedMediaType',
  422: 'Invalid',
  429: 'TooManyRequests',
  500: 'InternalError',
  503: 'ServiceUnavailable',
  504: 'Timeout',
};

/** What the server answered, as one value. */
export interface ApiFailure {
  /** `NotFound`, `Conflict`, `Invalid`, …: what programs go by. */
  readonly reason: string;
  /** Of HTTP. */
  readonly code: number;
  /** For people; its words change between versions. */
  readonly message: string;
  /** One for each field that is wrong, or that another manager owns. */
  readonly causes: readonly StatusCause[];
  /** How long the server asks to be left alone. */
  readonly retryAfterSeconds: number | undefined;
}

/** The answer that an error is; undefined when the error is of another kind, such as a connection that broke. */
export function apiFailureOf(error: unknown): ApiFailure | undefined {
  const status = statusOf(error);
  if (status === undefined || !isPodwrightError(error)) return undefined;
  const { httpCode } = error.detail;
  return {
    reason: reasonOf(error) ?? 'Unknown',
    code: typeof httpCode === 'number' ? httpCode : (status.code ?? 500),
    message: status.message ?? error.message,
    causes: status.details?.causes ?? [],
    retryAfterSeconds: status.details?.retryAfterSeconds,
  };
}

/** Nobody answered: the connection broke, or none could be made. What was asked for may have been done. */
export function isConnectionFailure(error: unknown): boolean {
  return isPodwrightError(error, 'E_CONNECTION');
}

/** The server has too much to do, or a budget of disruptions is spent. */
export function isTooManyRequests(error: unknown): boolean {
  return reasonOf(error) === 'TooManyRequests';
}
