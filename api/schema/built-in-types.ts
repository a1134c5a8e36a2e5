import {
  mergeFacts,
  protoFacts,
  schemaFacts,
  type FieldFact,
  type ProtoField,
  type TypeFact,
} from '#api/facts/facts.ts';
import { builtInTexts } from '#api/facts/texts.ts';
import { memberOf } from '#api/wire/json.ts';
import {
  containerOf,
  type GroupVersionKind,
  type MergeRule,
  type SchemaField,
  type SchemaType,
  type TypeSource,
} from './type-source.ts';

const types = new Map<string, SchemaType>();

/** The types of Kubernetes, from the facts; each is put together when it is first asked for. */
export const builtInTypes: TypeSource = {
  fillsDefaults: false,
  find: (name) => {
    const known = types.get(name);
    if (known !== undefined) return known;
    const fact = memberOf(schemaFacts().types, name);
    if (fact === undefined) return undefined;
    const made = makeType(name, fact);
    types.set(name, made);
    return made;
  },
  textsOf: builtInTexts,
};

/** The name of the type of a kind's objects, of kinds that only subresources have as well; undefined for an unknown kind. */
export function builtInTypeName({ group, version, kind }: GroupVersionKind): string | undefined {
  return memberOf(schemaFacts().kinds, `${group}/${version}/${kind}`);
}

function makeType(name: string, fact: TypeFact): SchemaType {
  const merge = memberOf(mergeFacts().types, name);
  return {
    publicName: `${publicPrefixes[name.split('.')[0] ?? ''] ?? 'io.k8s.api.'}${name}`,
    fields: fact.f === undefined ? undefined : makeFields(name, fact, merge),
    alias: fact.alias,
    ...(schemaUnions.has(name) ? { objectsAre: 'apiextensions.v1.JSONSchemaProps' } : {}),
    required: fact.r ?? [],
    merge: memberOf(merge, ''),
    kinds: kindsOfType(name),
  };
}

/** Fields of JSON schemas that Go tells zero from absent of. Protobuf has no say in them. */
const schemaPointers: ReadonlySet<string> = new Set([
  '$ref',
  'x-kubernetes-list-type',
  'x-kubernetes-map-type',
  'x-kubernetes-preserve-unknown-fields',
]);

/** JSON schemas, or something else. */
const schemaUnions: ReadonlySet<string> = new Set([
  'apiextensions.v1.JSONSchemaPropsOrArray',
  'apiextensions.v1.JSONSchemaPropsOrBool',
  'apiextensions.v1.JSONSchemaPropsOrStringArray',
]);

const publicPrefixes: Readonly<Record<string, string>> = {
  meta: 'io.k8s.apimachinery.pkg.apis.',
  version: 'io.k8s.apimachinery.pkg.',
  apiextensions: 'io.k8s.apiextensions-apiserver.pkg.apis.',
  apiregistration: 'io.k8s.kube-aggregator.pkg.apis.',
};

function makeFields(
  typeName: string,
  { f: facts = {}, r: required = [] }: TypeFact,
  merge: Readonly<Record<string, MergeRule>> | undefined,
): ReadonlyMap<string, SchemaField> {
  const proto = protoFields(typeName);
  const made = Object.entries(facts).map(([name, fact]) => {
    const [type, extra] = splitFact(fact);
    const place = { typeName, name, type, isRequired: required.includes(name), proto };
    const field: SchemaField = {
      type,
      ...encodingOf(place),
      presence: isFilled(place) ? 'filled' : 'optional',
      allowed: extra.e === undefined ? undefined : schemaFacts().enums[extra.e],
      default: extra.d,
      merge: memberOf(merge, name),
    };
    return [name, field] as const;
  });
  return new Map(made);
}

function splitFact(fact: FieldFact): readonly [string, { readonly e?: string; readonly d?: unknown }] {
  return typeof fact === 'string' ? [fact, {}] : fact;
}

interface FieldPlace {
  readonly typeName: string;
  readonly name: string;
  readonly type: string;
  readonly isRequired: boolean;
  /** undefined for a type without facts about its protobuf. */
  readonly proto: ReadonlyMap<string, ProtoField> | undefined;
}

/** What Go's encoder does with the zero value of the field. */
function encodingOf({
  typeName,
  name,
  type,
  isRequired,
  proto,
}: FieldPlace): Pick<SchemaField, 'omitsEmpty' | 'absent'> {
  if (nullWhenEmpty.has(`${typeName}.${name}`)) return { omitsEmpty: true, absent: 'null' };
  if (containerOf(type).shape !== 'one') {
    return { omitsEmpty: !isRequired, absent: isRequired && proto !== undefined ? 'zero' : 'nothing' };
  }
  const flag = proto?.get(name)?.[2];
  if (memberOf(schemaFacts().types, type)?.f !== undefined) {
    // Structs that are no pointers are always shown; ObjectMeta is one everywhere.
    const isShown = flag !== undefined || type === 'meta.v1.ObjectMeta';
    return { omitsEmpty: false, absent: isShown ? 'zero' : 'nothing' };
  }
  const isShown = flag === 2 || isTimeAlwaysShown(name, type, flag);
  const isFlagOrText = type === 'bool' || type === 'string';
  const isOfSchema = isFlagOrText && typeName === 'apiextensions.v1.JSONSchemaProps';
  const isLeftOut = flag === 1 || (isOfSchema && !schemaPointers.has(name));
  return { omitsEmpty: isLeftOut, absent: isShown ? 'zero' : 'nothing' };
}

/**
 * Lists without omitempty that Go shows as null (kube-apiserver 1.36.2). Others of the kind are shown as [], which every client takes
 * as the same and which spares JavaScript ones a null.
 */
const nullWhenEmpty: ReadonlySet<string> = new Set([
  'storage.v1.CSINodeSpec.drivers',
  'autoscaling.v2.HorizontalPodAutoscalerStatus.currentMetrics',
  'apiextensions.v1.CustomResourceDefinitionStatus.conditions',
]);

/** omitempty does not leave out a struct, and Time is one: only creationTimestamp (omitzero) goes missing when zero. */
function isTimeAlwaysShown(name: string, type: string, flag: 1 | 2 | undefined): boolean {
  return flag === 1 && (type === 'time' || type === 'microtime') && name !== 'creationTimestamp';
}

/** Proto fields of a type under their JSON names, those of inlined messages among them; undefined without facts. */
function protoFields(typeName: string): ReadonlyMap<string, ProtoField> | undefined {
  const facts = protoFacts();
  const message = facts.messages[typeName];
  if (message === undefined) return undefined;
  const { rename = {}, inline = [] } = facts.json[typeName] ?? {};
  const fields = new Map<string, ProtoField>();
  for (const [name, field] of Object.entries(message)) {
    if (inline.includes(name)) {
      for (const [inner, value] of protoFields(field[1]) ?? []) fields.set(inner, value);
    } else fields.set(rename[name] ?? name, field);
  }
  return fields;
}

/** Of what is required: lists and maps are never missing (which of them may be empty is particular to each), nor are numbers. */
function isFilled({ name, type, isRequired }: FieldPlace): boolean {
  return isRequired && containerOf(type).shape === 'one' && !numeric.has(type) && !mayBeEmpty.has(name);
}

const numeric: ReadonlySet<string> = new Set(['int32', 'int64', 'double', 'bool', 'raw', 'json', 'any']);

/** Required, but not to be filled: values of HTTP headers and sysctls, the API server's own audience. */
const mayBeEmpty: ReadonlySet<string> = new Set(['value', 'audience']);

let typeKinds: ReadonlyMap<string, readonly GroupVersionKind[]> | undefined;

function kindsOfType(typeName: string): readonly GroupVersionKind[] {
  typeKinds ??= new Map(
    [...Map.groupBy(Object.entries(schemaFacts().kinds), ([, type]) => type)].map(([type, entries]) => [
      type,
      entries.map(([key]) => {
        const [group = '', version = '', kind = ''] = key.split('/');
        return { group, kind, version };
      }),
    ]),
  );
  return typeKinds.get(typeName) ?? [];
}
