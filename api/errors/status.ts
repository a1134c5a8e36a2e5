import { PodwrightError } from '#base/errors.ts';
import { clip, faultCountMax, fieldErrorCause, renderFieldError, type FieldError } from './field-error.ts';
import type { Kind } from '#api/schema/kinds.ts';
import type { Status, StatusCause, StatusDetails } from '#api/generated/objects.ts';

/** Names a resource in errors about one object of it. */
export type ResourceName = Pick<Kind, 'group' | 'resource'>;

/**
 * A failure as the API answers it: E_API with detail { status, httpCode, reason }. An empty reason is left out.
 * Texts and shapes are those of kube-apiserver 1.36.2.
 */
export function statusError(
  code: number,
  reason: string,
  text: string,
  details?: StatusDetails,
): PodwrightError {
  const message = clip(text, messageLengthMax);
  const status: Status = {
    kind: 'Status',
    apiVersion: 'v1',
    metadata: {},
    status: 'Failure',
    message,
    ...(reason === '' ? {} : { reason }),
    ...(details === undefined ? {} : { details: withShortName(details) }),
    code,
  };
  return new PodwrightError('E_API', message, { detail: { status, httpCode: code, reason } });
}

/** Characters of the message of a Status: names, uids and texts that a request brought stand in it. */
export const messageLengthMax = 65_536;

function withShortName(details: StatusDetails): StatusDetails {
  return details.name === undefined ? details : { ...details, name: clip(details.name) };
}

/** The Status and HTTP code that an error is answered with; what is no E_API is an internal error. */
export function statusOf(error: unknown): { readonly status: Status; readonly httpCode: number } {
  if (error instanceof PodwrightError && error.code === 'E_API') {
    const { status, httpCode } = error.detail;
    if (typeof httpCode === 'number' && typeof status === 'object' && status !== null)
      return { status, httpCode };
  }
  return statusOf(internalError(error instanceof Error ? error.message : String(error)));
}

/** The Status of a success, such as that of a DELETE whose object is gone at once. */
export function successStatus(details?: StatusDetails, code?: number): Status {
  return {
    kind: 'Status',
    apiVersion: 'v1',
    metadata: {},
    status: 'Success',
    ...(details === undefined ? {} : { details }),
    ...(code === undefined ? {} : { code }),
  };
}

/** `deployments.apps`, or `pods` for core. */
export function qualifiedResource(kind: ResourceName): string {
  return kind.group === '' ? kind.resource : `${kind.resource}.${kind.group}`;
}

/** 404: no such object. */
export function notFound(kind: ResourceName, name: string): PodwrightError {
  const message = `${qualifiedResource(kind)} ${JSON.stringify(name)} not found`;
  return statusError(404, 'NotFound', message, detailsOf(kind, name));
}

/** A path that no resource answers to. */
export function resourceNotFound(): PodwrightError {
  return statusError(404, 'NotFound', 'the server could not find the requested resource', {});
}

/** 409: the name is taken. */
export function alreadyExists(kind: ResourceName, name: string): PodwrightError {
  const message = `${qualifiedResource(kind)} ${JSON.stringify(name)} already exists`;
  return statusError(409, 'AlreadyExists', message, detailsOf(kind, name));
}

/** The cause of a conflict over resourceVersion. */
export const modifiedText =
  'the object has been modified; please apply your changes to the latest version and try again';

/** 409: the object is not what the client thought. */
export function conflict(kind: ResourceName, name: string, cause: string = modifiedText): PodwrightError {
  const message = `Operation cannot be fulfilled on ${qualifiedResource(kind)} ${JSON.stringify(name)}: ${cause}`;
  return statusError(409, 'Conflict', message, detailsOf(kind, name));
}

/** Causes of one Status, as many as a person reads. Its message tells how many more there are. */
export const causeCountMax = 100;

/** 422 with all complaints at once, the first `causeCountMax` of them in words; `kind` needs only the group and the kind's name. */
export function invalid(
  kind: Pick<Kind, 'group' | 'kind'>,
  name: string,
  errors: readonly FieldError[],
): PodwrightError {
  const { kind: named } = kind;
  const shown = errors.slice(0, causeCountMax);
  // What is said several times stands there once, as in Go's aggregates; causes tell it as often.
  const texts = [...new Set(shown.map((error) => `${clip(error.field)}: ${renderFieldError(error)}`))];
  const qualified = kind.group === '' ? kind.kind : `${kind.kind}.${kind.group}`;
  const more = errors.length - shown.length;
  if (more > 0) texts.push(`and ${errors.length >= faultCountMax ? 'more than ' : ''}${more} more`);
  const text = texts.length === 1 ? texts[0] : `[${texts.join(', ')}]`;
  return statusError(422, 'Invalid', `${qualified} ${JSON.stringify(name)} is invalid: ${text}`, {
    ...(name === '' ? {} : { name }),
    ...(kind.group === '' ? {} : { group: kind.group }),
    ...(named === '' ? {} : { kind: named }),
    causes: shown.map(fieldErrorCause),
  });
}

/** 422 about the options of a request: `ListOptions`, `CreateOptions`, `PatchOptions`, … */
export function invalidOptions(optionsKind: string, errors: readonly FieldError[]): PodwrightError {
  return invalid({ group: 'meta.k8s.io', kind: optionsKind }, '', errors);
}

/** `name` may be '' where the request names none. */
export function forbidden(
  kind: ResourceName,
  name: string,
  cause: string,
  causes?: readonly StatusCause[],
): PodwrightError {
  const subject =
    name === '' ? qualifiedResource(kind) : `${qualifiedResource(kind)} ${JSON.stringify(name)}`;
  return statusError(403, 'Forbidden', `${subject} is forbidden: ${cause}`, {
    ...detailsOf(kind, name),
    ...(causes === undefined ? {} : { causes }),
  });
}

/** Creation in a namespace that is going away. */
export function namespaceTerminating(kind: ResourceName, name: string, namespace: string): PodwrightError {
  const cause = `unable to create new content in namespace ${namespace} because it is being terminated`;
  return forbidden(kind, name, cause, [
    {
      reason: 'NamespaceTerminating',
      message: `namespace ${namespace} is being terminated`,
      field: 'metadata.namespace',
    },
  ]);
}

/** 401: nobody, or nobody known. Why is for the log alone: in `detail.why`. */
export function unauthorized(why?: string): PodwrightError {
  const error = statusError(401, 'Unauthorized', 'Unauthorized');
  if (why === undefined) return error;
  return new PodwrightError(error.code, error.message, { detail: { ...error.detail, why } });
}

/** 400: the request makes no sense. */
export function badRequest(message: string): PodwrightError {
  return statusError(400, 'BadRequest', message);
}

/** 400 for a body that is no object of the kind: `Deployment in version "v1" cannot be handled as a Deployment: …`. */
export function cannotBeHandled(
  kind: Pick<Kind, 'kind' | 'version'>,
  cause: string,
  found: { readonly kind: string; readonly version: string } = kind,
): PodwrightError {
  return badRequest(
    `${found.kind} in version ${JSON.stringify(found.version)} cannot be handled as a ${kind.kind}: ${cause}`,
  );
}

/** 405: not with this method. */
export function methodNotAllowed(): PodwrightError {
  const message = 'the server does not allow this method on the requested resource';
  return statusError(405, 'MethodNotAllowed', message, {});
}

/** A watch or list from before the oldest revision kept. */
export function expired(message: string): PodwrightError {
  return statusError(410, 'Expired', message);
}

/** `gone` is what the HTTP status is called; Kubernetes' reason for it is Expired. */
export const gone: typeof expired = expired;

/** 504: not in time. */
export function timeout(message: string, details: StatusDetails = {}): PodwrightError {
  return statusError(504, 'Timeout', `Timeout: ${message}`, details);
}

/** Seconds after which what the server could not do now may be asked again (as kube-apiserver's registry has it). */
const tryAgainSeconds = 2;

/** 500, of what was not done and may be asked again: who knows no better waits and does. */
export function serverTimeout(kind: ResourceName | undefined, operation: string): PodwrightError {
  const what = kind === undefined ? 'the store' : qualifiedResource(kind);
  const message = `The ${operation} operation against ${what} could not be completed at this time, please try again.`;
  return statusError(500, 'ServerTimeout', message, {
    name: operation,
    ...(kind === undefined ? {} : detailsOf(kind, '')),
    retryAfterSeconds: tryAgainSeconds,
  });
}

/** A list that asks for a revision that does not exist yet. */
export function tooLargeResourceVersion(asked: number | string, current: number): PodwrightError {
  return timeout(`Too large resource version: ${asked}, current: ${current}`, {
    causes: [{ reason: 'ResourceVersionTooLarge', message: 'Too large resource version' }],
    retryAfterSeconds: 1,
  });
}

/** The caller also sends `Retry-After: retryAfterSeconds`; without it clients decide themselves when to come back. */
export function tooManyRequests(
  message: string,
  retryAfterSeconds: number | undefined,
  causes?: readonly StatusCause[],
): PodwrightError {
  return statusError(429, 'TooManyRequests', message, {
    ...(causes === undefined ? {} : { causes }),
    ...(retryAfterSeconds === undefined ? {} : { retryAfterSeconds }),
  });
}

/** 413: the body is too large. */
export function requestTooLarge(byteCountMax: number): PodwrightError {
  const message = `Request entity too large: limit is ${byteCountMax}`;
  return statusError(413, 'RequestEntityTooLarge', message);
}

const bodyMediaTypes = 'application/json, application/yaml, application/vnd.kubernetes.protobuf';

/** A body in a format that cannot be read. */
export function unsupportedMediaType(): PodwrightError {
  const message = `the body of the request was in an unknown format - accepted media types include: ${bodyMediaTypes}`;
  return statusError(415, 'UnsupportedMediaType', message);
}

/** 406 of custom objects, which no protobuf is made of. */
export function customNotAcceptable(): PodwrightError {
  return notAcceptableAs(`only the following media types are accepted: ${bodyMediaTypes}`);
}

/** A PATCH whose content type is no patch type. */
export function unsupportedPatchType(): PodwrightError {
  return statusError(415, 'UnsupportedMediaType', '415: Unsupported Media Type', {});
}

/** 415 of a patch of a custom object, which takes no strategic merge patches. */
export function unsupportedCustomPatchType(): PodwrightError {
  const types = ['json-patch+json', 'merge-patch+json', 'apply-patch+yaml'].map(
    (type) => `application/${type}`,
  );
  const message = `the body of the request was in an unknown format - accepted media types include: ${types.join(', ')}`;
  return statusError(415, 'UnsupportedMediaType', message);
}

/** 406: no representation that the client takes. */
export function notAcceptable(): PodwrightError {
  const streams = 'application/json;stream=watch, application/vnd.kubernetes.protobuf;stream=watch';
  const message = `406: Not Acceptable\n\nAvailable representations: ${bodyMediaTypes}, ${streams}`;
  return statusError(406, 'NotAcceptable', message, {});
}

/** 406 for a shape that what was asked for does not have. */
export function notAcceptableAs(message: string): PodwrightError {
  return statusError(406, 'NotAcceptable', message);
}

/** A patch that is well formed but does not apply (JSON patch `test` or `remove` that fails). */
export function patchRejected(): PodwrightError {
  return statusError(422, 'Invalid', 'the server rejected our request due to an error in our request', {});
}

/** 500: our fault. */
export function internalError(cause: string): PodwrightError {
  return statusError(500, 'InternalError', `Internal error occurred: ${cause}`, {
    causes: [{ message: cause }],
  });
}

/** 500 with nothing but a text: what upstream's code says by an error that is no Status. */
export function bareError(text: string): PodwrightError {
  return statusError(500, '', text);
}

/** Short for `internalError`. */
export const internal: typeof internalError = internalError;

/** 503: not now. */
export function serviceUnavailable(message: string): PodwrightError {
  return statusError(503, 'ServiceUnavailable', message);
}

function detailsOf(kind: ResourceName, name: string): StatusDetails {
  return {
    ...(name === '' ? {} : { name }),
    ...(kind.group === '' ? {} : { group: kind.group }),
    kind: kind.resource,
  };
}
