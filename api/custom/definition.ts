import { cleanupFinalizer } from '#api/kinds/apiextensions/definition-deletion.ts';
import type { JsonObject } from '#api/meta/object.ts';
import { at, listOf, objectOf, objectsOf, stringOf } from '#api/wire/json.ts';

/** How a definition wants its objects to be called, or how they are (CustomResourceDefinitionNames). */
export interface CustomNames {
  readonly plural: string;
  readonly singular: string;
  readonly shortNames: readonly string[];
  readonly kind: string;
  readonly listKind: string;
  readonly categories: readonly string[];
}

/** A version of a definition, without its schema, which is long and read only when an object is. */
export interface CustomVersion {
  readonly name: string;
  readonly served: boolean;
  readonly storage: boolean;
  readonly deprecated: boolean;
  readonly deprecationWarning: string | undefined;
  readonly subresources: JsonObject;
  readonly columns: unknown;
  readonly selectableFields: unknown;
}

/** A CustomResourceDefinition, as far as serving its kinds goes by it. */
export interface Definition {
  readonly name: string;
  readonly uid: string;
  readonly generation: number;
  readonly group: string;
  readonly namespaced: boolean;
  /** As its spec has them. */
  readonly names: CustomNames;
  /** As they are in use: of what others had first nothing. */
  readonly accepted: CustomNames;
  readonly versions: readonly CustomVersion[];
  readonly conversion: JsonObject;
  readonly isEstablished: boolean;
  readonly isTerminating: boolean;
  /** Whether it waits for its objects to be gone. */
  readonly isHeld: boolean;
  readonly annotation: string | undefined;
  readonly conditions: readonly JsonObject[];
}

/** Who has to say yes to kinds in groups of Kubernetes' own. */
export const approvalAnnotation = 'api-approved.kubernetes.io';

/** Reads a CustomResourceDefinition that is stored, hence valid. */
export function readDefinition(object: JsonObject): Definition {
  const metadata = objectOf(object['metadata']);
  const spec = objectOf(object['spec']);
  const conditions = objectsOf(at(object, 'status.conditions'));
  const generation = metadata['generation'];
  return {
    name: stringOf(metadata['name']),
    uid: stringOf(metadata['uid']),
    generation: typeof generation === 'number' ? generation : 0,
    group: stringOf(spec['group']),
    namespaced: spec['scope'] === 'Namespaced',
    names: readNames(objectOf(spec['names'])),
    accepted: readNames(objectOf(at(object, 'status.acceptedNames'))),
    versions: objectsOf(spec['versions']).map(readVersion),
    conversion: objectOf(spec['conversion']),
    isEstablished: isTrue(conditions, 'Established'),
    isTerminating: metadata['deletionTimestamp'] !== undefined,
    isHeld: listOf(metadata['finalizers']).includes(cleanupFinalizer),
    annotation: textOf(at(metadata, ['annotations', approvalAnnotation])),
    conditions,
  };
}

/** The schema of a version; undefined where it has none. */
export function schemaOf(object: JsonObject, version: string): JsonObject | undefined {
  const found = objectsOf(at(object, 'spec.versions')).find(({ name }) => name === version);
  const schema = at(found, 'schema.openAPIV3Schema');
  return schema === undefined ? undefined : objectOf(schema);
}

/** What its kinds are made of: as long as it is the same, they are. */
export function servingKey({ uid, generation, accepted, isEstablished }: Definition): string {
  return JSON.stringify([uid, generation, isEstablished, accepted]);
}

/** Whether a condition of the type says so. */
export function isTrue(conditions: readonly JsonObject[], type: string): boolean {
  return conditions.some((condition) => condition['type'] === type && condition['status'] === 'True');
}

function readNames(names: JsonObject): CustomNames {
  return {
    plural: stringOf(names['plural']),
    singular: stringOf(names['singular']),
    shortNames: listOf(names['shortNames']).map(stringOf),
    kind: stringOf(names['kind']),
    listKind: stringOf(names['listKind']),
    categories: listOf(names['categories']).map(stringOf),
  };
}

function readVersion(version: JsonObject): CustomVersion {
  return {
    name: stringOf(version['name']),
    served: version['served'] === true,
    storage: version['storage'] === true,
    deprecated: version['deprecated'] === true,
    deprecationWarning: textOf(version['deprecationWarning']),
    subresources: objectOf(version['subresources']),
    columns: version['additionalPrinterColumns'],
    selectableFields: version['selectableFields'],
  };
}

function textOf(value: unknown): string | undefined {
  return typeof value === 'string' ? value : undefined;
}
