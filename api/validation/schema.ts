import { notSupportedField, requiredField, type FieldError } from '#api/errors/field-error.ts';
import { isObject } from '#api/wire/json.ts';
import type { JsonObject } from '#api/meta/object.ts';
import { containerOf, type SchemaField, type TypeRef, type TypeSource } from '#api/schema/type-source.ts';

/**
 * What the schema alone can tell: required fields that are missing or empty, and values that are none of an enum's. Numbers are not
 * checked for presence (Go cannot tell 0 from absent), nor is anything in metadata or in status, which the server's own parts write.
 */
export function validateSchema(type: TypeRef, object: JsonObject): readonly FieldError[] {
  const { metadata: _metadata, status: _status, ...rest } = object;
  const errors: FieldError[] = [];
  checkStruct(planOf(plansOf(type.schema), type.typeName), rest, { path: '', errors });
  return errors.filter(({ field }) => field !== 'metadata');
}

interface Walk {
  readonly path: string;
  readonly errors: FieldError[];
}

/** What there is to check in a type; most fields need no look. */
interface TypePlan {
  readonly required: readonly (readonly [name: string, presence: SchemaField['presence']])[];
  readonly fields: ReadonlyMap<string, FieldPlan>;
}

interface FieldPlan {
  readonly allowed: readonly string[] | undefined;
  readonly shape: 'one' | 'list' | 'map';
  /** Of the struct that values or items are, if they are; made on first use, for types contain themselves. */
  readonly struct: (() => TypePlan) | undefined;
}

function checkStruct(plan: TypePlan, object: JsonObject, { path, errors }: Walk): void {
  for (const [name, presence] of plan.required) {
    const value = object[name];
    const isMissing = value === undefined || value === null || (value === '' && presence === 'filled');
    if (isMissing) errors.push(requiredField(join(path, name)));
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
  if (shape === 'one' && isObject(value)) checkStruct(struct(), value, { path, errors });
  else if (shape === 'list' && Array.isArray(value)) {
    value.forEach((item, index) => {
      if (isObject(item)) checkStruct(struct(), item, { path: `${path}[${index}]`, errors });
    });
  } else if (shape === 'map' && isObject(value)) {
    for (const [key, item] of Object.entries(value)) {
      if (isObject(item)) checkStruct(struct(), item, { path: `${path}[${key}]`, errors });
    }
  }
}

/** The plans made of a source's types. */
interface Plans {
  readonly source: TypeSource;
  readonly made: Map<string, TypePlan>;
}

const plansOfSource = new WeakMap<TypeSource, Plans>();

function plansOf(source: TypeSource): Plans {
  const known = plansOfSource.get(source);
  if (known !== undefined) return known;
  const made: Plans = { source, made: new Map() };
  plansOfSource.set(source, made);
  return made;
}

function planOf(plans: Plans, typeName: string): TypePlan {
  const known = plans.made.get(typeName);
  if (known !== undefined) return known;
  const { fields = new Map<string, SchemaField>(), required = [] } = plans.source.find(typeName) ?? {};
  const planned = [...fields].map(([name, field]) => [name, planField(plans, field)] as const);
  const useful = planned.filter(([, { allowed, struct }]) => allowed !== undefined || struct !== undefined);
  const made: TypePlan = {
    required: required.flatMap((name) => {
      const { presence = 'optional' } = fields.get(name) ?? {};
      return presence === 'optional' ? [] : [[name, presence]];
    }),
    fields: new Map(useful),
  };
  plans.made.set(typeName, made);
  return made;
}

function planField(plans: Plans, { type, allowed }: SchemaField): FieldPlan {
  const { shape, item } = containerOf(type);
  const isStruct = plans.source.find(item)?.fields !== undefined;
  return { allowed, shape, struct: isStruct ? () => planOf(plans, item) : undefined };
}

function join(path: string, name: string): string {
  return path === '' ? name : `${path}.${name}`;
}
