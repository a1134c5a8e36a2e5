/** Objects of custom kinds, made by the schema of the kind. */
import type { JsonObject } from '#api/meta/object.ts';
import type { CustomKind } from './read-bundles.ts';
import { allowedObject } from './rule-cases.ts';
import { sampleValue, type SampleOptions } from './sample-value.ts';

/** Where the objects of the lane live. */
export const namespace = 'bundles';

/** What names another kind of the same name, in messages. */
export function titleOf({ kind, group, version }: CustomKind): string {
  return `${kind}.${version}.${group}`;
}

/** The collection of a kind. */
export function pathOf({ group, version, plural, isNamespaced }: CustomKind): string {
  return `/apis/${group}/${version}/${isNamespaced ? `namespaces/${namespace}/` : ''}${plural}`;
}

/** An object with a spec; `options.path` is of the whole object. */
export function sampleObject(kind: CustomKind, name: string, options: SampleOptions = {}): JsonObject {
  const { path = ['spec'] } = options;
  const generated = sampleValue(kind.schema, {
    ...options,
    path,
    company: allowedObject,
  }) as JsonObject;
  const spec =
    generated['spec'] ?? sampleValue(kind.schema.properties?.['spec'] ?? {}, { company: allowedObject });
  return {
    ...generated,
    apiVersion: `${kind.group}/${kind.version}`,
    kind: kind.kind,
    metadata: { name, ...(kind.isNamespaced ? { namespace } : {}) },
    spec,
  };
}

/** A path of a schema as messages of a server have it. */
export function fieldText(path: readonly string[]): string {
  return path
    .map((name, index) =>
      name === '[]' ? '[0]' : `${index === 0 ? '' : '.'}${name === '{}' ? 'member-0' : name}`,
    )
    .join('');
}
