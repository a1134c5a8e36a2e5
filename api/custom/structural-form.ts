import { compileRules, type RuleTree } from '#api/cel/rules/compile-rules.ts';
import { runRules } from '#api/cel/rules/run-rules.ts';
import type { FieldError } from '#api/errors/field-error.ts';
import type { JsonObject } from '#api/meta/object.ts';
import { fillDefaults } from '#api/structural/defaults.ts';
import { coerceEmbedded } from '#api/structural/embedded.ts';
import { parseSchema } from '#api/structural/parse.ts';
import { pruneObject } from '#api/structural/prune.ts';
import type { StructuralSchema } from '#api/structural/structural-schema.ts';
import { validateObject, type ValidatedWrite } from '#api/structural/validate.ts';

/** What the schema of a version does to objects of it. Nothing given to it is changed. */
export interface StructuralForm {
  readonly schema: StructuralSchema;
  /** What it was read from, which is not kept: it is many times as large. */
  readonly json: () => JsonObject;
  /** What the schema knows of an object that was stored or converted: nothing is refused. */
  readonly prune: (object: JsonObject) => JsonObject;
  readonly fillDefaults: (object: JsonObject) => JsonObject;
  /** Complaints about an object; of an update, about what is not as it was. */
  readonly validate: (object: JsonObject, old?: JsonObject) => readonly FieldError[];
}

/** Definitions of long ago have versions without a schema: their objects are whatever they are. */
const anything: JsonObject = { type: 'object', 'x-kubernetes-preserve-unknown-fields': true };

/** Reads the openAPIV3Schema of a version; `read` gives it, and is asked again for what is seldom wanted. */
export function structuralForm(read: () => JsonObject | undefined): StructuralForm {
  const json = (): JsonObject => read() ?? anything;
  const schema = parseSchema(json());
  let rules: RuleTree | undefined | 'unread' = 'unread';
  const checkRules: ValidatedWrite['checkRules'] = (value, old) => {
    if (rules === 'unread') rules = compileRules(schema);
    return rules === undefined ? [] : runRules(rules, { value, old }).errors;
  };
  return {
    schema,
    json,
    prune: (object) => coerceEmbedded(schema, pruneObject(schema, object).object, true).object,
    fillDefaults: (object) => fillDefaults(schema, object),
    validate: (object, old) => validateObject(schema, { object, old, checkRules }),
  };
}
