/** What `type` may say; '' where nothing is said: int-or-string, or JSON of any shape. */
export type SchemaTypeName = '' | 'array' | 'boolean' | 'integer' | 'number' | 'object' | 'string';

/**
 * A schema of a custom kind, read once from its JSON (JSONSchemaProps of apiextensions/v1) and never changed: generic parts, structure,
 * extensions and value checks, each of which has its own short walk. The same form stands within allOf, anyOf, oneOf and not, where only
 * value checks may be. Texts for people are left out. Equal parts of one schema are one value.
 */
export interface StructuralSchema {
  readonly type: SchemaTypeName;
  readonly nullable: boolean;
  /** undefined: none. Null is none, too. */
  readonly default: unknown;
  readonly properties: ReadonlyMap<string, StructuralSchema> | undefined;
  /** Of a list. */
  readonly items: StructuralSchema | undefined;
  /** Of members without a property: their schema, or whether there may be any. undefined: nothing is said. */
  readonly additionalProperties: StructuralSchema | boolean | undefined;
  readonly extensions: SchemaExtensions | undefined;
  readonly checks: ValueChecks | undefined;
}

/** `x-kubernetes-…` */
export interface SchemaExtensions {
  readonly preservesUnknownFields: boolean;
  readonly isEmbeddedResource: boolean;
  readonly isIntOrString: boolean;
  /** As it is written; undefined: atomic. */
  readonly listType: string | undefined;
  readonly listMapKeys: readonly string[];
  /** As it is written; undefined: granular. */
  readonly mapType: string | undefined;
  readonly rules: readonly ValidationRule[];
}

/** One of `x-kubernetes-validations` (ValidationRule of apiextensions/v1); texts that are not given are empty. */
export interface ValidationRule {
  readonly rule: string;
  readonly message: string;
  readonly messageExpression: string;
  readonly reason: string | undefined;
  readonly fieldPath: string;
  readonly optionalOldSelf: boolean | undefined;
}

/** What is asked of a value beside its shape. */
export interface ValueChecks {
  readonly format?: string;
  readonly maximum?: number;
  readonly exclusiveMaximum?: boolean;
  readonly minimum?: number;
  readonly exclusiveMinimum?: boolean;
  readonly multipleOf?: number;
  /** In code points. */
  readonly maxLength?: number;
  readonly minLength?: number;
  /** RE2. */
  readonly pattern?: string;
  readonly maxItems?: number;
  readonly minItems?: number;
  readonly uniqueItems?: boolean;
  readonly maxProperties?: number;
  readonly minProperties?: number;
  readonly required?: readonly string[];
  readonly enum?: readonly unknown[];
  readonly allOf?: readonly StructuralSchema[];
  readonly anyOf?: readonly StructuralSchema[];
  readonly oneOf?: readonly StructuralSchema[];
  readonly not?: StructuralSchema;
}

/** A schema that says nothing. */
export const emptySchema: StructuralSchema = {
  type: '',
  nullable: false,
  default: undefined,
  properties: undefined,
  items: undefined,
  additionalProperties: undefined,
  extensions: undefined,
  checks: undefined,
};

/** Whether members that no property names are kept. */
export function preservesUnknown(schema: StructuralSchema): boolean {
  return schema.extensions?.preservesUnknownFields === true;
}

/** Whether values are whole objects of some kind, with apiVersion, kind and metadata. */
export function isEmbedded(schema: StructuralSchema): boolean {
  return schema.extensions?.isEmbeddedResource === true;
}

/** Whether values are integers or texts. */
export function isIntOrString(schema: StructuralSchema): boolean {
  return schema.extensions?.isIntOrString === true;
}

/** The schema of the members without a property of their own; undefined where there is none. */
export function memberSchema({ additionalProperties }: StructuralSchema): StructuralSchema | undefined {
  return typeof additionalProperties === 'object' ? additionalProperties : undefined;
}

/** The schema of a member of an object, by its property or else by that of all others. */
export function schemaOfMember(schema: StructuralSchema, name: string): StructuralSchema | undefined {
  return schema.properties?.get(name) ?? memberSchema(schema);
}

/** The rules of a schema itself, not of its parts. */
export function rulesOf({ extensions }: StructuralSchema): readonly ValidationRule[] {
  return extensions?.rules ?? [];
}

/** The schemas directly below one, in structure: not those of allOf and the like. */
export function childSchemas(schema: StructuralSchema): readonly StructuralSchema[] {
  const { properties, items } = schema;
  const others = memberSchema(schema);
  return [
    ...(properties?.values() ?? []),
    ...(items === undefined ? [] : [items]),
    ...(others === undefined ? [] : [others]),
  ];
}

const withRules = new WeakMap<StructuralSchema, boolean>();

/** Whether there is any of `x-kubernetes-validations` in the schema; each of parts that are equal is looked at once. */
export function hasRules(schema: StructuralSchema): boolean {
  const known = withRules.get(schema);
  if (known !== undefined) return known;
  const found = rulesOf(schema).length > 0 || childSchemas(schema).some(hasRules);
  withRules.set(schema, found);
  return found;
}
