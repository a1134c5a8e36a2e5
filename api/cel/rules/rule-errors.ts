import { schemaType, requestBytesMax } from '#api/cel/declared/schema-type.ts';
import { times } from '#api/cel/cost/range.ts';
import {
  forbiddenField,
  invalidField,
  invalidStruct,
  notSupportedField,
  requiredField,
  type FieldError,
} from '#api/errors/field-error.ts';
import type { JsonObject } from '#api/meta/object.ts';
import { parseRules, parseSchema } from '#api/structural/parse.ts';
import {
  childSchemas,
  hasRules,
  isEmbedded,
  memberSchema,
  rulesOf,
  type StructuralSchema,
  type ValidationRule,
} from '#api/structural/structural-schema.ts';
import { structJson } from '#api/wire/json.ts';
import { compileOwnRules, type CompiledRule } from './compile-rules.ts';
import { readFieldPath } from './field-path.ts';
import { reasons } from './rule.ts';

/** What one expression, and what all of a schema, may be estimated at (apiextensions-apiserver, StaticEstimatedCostLimit, …CRDCostLimit). */
const expressionCostMax = 10_000_000;
const schemaCostMax = 100_000_000;
/** So many of the most expensive are named. */
const namedMax = 4;

/**
 * What is wrong with the form of the schema's own rules: everything but their expressions. `path` is the schema's, as
 * `spec.validation.openAPIV3Schema.properties[spec]`.
 */
export function ruleFormErrors(schema: JsonObject, path: string): readonly FieldError[] {
  return parseRules(schema).flatMap((rule, index) =>
    formErrors(rule, schema, `${path}.x-kubernetes-validations[${index}]`),
  );
}

const hasBreak = (text: string): boolean => /[\n\r]/.test(text);

function formErrors(rule: ValidationRule, schema: JsonObject, path: string): readonly FieldError[] {
  const errors: FieldError[] = [];
  const { message, messageExpression, reason, fieldPath } = rule;
  if (rule.rule.trim() === '') errors.push(requiredField(`${path}.rule`, 'rule is not specified'));
  else if (message !== '' && message.trim() === '')
    errors.push(invalidField(`${path}.message`, message, 'must be non-empty if specified'));
  else if (hasBreak(message.trim()))
    errors.push(invalidField(`${path}.message`, message, 'must not contain line breaks'));
  else if (hasBreak(rule.rule.trim()) && message.trim() === '')
    errors.push(requiredField(`${path}.message`, 'message must be specified if rule contains line breaks'));
  if (messageExpression !== '' && messageExpression.trim() === '')
    errors.push(requiredField(`${path}.messageExpression`, 'must be non-empty if specified'));
  if (reason !== undefined && !reasons.some((known) => known === reason))
    errors.push(notSupportedField(`${path}.reason`, reason, reasons));
  if (fieldPath !== '' && fieldPath.trim() === '')
    errors.push(invalidField(`${path}.fieldPath`, fieldPath, 'must be non-empty if specified'));
  if (hasBreak(fieldPath))
    errors.push(invalidField(`${path}.fieldPath`, fieldPath, 'must not contain line breaks'));
  if (fieldPath !== '' && readFieldPath(fieldPath, parseSchema(schema)) === undefined)
    errors.push(invalidField(`${path}.fieldPath`, fieldPath, 'must be a valid path'));
  return errors;
}

/** The expressions that a stored schema has already: they may use what new ones may not. */
export type StoredExpressions = ReadonlySet<string>;

/** All expressions of a schema and its parts. */
export function expressionsOf(schema: StructuralSchema): StoredExpressions {
  const found = new Set<string>();
  const visit = (part: StructuralSchema): void => {
    for (const { rule, messageExpression } of rulesOf(part)) found.add(rule).add(messageExpression);
    childSchemas(part).forEach(visit);
  };
  visit(schema);
  return found;
}

/**
 * What is wrong with the expressions of a whole structural schema and what they may cost, its parts first. To be asked where the schema is in
 * order otherwise, the form of its rules too, and is not what is stored already.
 *
 * @param path of the schema, `spec.validation.openAPIV3Schema`
 */
export function ruleErrors(
  schema: StructuralSchema,
  path: string,
  stored: StoredExpressions = new Set(),
): readonly FieldError[] {
  const walk = new RuleWalk(stored);
  walk.visit({ schema, path, isResource: true, cardinality: 1, uncorrelatable: undefined });
  return [...walk.errors, ...walk.total.errors(path)];
}

interface Place {
  readonly schema: StructuralSchema;
  readonly path: string;
  readonly isResource: boolean;
  /** How many values of the schema one object may hold; undefined: nobody says. */
  readonly cardinality: number | undefined;
  /** The list within which values have no old ones. */
  readonly uncorrelatable: string | undefined;
}

class RuleWalk {
  readonly errors: FieldError[] = [];
  readonly total = new TotalCost();
  readonly #stored: StoredExpressions;

  constructor(stored: StoredExpressions) {
    this.#stored = stored;
  }

  visit(place: Place): void {
    const { schema, path } = place;
    if (!hasRules(schema)) return;
    const { items, properties } = schema;
    const inner = (part: StructuralSchema | undefined, name: string): void => {
      if (part === undefined) return;
      const cardinality = timesKnown(place.cardinality, countMax(schema));
      this.visit({
        schema: part,
        path: `${path}.${name}`,
        isResource: isEmbedded(part),
        cardinality,
        uncorrelatable: place.uncorrelatable ?? (name === 'items' && !hasKeys(schema) ? path : undefined),
      });
    };
    inner(memberSchema(schema), 'additionalProperties');
    for (const name of [...(properties?.keys() ?? [])].toSorted())
      inner(properties?.get(name), `properties[${name}]`);
    inner(items, 'items');
    this.#own(place);
  }

  #own(place: Place): void {
    const { schema, path, isResource } = place;
    if (rulesOf(schema).length === 0) return;
    const isStored = rulesOf(schema).every(({ rule }) => this.#stored.has(rule));
    const compiled = compileOwnRules(schema, isResource, isStored ? 'all' : 'compatible');
    const declared = schemaType(schema, 'selfType', isResource);
    const cardinality = place.cardinality ?? Math.floor(requestBytesMax / ((declared?.minBytes ?? 0) + 1));
    for (const [index, rule] of compiled.entries())
      this.#rule(rule, `${path}.x-kubernetes-validations[${index}]`, { ...place, cardinality });
  }

  #rule(compiled: CompiledRule, path: string, { cardinality = 1, uncorrelatable }: Place): void {
    const { rule, error, messageError, messageProgram, usesOldSelf } = compiled;
    this.#cost('estimated rule cost', `${path}.rule`, times(compiled.costMax, cardinality));
    if (error !== undefined) this.errors.push(invalidStruct(`${path}.rule`, shown(rule), error));
    if (messageError !== undefined)
      this.errors.push(invalidStruct(`${path}.messageExpression`, shown(rule), messageError));
    else if (messageProgram !== undefined)
      this.#cost('estimated messageExpression cost', `${path}.messageExpression`, compiled.messageCostMax);
    if (usesOldSelf && uncorrelatable !== undefined) {
      const detail = `oldSelf cannot be used on the uncorrelatable portion of the schema within ${uncorrelatable}`;
      this.errors.push(invalidField(`${path}.rule`, rule.rule, detail));
    }
    if (!usesOldSelf && rule.optionalOldSelf !== undefined && error === undefined) {
      const detail = 'may not be set if oldSelf is not used in rule';
      this.errors.push(invalidField(`${path}.optionalOldSelf`, rule.optionalOldSelf, detail));
    }
  }

  #cost(what: string, path: string, cost: number): void {
    if (cost > expressionCostMax)
      this.errors.push(forbiddenField(path, tooExpensive(what, cost, expressionCostMax)));
    this.total.add(path, cost);
  }
}

class TotalCost {
  #total = 0;
  #most: readonly { readonly path: string; readonly cost: number }[] = [];

  add(path: string, cost: number): void {
    this.#total += cost;
    if (cost < schemaCostMax / 100) return;
    this.#most = [...this.#most, { path, cost }].toSorted((a, b) => b.cost - a.cost).slice(0, namedMax);
  }

  errors(path: string): readonly FieldError[] {
    if (this.#total <= schemaCostMax) return [];
    const detail =
      'contributed to estimated rule cost total exceeding cost limit for entire OpenAPIv3 schema';
    return [
      ...this.#most.map((one) => forbiddenField(one.path, detail)),
      forbiddenField(
        path,
        tooExpensive(
          'x-kubernetes-validations estimated rule cost total for entire OpenAPIv3 schema',
          this.#total,
          schemaCostMax,
        ),
      ),
    ];
  }
}

function tooExpensive(what: string, cost: number, costMax: number): string {
  const factor = cost / costMax;
  const times = factor > 100 ? 'more than 100x' : `${factor.toFixed(factor < 1.5 ? 6 : 1)}x`;
  return `${what} exceeds budget by factor of ${times} (try simplifying the rule, or adding maxItems, maxProperties, and maxLength where arrays, maps, and strings are declared)`;
}

/** By how much a schema multiplies its parts; undefined: without bound. */
function countMax({ type, additionalProperties, checks }: StructuralSchema): number | undefined {
  const limit = (value: number | undefined): number | undefined =>
    value === undefined ? undefined : Math.max(0, value);
  if (type === 'array') return limit(checks?.maxItems);
  return type === 'object' && additionalProperties !== undefined ? limit(checks?.maxProperties) : 1;
}

function timesKnown(a: number | undefined, b: number | undefined): number | undefined {
  return a === undefined || b === undefined ? undefined : times(a, b);
}

function hasKeys({ extensions }: StructuralSchema): boolean {
  return extensions?.listType === 'map';
}

/** As Go shows the struct. */
function shown({
  rule,
  message,
  messageExpression,
  reason,
  fieldPath,
  optionalOldSelf,
}: ValidationRule): string {
  return structJson({
    Rule: rule,
    Message: message,
    MessageExpression: messageExpression,
    Reason: reason ?? null,
    FieldPath: fieldPath,
    OptionalOldSelf: optionalOldSelf ?? null,
  });
}
