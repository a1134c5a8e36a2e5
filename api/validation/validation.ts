import { collectFaults, type FieldError } from '#api/errors/field-error.ts';
import { equalJson, memberOf } from '#api/wire/json.ts';
import type { Kind } from '#api/schema/kinds.ts';
import { rulesOf } from '#api/kinds/rules-of.ts';
import type { UpdateCheck } from '#api/kinds/rules.ts';
import type { JsonObject } from '#api/meta/object.ts';
import { withKeptTexts } from './parts/kept-texts.ts';
import { updatedMetaFaults, validateMeta } from './meta.ts';
import { validateSchema } from './schema.ts';

export type { FieldError } from '#api/errors/field-error.ts';

/** Complaints about a new object, decoded, defaulted and prepared; none: it may be stored. */
export function validateCreate(kind: Kind, object: JsonObject): readonly FieldError[] {
  return collectFaults(() => createFaults(kind, object));
}

function createFaults(kind: Kind, object: JsonObject): readonly FieldError[] {
  const { validate, validateCreate } = rulesOf(kind);
  const own = [...(validate?.(object) ?? []), ...(validateCreate?.(object) ?? [])];
  return distinct([...validateMeta(kind, object), ...own], () => schemaErrors(kind, object));
}

/** Complaints about an update, after prepareUpdate; `subresource` where the write is to one. */
export function validateUpdate(
  kind: Kind,
  old: JsonObject,
  object: JsonObject,
  subresource?: string,
): readonly FieldError[] {
  const { addressesStayWith: member } = rulesOf(kind);
  const mayKeep = (): boolean => member === undefined || equalJson(old[member], object[member]);
  return collectFaults(() =>
    withKeptTexts(old, mayKeep, () => updateFaults(kind, { old, object, subresource })),
  );
}

function updateFaults(
  kind: Kind,
  { old, object, subresource }: { old: JsonObject; object: JsonObject; subresource: string | undefined },
): readonly FieldError[] {
  const rules = rulesOf(kind);
  // What is asked of all kinds, a kind asks again: causes tell it as often (BeforeUpdate of k8s.io/apiserver pkg/registry/rest).
  const meta = updatedMetaFaults(kind, old, object);
  if (subresource === 'status') {
    const { validateStatus, validateStatusUpdate } = rules;
    const own = [...(validateStatus?.(object) ?? []), ...(validateStatusUpdate?.(old, object) ?? [])];
    return [...meta.common, ...meta.changes, ...own];
  }
  const part = subresource === undefined ? undefined : memberOf(rules.parts, subresource);
  const validate = subresource === undefined ? rules.validateUpdate : part?.validate;
  const changes = (): readonly FieldError[] => validate?.(old, object) ?? [];
  if (subresource !== undefined && part?.checksAll !== true) {
    return [...meta.common, ...meta.changes, ...changes()];
  }
  // What is stored was accepted once: it must stay possible to label it, and to let go of it.
  const isSame = isSameBody(old, object, kind.custom?.statusIsBody);
  const own = once(() => (isSame ? [] : (rules.validate?.(object, old) ?? [])));
  const answers: Readonly<Record<UpdateCheck, () => readonly FieldError[]>> = {
    metadata: () => meta.metadata,
    'metadata changes': () => meta.changes,
    object: own,
    changes,
  };
  const checks = updateChecksOf(kind);
  const asked = checks.flatMap((check) => answers[check]());
  const isWhole = !isSame && checks.includes('object');
  return distinct([...meta.common, ...asked], () => (isWhole ? schemaErrors(kind, object) : []));
}

/** ValidateX, then ValidateXUpdate, as most strategies of Kubernetes have it. */
const usualUpdateChecks: readonly UpdateCheck[] = ['metadata', 'object', 'metadata changes', 'changes'];

/** Of objects of definitions (apiextensions-apiserver pkg/registry/customresource). */
const customUpdateChecks: readonly UpdateCheck[] = ['metadata changes', 'object', 'changes'];

/** What an update of an object of the kind is checked for. */
function updateChecksOf(kind: Kind): readonly UpdateCheck[] {
  return kind.custom === undefined ? (rulesOf(kind).updateChecks ?? usualUpdateChecks) : customUpdateChecks;
}

/** Complaints are made once, however often they are asked for. */
function once(make: () => readonly FieldError[]): () => readonly FieldError[] {
  let made: readonly FieldError[] | undefined;
  return () => (made ??= make());
}

function schemaErrors(kind: Kind, object: JsonObject): readonly FieldError[] {
  return rulesOf(kind).validatesAll === true ? [] : validateSchema(kind, object);
}

/** Whether the two say the same, but for metadata and status. */
function isSameBody(old: JsonObject, object: JsonObject, statusIsBody = false): boolean {
  const isSame = (key: string): boolean =>
    key === 'metadata' || (key === 'status' && !statusIsBody) || equalJson(old[key], object[key]);
  return Object.keys(old).every(isSame) && Object.keys(object).every(isSame);
}

/** The schema's complaints count only where nothing more particular was said of the same field, with its places in lists or without. */
function distinct(
  particular: readonly FieldError[],
  schema: () => readonly FieldError[],
): readonly FieldError[] {
  const fields = new Set(particular.map(({ field }) => field));
  const isSaid = (field: string): boolean =>
    fields.has(field) || fields.has(field.replaceAll(/\[\d+\]/g, ''));
  return [...particular, ...schema().filter(({ field }) => !isSaid(field))];
}
