import type { StructuralSchema } from '#api/structural/structural-schema.ts';
import {
  forbiddenField,
  invalidField,
  invalidHidden,
  notSupportedField,
  type FieldError,
} from '#api/errors/field-error.ts';
import { ruleFormErrors } from '#api/cel/rules/rule-errors.ts';
import type { JsonObject } from '#api/meta/object.ts';
import { parseSchema, schemaDepthMax } from '#api/structural/parse.ts';
import { when } from '#api/validation/field.ts';
import { isObject, objectOf, stringOf } from '#api/wire/json.ts';
import { defaultErrors } from './default-errors.ts';
import { extensionErrors, type ListLeniency } from './extension-errors.ts';
import {
  alternativesOf,
  depthOf,
  isSaid,
  partAt,
  propertiesOf,
  someSchema,
  type SchemaPart,
} from './json-schema.ts';
import { structureErrors } from './structure-errors.ts';

/** What an update does not ask, for the definition was so before. */
export interface SchemaLeniency extends ListLeniency {
  readonly allowsAnyType: boolean;
  readonly allowsUnprunedDefaults: boolean;
}

/** Asked of a new schema: everything. */
export const strict: SchemaLeniency = {
  allowsGranularSets: false,
  allowsMissingKeys: false,
  allowsAnyType: false,
  allowsUnprunedDefaults: false,
};

/** How a schema is checked. */
export interface SchemaChecking {
  readonly leniency: SchemaLeniency;
  /** Objects have a status of their own: not everything may stand at the root then. */
  readonly hasStatus: boolean;
  /** Compiles `x-kubernetes-validations` of a schema that nothing else is wrong with. */
  readonly checkRules?: ((schema: StructuralSchema, path: string) => readonly FieldError[]) | undefined;
}

/**
 * Complaints about the schema of a version of a CustomResourceDefinition, in kube-apiserver's words (apiextensions-apiserver
 * pkg/apis/apiextensions/validation). `path` is where it is: `spec.validation.openAPIV3Schema`.
 */
export function schemaErrors(
  json: JsonObject,
  path: string,
  { leniency, hasStatus, checkRules }: SchemaChecking,
): readonly FieldError[] {
  if (depthOf(json) > schemaDepthMax) {
    return [invalidHidden(path, `must not have more than ${schemaDepthMax} schemas within one another`)];
  }
  const root = { json, path };
  const isReadable = !someSchema(json, isUnreadable);
  const structure = isReadable ? structureErrors(root) : [];
  const schema = parseSchema(json);
  const isStructural = isReadable && structure.length === 0;
  const errors = [
    ...(hasStatus ? rootErrors(root) : []),
    ...when(json['nullable'] === true, () =>
      forbiddenField(`${path}.nullable`, 'nullable cannot be true at the root'),
    ),
    ...structure,
    ...(isStructural ? defaultErrors(schema, path, !leniency.allowsUnprunedDefaults) : []),
    ...partErrors(root, { leniency, isRoot: true, isInMeta: false, noDefaults: undefined }),
  ];
  if (errors.length > 0) return errors;
  // What has no form here says so only where nobody else says it.
  if (!isReadable)
    return [invalidField(path, '', `OpenAPIV3Schema '${unreadableOf(json)}' is not supported`)];
  return checkRules?.(schema, path) ?? [];
}

const unreadable: Readonly<Record<string, string>> = {
  id: 'id',
  $schema: 'schema',
  $ref: '$ref',
  patternProperties: 'patternProperties',
  dependencies: 'dependencies',
  additionalItems: 'additionalItems',
  definitions: 'definitions',
};

function isUnreadable(json: JsonObject): boolean {
  return (
    Object.keys(unreadable).some((name) => isSaid(json[name])) ||
    Array.isArray(json['items']) ||
    json['x-kubernetes-preserve-unknown-fields'] === false
  );
}

function unreadableOf(json: JsonObject): string {
  let found = 'schema';
  someSchema(json, (each) => {
    const name = Object.keys(unreadable).find((key) => isSaid(each[key]));
    if (name !== undefined) found = unreadable[name] ?? found;
    return name !== undefined;
  });
  return found;
}

/** In Go's names and order. */
const allowedAtRoot: ReadonlyMap<string, string> = new Map([
  ['description', 'Description'],
  ['type', 'Type'],
  ['format', 'Format'],
  ['title', 'Title'],
  ['maximum', 'Maximum'],
  ['exclusiveMaximum', 'ExclusiveMaximum'],
  ['minimum', 'Minimum'],
  ['exclusiveMinimum', 'ExclusiveMinimum'],
  ['maxLength', 'MaxLength'],
  ['minLength', 'MinLength'],
  ['pattern', 'Pattern'],
  ['maxItems', 'MaxItems'],
  ['minItems', 'MinItems'],
  ['uniqueItems', 'UniqueItems'],
  ['multipleOf', 'MultipleOf'],
  ['required', 'Required'],
  ['items', 'Items'],
  ['properties', 'Properties'],
  ['externalDocs', 'ExternalDocs'],
  ['example', 'Example'],
  ['x-kubernetes-preserve-unknown-fields', 'XPreserveUnknownFields'],
  ['x-kubernetes-validations', 'XValidations'],
]);

/** The schema of the status is taken out of the whole: nothing may be said of it elsewhere. */
function rootErrors({ json, path }: SchemaPart): readonly FieldError[] {
  const type = stringOf(json['type']);
  const isOdd = Object.keys(json).some((name) => isSaid(json[name]) && !allowedAtRoot.has(name));
  const names = [...allowedAtRoot.values()].join(' ');
  return [
    ...when(type !== '' && type !== 'object', () =>
      invalidField(
        `${path}.type`,
        type,
        'only "object" is allowed as the type at the root of the schema if the status subresource is enabled',
      ),
    ),
    ...when(isOdd, () =>
      invalidHidden(
        path,
        `only [${names}] fields are allowed at the root of the schema if the status subresource is enabled`,
      ),
    ),
  ];
}

interface Context {
  readonly leniency: SchemaLeniency;
  readonly isRoot: boolean;
  /** Within apiVersion, kind or metadata of a whole object. */
  readonly isInMeta: boolean;
  /** Why there may be no defaults. */
  readonly noDefaults: string | undefined;
}

const metaMembers: ReadonlySet<string> = new Set(['apiVersion', 'kind', 'metadata']);

function partErrors(part: SchemaPart, context: Context): readonly FieldError[] {
  const errors: FieldError[] = [];
  visit(part, context, errors);
  return errors;
}

function visit(part: SchemaPart, context: Context, errors: FieldError[]): void {
  const { json, path } = part;
  errors.push(...supportErrors(part, context));
  const inner: Context = { ...context, isRoot: false };
  const others = partAt(part, 'additionalProperties');
  if (others !== undefined) {
    const noDefaults = 'inside additionalProperties applying to object metadata';
    visit(others, inner.isInMeta ? { ...inner, noDefaults } : inner, errors);
  }
  if (json['properties'] !== undefined) visitProperties(part, context, errors);
  for (const name of ['not', 'items'] as const) {
    const each = partAt(part, name);
    if (each !== undefined) visit(each, inner, errors);
  }
  for (const name of ['allOf', 'oneOf', 'anyOf'] as const) {
    if (json[name] !== undefined) alternativesOf(part, name).forEach((each) => visit(each, inner, errors));
  }
  if (json['definitions'] !== undefined) {
    propertiesOf(part, 'definitions').forEach((each) => visit(each, inner, errors));
  }
  errors.push(...extensionErrors(part, context.leniency));
  if (json['x-kubernetes-validations'] !== undefined) errors.push(...ruleFormErrors(json, path));
}

function visitProperties(part: SchemaPart, context: Context, errors: FieldError[]): void {
  const isWhole = context.isRoot || part.json['x-kubernetes-embedded-resource'] === true;
  const inner: Context = { ...context, isRoot: false };
  const properties = objectOf(part.json['properties']);
  for (const name of Object.keys(properties)) {
    const json = properties[name];
    if (!isObject(json)) continue;
    const isMeta = isWhole && metaMembers.has(name);
    const noDefaults = isMeta && context.isRoot ? `in top-level ${name}` : context.noDefaults;
    const own = isMeta ? { ...inner, isInMeta: true, noDefaults } : inner;
    visit({ json, path: `${part.path}.properties[${name}]` }, own, errors);
  }
}

const types = ['array', 'boolean', 'integer', 'number', 'object', 'string'];
/** What JSON schemas may have and these may not. */
const unsupported = ['id', 'additionalItems', 'patternProperties', 'definitions', 'dependencies', '$ref'];

function supportErrors({ json, path }: SchemaPart, context: Context): readonly FieldError[] {
  const type = stringOf(json['type']);
  const { leniency, isInMeta, noDefaults } = context;
  const errors: FieldError[] = [];
  if (!leniency.allowsAnyType && type !== '' && !types.includes(type)) {
    errors.push(notSupportedField(`${path}.type`, type, types));
  }
  if (noDefaults !== undefined && (json['default'] ?? undefined) !== undefined) {
    errors.push(forbiddenField(`${path}.default`, `must not be set ${noDefaults}`));
  }
  for (const name of unsupported) {
    if (isSaid(json[name])) errors.push(forbiddenField(`${path}.${name}`, `${name} is not supported`));
  }
  if (type === 'null') {
    const detail = 'type cannot be set to null, use nullable as an alternative';
    errors.push(forbiddenField(`${path}.type`, detail));
  }
  if (Array.isArray(json['items'])) {
    errors.push(forbiddenField(`${path}.items`, 'items must be a schema object and not an array'));
  }
  if (isInMeta && json['x-kubernetes-embedded-resource'] === true) {
    const detail = 'must not be used inside of resource meta';
    errors.push(forbiddenField(`${path}.x-kubernetes-embedded-resource`, detail));
  }
  if (json['uniqueItems'] === true) {
    const detail = 'uniqueItems cannot be set to true since the runtime complexity becomes quadratic';
    errors.push(forbiddenField(`${path}.uniqueItems`, detail));
  }
  const others = json['additionalProperties'];
  if (others !== undefined && others !== true && isSaid(json['properties'])) {
    const detail = 'additionalProperties and properties are mutual exclusive';
    errors.push(forbiddenField(`${path}.additionalProperties`, detail));
  }
  return errors;
}

/** What a schema that is stored does not keep to; an update of it need not either. */
export function leniencyOf(schemas: readonly JsonObject[]): SchemaLeniency {
  const some = (isSo: (part: SchemaPart) => boolean): boolean =>
    schemas.some((json) => someSchema(json, (each) => isSo({ json: each, path: '' })));
  const lists = (part: SchemaPart, leniency: ListLeniency): number => extensionErrors(part, leniency).length;
  const lenient = { allowsGranularSets: true, allowsMissingKeys: true };
  return {
    allowsGranularSets: some(
      (part) => lists(part, { ...lenient, allowsGranularSets: false }) > lists(part, lenient),
    ),
    allowsMissingKeys: some(
      (part) => lists(part, { ...lenient, allowsMissingKeys: false }) > lists(part, lenient),
    ),
    allowsAnyType: some(
      ({ json }) => stringOf(json['type']) !== '' && !types.includes(stringOf(json['type'])),
    ),
    allowsUnprunedDefaults: schemas.some((json) =>
      defaultErrors(parseSchema(json), '', true).some(
        ({ detail }) => detail === 'must not have unknown fields',
      ),
    ),
  };
}
