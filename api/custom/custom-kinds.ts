import type { KindRules } from '#api/kinds/rules.ts';
import type { FieldError } from '#api/errors/field-error.ts';
import type { JsonObject } from '#api/meta/object.ts';
import { builtInTypeName, builtInTypes } from '#api/schema/built-in-types.ts';
import { formatGroupVersion, parseGroupVersion, type Kind, type Subresource } from '#api/schema/kinds.ts';
import type { GroupVersionKind, TypeRef } from '#api/schema/type-source.ts';
import { compareVersions } from '#api/schema/version-order.ts';
import { objectOf, objectsOf, stringOf, withPath } from '#api/wire/json.ts';
import { readConversion } from './conversion.ts';
import type { CustomForm } from './custom-form.ts';
import { customColumns, type CustomColumns } from '#api/structural/paths/columns.ts';
import { scaleErrors, scalePathsOf } from '#api/structural/paths/scale.ts';
import { selectableCustomFields } from '#api/structural/paths/selectable.ts';
import { typeNameOfKind, typeSourceOf } from '#api/structural/type-source.ts';
import { servingKey, type CustomVersion, type Definition } from './definition.ts';
import type { StructuralForm } from './structural-form.ts';

/** What may be done with custom objects, as discovery has it. */
const allVerbs: readonly string[] = [
  ...['delete', 'deletecollection', 'get', 'list', 'patch', 'create', 'update', 'watch'],
];
const terminatingVerbs: readonly string[] = ['delete', 'deletecollection', 'get', 'list', 'watch'];
const partVerbs: readonly string[] = ['get', 'patch', 'update'];

/** The schema of a version, read when it is first asked for. */
export type FormOf = (version: string) => StructuralForm;

/**
 * The kinds that a definition has served: one for each served version. Nothing of its schemas is read for them. Those of a definition that
 * goes are the same, and tell of less that may be done.
 */
export function customKinds(definition: Definition, formOf: FormOf): readonly Kind[] {
  if (!definition.isEstablished) return [];
  const context = contextOf(definition, formOf);
  return definition.versions.filter(({ served }) => served).map((version) => kindOf(context, version));
}

/** The kind of the version in which objects are stored, served or not; undefined where there cannot be any. */
export function storageKind(definition: Definition, formOf: FormOf): Kind | undefined {
  const version = definition.versions.find(({ storage }) => storage);
  return version && kindOf(contextOf(definition, formOf), version);
}

function contextOf(definition: Definition, formOf: FormOf): Context {
  return {
    definition,
    formOf,
    conversion: readConversion(definition.conversion),
    known: new Set(definition.versions.map(({ name }) => name)),
    storageVersion: definition.versions.find(({ storage }) => storage)?.name ?? '',
  };
}

/** The kind as discovery shows it once its definition goes; the same form, so that nothing that was made of it ends. */
export function terminatingKind(kind: Kind): Kind {
  return { ...kind, verbs: terminatingVerbs };
}

const asStored = new WeakMap<Kind, Kind>();

/** The kind whose objects are read and written as they are stored, whatever version that is. */
export function asStoredKind(kind: Kind): Kind {
  const { custom } = kind;
  if (custom === undefined) return kind;
  const known = asStored.get(kind);
  if (known !== undefined) return known;
  const same = (object: JsonObject): JsonObject => object;
  const form: CustomForm = Object.create(custom, {
    ...own('conversion', { kind: 'asStored' }),
    ...own('revive', same),
    ...own('receive', same),
    ...own('receiveStored', same),
  });
  const made: Kind = { ...kind, custom: form };
  asStored.set(kind, made);
  return made;
}

function own(name: keyof CustomForm, value: unknown): PropertyDescriptorMap {
  return { [name]: { value, enumerable: true } };
}

interface Context {
  readonly definition: Definition;
  readonly formOf: FormOf;
  readonly conversion: CustomForm['conversion'];
  readonly known: ReadonlySet<string>;
  readonly storageVersion: string;
}

function kindOf(context: Context, version: CustomVersion): Kind {
  const { definition, formOf } = context;
  const { group, accepted } = definition;
  const named = { group, version: version.name, kind: accepted.kind };
  const schema = typeSourceOf({
    ...named,
    schema: () => formOf(version.name).schema,
    published: {
      listKind: accepted.listKind,
      plural: accepted.plural,
      json: () => formOf(version.name).json(),
      selectablePaths: objectsOf(version.selectableFields).map(({ jsonPath }) => stringOf(jsonPath)),
    },
  });
  const type: TypeRef = { schema, typeName: typeNameOfKind(named) };
  return {
    ...named,
    ...type,
    resource: accepted.plural,
    singular: accepted.singular,
    shortNames: accepted.shortNames,
    categories: accepted.categories,
    namespaced: definition.namespaced,
    verbs: allVerbs,
    subresources: subresourcesOf(version, { ...named, ...type }),
    custom: formOfKind(context, version),
  };
}

function subresourcesOf(
  { subresources }: CustomVersion,
  object: GroupVersionKind & TypeRef,
): readonly Subresource[] {
  const scaled = { ...parseGroupVersion('autoscaling/v1'), kind: 'Scale' };
  const scale = { schema: builtInTypes, typeName: builtInTypeName(scaled) ?? '' };
  return [
    ...(subresources['status'] === undefined ? [] : [{ name: 'status', ...object, verbs: partVerbs }]),
    ...(subresources['scale'] === undefined
      ? []
      : [{ name: 'scale', ...scaled, ...scale, verbs: partVerbs }]),
  ];
}

function formOfKind(context: Context, version: CustomVersion): CustomForm {
  const { definition, formOf, conversion, known, storageVersion } = context;
  const { group, accepted } = definition;
  const own = (): StructuralForm => formOf(version.name);
  const columns = columnsOf(version);
  return {
    definition: definition.name,
    identity: servingKey(definition),
    listKind: accepted.listKind,
    storageVersion,
    verbs: allVerbs,
    rules: rulesOfKind(version, own, columns),
    statusIsBody: version.subresources['status'] === undefined,
    get columns() {
      return columns().columns;
    },
    scale: scalePathsOf(version.subresources),
    deprecation: deprecationOf(definition, version),
    conversion,
    revive: (stored) => {
      const apiVersion = stringOf(stored['apiVersion']);
      const { version: name } = parseGroupVersion(apiVersion);
      // Upstream answers 500 for one that is none of the definition's any more, and nobody gets at the object.
      const form = formOf(known.has(name) ? name : storageVersion);
      return form.fillDefaults(form.prune(stored));
    },
    receive: (converted) => typedAs(own().prune(converted), group, version.name),
    receiveStored: (converted) => typedAs(formOf(storageVersion).prune(converted), group, storageVersion),
  };
}

function typedAs(object: JsonObject, group: string, version: string): JsonObject {
  return { ...object, apiVersion: formatGroupVersion({ group, version }) };
}

function rulesOfKind(
  version: CustomVersion,
  form: () => StructuralForm,
  columns: () => CustomColumns,
): KindRules {
  const paths = scalePathsOf(version.subresources);
  const validate = (object: JsonObject, old?: JsonObject): readonly FieldError[] => [
    ...form().validate(object, old),
    ...(paths === undefined ? [] : scaleErrors(paths, object)),
  ];
  return {
    takesAnyFinalizer: true,
    validatesAll: true,
    validate,
    validateStatusUpdate: (old, object) => validate(object, old),
    // Nothing but the status is written by it, and who wrote what.
    prepareStatusUpdate: (old, object) => keepMetadata(old, object),
    selectableFields: selectableCustomFields(version.selectableFields).map(
      ({ label, valueOf }) => [label, valueOf] as const,
    ),
    cells: (object, nowMs) => columns().cells(object, nowMs),
  };
}

/** Read when the first Table is asked for. */
function columnsOf({ columns }: CustomVersion): () => CustomColumns {
  let read: CustomColumns | undefined;
  return () => (read ??= customColumns(columns));
}

function keepMetadata(old: JsonObject, object: JsonObject): JsonObject {
  const { managedFields: _managedFields, ...kept } = objectOf(old['metadata']);
  const { managedFields } = objectOf(object['metadata']);
  return withPath(object, 'metadata', managedFields === undefined ? kept : { ...kept, managedFields });
}

/** Who uses it shall use the best version that is served and will stay. */
function deprecationOf(definition: Definition, version: CustomVersion): string | undefined {
  const { deprecated, deprecationWarning, name } = version;
  if (!deprecated) return undefined;
  if (deprecationWarning !== undefined) return deprecationWarning;
  const { group, accepted, versions } = definition;
  const better = versions
    .filter((other) => other.served && !other.deprecated && compareVersions(other.name, name) < 0)
    .map((other) => other.name)
    .toSorted(compareVersions)[0];
  const fact = `${group}/${name} ${accepted.kind} is deprecated`;
  return better === undefined ? fact : `${fact}; use ${group}/${better} ${accepted.kind}`;
}
