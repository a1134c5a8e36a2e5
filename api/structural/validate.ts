import { renderFieldError, type FieldError } from '#api/errors/field-error.ts';
import type { JsonObject } from '#api/meta/object.ts';
import { embeddedErrors } from './embedded.ts';
import { listTypeErrors } from './list-types.ts';
import { hasRules, type StructuralSchema } from './structural-schema.ts';
import { checkOf, checkPart } from './validate-value.ts';
import { startWalk, stepCountMax } from './walk.ts';

/** What a validation has to do with. */
export interface ValidatedWrite {
  readonly object: JsonObject;
  /** What the object replaces; undefined: it is new. */
  readonly old?: JsonObject | undefined;
  /** Asks `x-kubernetes-validations`; only where the schema has any (`hasRules`) and nothing found so far forbids it. */
  readonly checkRules?:
    | ((object: JsonObject, old: JsonObject | undefined) => readonly FieldError[])
    | undefined;
}

/** After these nothing is asked of rules, which could meet what they do not expect (customresource strategy, hasBlockingErr). */
const blocking: ReadonlySet<string> = new Set([
  'NotSupported',
  'Required',
  'TooLong',
  'TooMany',
  'TypeInvalid',
]);

const uncheckedText =
  'some validation rules were not checked because the object was invalid; correct the existing errors to complete validation';

/**
 * Complaints about an object of a custom kind, in kube-apiserver's words and order: of the schema, of embedded resources, of sets and
 * maps, of rules. Its metadata is for whoever validates metadata. What an update leaves as it was is not complained of again.
 */
export function validateObject(
  schema: StructuralSchema,
  { object, old, checkRules }: ValidatedWrite,
): readonly FieldError[] {
  const listErrors = (each: JsonObject): readonly FieldError[] => listTypeErrors(schema, each);
  const wasUnique = old === undefined || listErrors(old).length === 0;
  const errors = [
    ...valueErrors(schema, object, old),
    ...embeddedErrors(schema, object),
    ...(wasUnique ? listErrors(object) : []),
  ];
  if (!hasRules(schema)) return errors;
  if (errors.some(({ type }) => blocking.has(type))) {
    return [...errors, { type: 'Invalid', field: '<nil>', value: null, detail: uncheckedText }];
  }
  return [...errors, ...(checkRules?.(object, old) ?? [])];
}

/** Complaints of the schema alone about any value. */
export function valueErrors(schema: StructuralSchema, value: unknown, old?: unknown): readonly FieldError[] {
  const walk = startWalk();
  checkPart(checkOf(schema), walk, value, old);
  if (walk.steps > stepCountMax) {
    const detail =
      'validation was stopped because it takes too long; the schema asks too much of an object of this size';
    return [...unique(walk.errors), { type: 'Invalid', field: '<nil>', value: '', detail }];
  }
  return unique(walk.errors);
}

/** What several alternatives complain of is said once. */
function unique(errors: readonly FieldError[]): readonly FieldError[] {
  if (errors.length < 2) return errors;
  const seen = new Map(errors.map((error) => [`${error.field}: ${renderFieldError(error)}`, error]));
  return [...seen.values()];
}
