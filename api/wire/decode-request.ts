import { isPodwrightError } from '#base/errors.ts';
import type { DecodedBody } from './body.ts';
import { decodeObject } from './decode.ts';
import { tooManyField } from '#api/errors/field-error.ts';
import { at, numberOf, stringOf } from './json.ts';
import { currentApiVersion, formatGroupVersion, parseGroupVersion, type Kind } from '#api/schema/kinds.ts';
import type { JsonObject } from '#api/meta/object.ts';
import { badRequest, cannotBeHandled, invalid } from '#api/errors/status.ts';

/** What to do about unknown and duplicate fields (query parameter fieldValidation). */
export type FieldValidation = 'Strict' | 'Warn' | 'Ignore';

/**
 * A request body as an object of the kind, with apiVersion and kind filled in from the URL where they were missing.
 * `warnings` are the texts for `Warning: 299 - "…"` headers.
 * @throws {E_API} 400: another kind, a wrong type, or (Strict) an unknown or duplicate field
 */
export function decodeRequest(
  kind: Kind,
  body: DecodedBody,
  fieldValidation: FieldValidation,
): { readonly object: JsonObject; readonly warnings: readonly string[] } {
  checkKind(kind, body);
  const { object, unknownFields } = decodeOrRefuse(kind, body);
  const complaints = [
    ...unknownFields.map((path) => `unknown field "${path}"`),
    ...body.duplicateFields.map((path) => `duplicate field "${path}"`),
  ];
  if (fieldValidation === 'Strict' && complaints.length > 0) {
    throw cannotBeHandled(kind, `strict decoding error: ${complaints.join(', ')}`);
  }
  const typed = { ...object, apiVersion: formatGroupVersion(kind), kind: kind.kind };
  return { object: typed, warnings: fieldValidation === 'Warn' ? complaints : [] };
}

function decodeOrRefuse(
  kind: Kind,
  { value, literals }: Pick<DecodedBody, 'value' | 'literals'>,
): ReturnType<typeof decodeObject> {
  try {
    return decodeObject(kind, value, literals);
  } catch (error) {
    if (isPodwrightError(error, 'E_LIMIT')) {
      const { field, count, countMax } = error.detail;
      const fault = tooManyField(stringOf(field), numberOf(count), numberOf(countMax));
      throw invalid(kind, stringOf(at(value, 'metadata.name')), [fault]);
    }
    if (isPodwrightError(error, 'E_INVALID')) throw cannotBeHandled(kind, error.message);
    throw error;
  }
}

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
