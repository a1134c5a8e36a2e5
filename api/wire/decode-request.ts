import { isPodwrightError } from '#base/errors.ts';
import type { DecodedBody } from './body.ts';
import { decodeObject } from './decode.ts';
import { invalidField, tooManyField } from '#api/errors/field-error.ts';
import { at, isObject, numberOf, stringOf, withPath } from './json.ts';
import { currentApiVersion, formatGroupVersion, parseGroupVersion, type Kind } from '#api/schema/kinds.ts';
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
  const { group, version } = parseGroupVersion(apiVersion);
  if (group !== kind.group && name === kind.kind) {
    throw badRequest(
      `the API version in the data (${apiVersion}) does not match the expected API version (${formatGroupVersion(kind)})`,
    );
  }
  const [from, to] = [
    `${version}.${name}`,
    `${kind.group === '' ? 'core' : kind.group.split('.')[0]}.${kind.kind}`,
  ];
  throw cannotBeHandled(kind, `converting (${from}) to (${to}): unknown conversion`, { kind: name, version });
}
