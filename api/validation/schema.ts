import { schemaFacts, type FieldFact } from '#api/facts.ts';
import { notSupportedField, requiredField, type FieldError } from '#api/field-error.ts';
import { isObject } from '#api/json.ts';
import { schemaType } from '#api/kinds.ts';
import type { JsonObject } from '#api/object.ts';

/**
 * What the schema alone can tell: required fields that are missing or empty, and values that are none of an enum's. Numbers are not
 * checked for presence (Go cannot tell 0 from absent), nor is anything in metadata or in status, which the server's own parts write.
 */
export function validateSchema(typeName: string, object: JsonObject): readonly FieldError[] {
  const { metadata: _metadata, status: _status, ...rest } = object;
  const errors: FieldError[] = [];
  checkStruct(typeName, rest, { path: '', errors });
  return errors.filter(({ field }) => field !== 'metadata');
}

interface Walk {
  readonly path: string;
  readonly errors: FieldError[];
}

/** What there is to check in a type; most fields need no look. */
interface TypePlan {
  readonly required: readonly string[];
  readonly fields: ReadonlyMap<string, FieldPlan>;
}

interface FieldPlan {
  readonly allowed: readonly string[] | undefined;
  readonly shape: 'one' | 'list' | 'map';
  /** The struct that values or items are, if they are. */
  readonly struct: string | undefined;
}

function checkStruct(typeName: string, object: JsonObject, { path, errors }: Walk): void {
  const plan = planOf(typeName);
  for (const name of plan.required) {
    const value = object[name];
    if (value === undefined || value === null || value === '') errors.push(requiredField(join(path, name)));
  }
  for (const name of Object.keys(object)) {
    const field = plan.fields.get(name);
    if (field !== undefined) checkField(object[name], field, { path: join(path, name), errors });
  }
}

function checkField(value: unknown, { allowed, shape, struct }: FieldPlan, { path, errors }: Walk): void {
  if (allowed !== undefined && typeof value === 'string' && value !== '' && !allowed.includes(value)) {
    errors.push(notSupportedField(path, value, allowed));
  }
  if (struct === undefined) return;
  if (shape === 'one' && isObject(value)) checkStruct(struct, value, { path, errors });
  else if (shape === 'list' && Array.isArray(value)) {
    value.forEach((item, index) => {
      if (isObject(item)) checkStruct(struct, item, { path: `${path}[${index}]`, errors });
    });
  } else if (shape === 'map' && isObject(value)) {
    for (const [key, item] of Object.entries(value)) {
      if (isObject(item)) checkStruct(struct, item, { path: `${path}[${key}]`, errors });
    }
  }
}

const plans = new Map<string, TypePlan>();

function planOf(typeName: string): TypePlan {
  const known = plans.get(typeName);
  if (known !== undefined) return known;
  const type = schemaType(typeName);
  const facts = Object.entries(type?.f ?? {});
  const required = (type?.r ?? []).filter((name) => isChecked(type?.f?.[name]) && !mayBeEmpty.has(name));
  const fields = facts.map(([name, fact]) => [name, planField(fact)] as const);
  const useful = fields.filter(([, { allowed, struct }]) => allowed !== undefined || struct !== undefined);
  const made = { required, fields: new Map(useful) };
  plans.set(typeName, made);
  return made;
}

function planField(fact: FieldFact): FieldPlan {
  const [expression, extra] = typeof fact === 'string' ? [fact, undefined] : fact;
  const allowed = extra?.e === undefined ? undefined : schemaFacts().enums[extra.e];
  const shape = expression.startsWith('[]') ? 'list' : expression.startsWith('map:') ? 'map' : 'one';
  const item = expression.replace(/^(\[\]|map:)/, '');
  return { allowed, shape, struct: schemaType(item)?.f === undefined ? undefined : item };
}

/** Lists and maps are never missing: which of them may be empty is particular to each. */
function isChecked(fact: FieldFact | undefined): boolean {
  const expression = fact === undefined || typeof fact === 'string' ? (fact ?? '') : fact[0];
  return !expression.startsWith('[]') && !expression.startsWith('map:') && !numeric.has(expression);
}

const numeric: ReadonlySet<string> = new Set(['int32', 'int64', 'double', 'bool', 'raw', 'json', 'any']);

/** Required, but not to be filled: values of HTTP headers and sysctls, the API server's own audience. */
const mayBeEmpty: ReadonlySet<string> = new Set(['value', 'audience']);

function join(path: string, name: string): string {
  return path === '' ? name : `${path}.${name}`;
}
