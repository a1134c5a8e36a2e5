import { isPodwrightError } from '#base/errors.ts';
import type { DecodedBody } from './body.ts';
import { decodeObject } from './decode.ts';
import { invalidField, tooManyField } from '#api/errors/field-error.ts';
import { at, isObject, numberOf, stringOf, withPath } from './json.ts';
import { currentApiVersion, formatGroupVersion, parseGroupVersion, type Kind } from '#api/schema/kinds.ts';
import { builtInTypeName } from '#api/schema/built-in-types.ts';
import type { JsonObject } from '#api/meta/object.ts';
import { badRequest, cannotBeHandled, invalid } from '#api/errors/status.ts';

/** What to do about unknown and duplicate fields (query parameter fieldValidation). */
export type FieldValidation = 'Strict' | 'Warn' | 'Ignore';

export interface DecodeOptions {
  /** The error for a value of another type than its field; `fault` says which (`decodeObject`). */
  readonly refuse?: (cause: string, fault: unknown) => Error;
}

/**
 * A request body as an object of the kind, with apiVersion and kind filled in from the URL where they were missing.
 * `warnings` are the texts for `Warning: 299 - "…"` headers.
 * @throws {E_API} 400: another kind, a wrong type, or (Strict) an unknown or duplicate field
 */
export function decodeRequest(
  kind: Kind,
  body: DecodedBody,
  fieldValidation: FieldValidation,
  { refuse = (cause) => cannotBeHandled(kind, cause) }: DecodeOptions = {},
): { readonly object: JsonObject; readonly warnings: readonly string[] } {
  if (kind.custom === undefined) checkKind(kind, body);
  else checkCustomKind(kind, body);
  const { object, unknownFields } = decodeOrRefuse(kind, body, refuse);
  const complaints = [
    ...unknownFields.map((path) => `unknown field "${path}"`),
    ...body.duplicateFields.map((path) => `duplicate field "${path}"`),
  ];
  if (fieldValidation === 'Strict' && complaints.length > 0) {
    throw cannotBeHandled(kind, `strict decoding error: ${complaints.join(', ')}`);
  }
  const owned = withEmptyOwners(body.value, object);
  const typed = {
    ...(kind.custom === undefined || kind.namespaced
      ? owned
      : withPath(owned, 'metadata.namespace', undefined)),
    apiVersion: formatGroupVersion(kind),
    kind: kind.kind,
  };
  return { object: typed, warnings: fieldValidation === 'Warn' ? complaints : [] };
}

/** An empty list of owners is not the same as none: it wipes them. */
function withEmptyOwners(given: unknown, object: JsonObject): JsonObject {
  const managedFields = at(given, 'metadata.managedFields');
  return Array.isArray(managedFields) && managedFields.length === 0
    ? withPath(object, 'metadata.managedFields', [])
    : object;
}

function decodeOrRefuse(
  kind: Kind,
  { value, literals }: Pick<DecodedBody, 'value' | 'literals'>,
  refuse: NonNullable<DecodeOptions['refuse']>,
): ReturnType<typeof decodeObject> {
  try {
    return decodeObject(kind, value, literals);
  } catch (error) {
    if (isPodwrightError(error, 'E_LIMIT')) {
      const { field, count, countMax } = error.detail;
      const fault = tooManyField(stringOf(field), numberOf(count), numberOf(countMax));
      throw invalid(kind, stringOf(at(value, 'metadata.name')), [fault]);
    }
    if (isPodwrightError(error, 'E_INVALID')) throw refuse(error.message, error.detail);
    throw error;
  }
}

/** Custom objects have to say what they are, and the version must be that of the URL. @throws {E_API} 400 or 422, as upstream's decoder */
function checkCustomKind(kind: Kind, { value, kind: name, apiVersion = '' }: DecodedBody): void {
  const text = (JSON.stringify(value) ?? '').slice(0, bodyCharsMax);
  const start = `${text.slice(0, bodyStartChars)} ...`;
  const unrecognized = `the object provided is unrecognized (must be of type ${kind.kind})`;
  if (!isObject(value)) {
    const type = Array.isArray(value) ? 'array' : value === null ? 'null' : typeof value;
    const struct = String.raw`struct { APIVersion string "json:\"apiVersion,omitempty\""; Kind string "json:\"kind,omitempty\"" }`;
    throw badRequest(
      `${unrecognized}: couldn't get version/kind; json parse error: json: cannot unmarshal ${type} into Go value of type ${struct} (${Buffer.from(text).toString('hex')})`,
    );
  }
  if (name === undefined)
    throw badRequest(`${unrecognized}: Object 'Kind' is missing in '${text}' (${start})`);
  const wanted = formatGroupVersion(kind);
  if (apiVersion !== wanted) {
    throw badRequest(
      `the API version in the data (${apiVersion}) does not match the expected API version (${wanted})`,
    );
  }
  if (name === kind.kind) return;
  const fault = invalidField('kind', name, `must be ${kind.kind}`);
  throw invalid({ group: kind.group, kind: name }, stringOf(at(value, 'metadata.name')), [fault]);
}

/** Of a body that is no object of a custom kind: how much an error shows of it. */
const bodyCharsMax = 1000;
const bodyStartChars = 30;

/** Missing ones are filled from the URL; others must be the kind's own. */
function checkKind(kind: Kind, body: DecodedBody): void {
  const name = body.kind ?? kind.kind;
  const apiVersion = currentApiVersion(body.apiVersion ?? formatGroupVersion(kind), name);
  if (name === kind.kind && apiVersion === formatGroupVersion(kind)) return;
  const { version } = parseGroupVersion(apiVersion);
  if (name === kind.kind && isRegistered(apiVersion, name)) {
    throw badRequest(
      `the API version in the data (${apiVersion}) does not match the expected API version (${formatGroupVersion(kind)})`,
    );
  }
  throw cannotBeHandled(kind, unlikeCause(kind, apiVersion, name), { kind: name, version });
}

/** Whether Kubernetes' scheme has the kind, and be it of a version that is no longer served: those are all alphas and betas. */
function isRegistered(apiVersion: string, name: string): boolean {
  const type = { ...parseGroupVersion(apiVersion), kind: name };
  return builtInTypeName(type) !== undefined || /^v\d+(alpha|beta)\d+$/.test(type.version);
}

/** Why what says to be of that type cannot be one of the kind, in the words of Kubernetes' scheme. */
export function unlikeCause(kind: Kind, apiVersion: string, name: string): string {
  if (!isRegistered(apiVersion, name)) {
    return `no kind ${JSON.stringify(name)} is registered for version ${JSON.stringify(apiVersion)} in scheme "pkg/api/legacyscheme/scheme.go:30"`;
  }
  const own = `${kind.group === '' ? 'core' : kind.group.split('.')[0]}.${kind.kind}`;
  return `converting (${parseGroupVersion(apiVersion).version}.${name}) to (${own}): unknown conversion`;
}
