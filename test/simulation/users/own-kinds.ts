/** Kinds that users define. */
import type { CustomResourceDefinition } from '#api/generated/objects.ts';
import type { KubeObject } from '#api/meta/object.ts';
import type { KindRef } from '#api/schema/kind-ref.ts';

const group = 'example.com';

/** Their plurals. */
export const ownPlurals: readonly [string, ...string[]] = ['things1', 'things2'];

/** Pure. */
export function ownKind(plural: string): KindRef<KubeObject> {
  const kind = plural.replace('things', 'Thing');
  return { group, version: 'v1', kind, resource: plural, namespaced: true };
}

export function definitionName(plural: string): string {
  return `${plural}.${group}`;
}

/** Pure. */
export function definitionOf(plural: string): CustomResourceDefinition {
  const { kind } = ownKind(plural);
  return {
    metadata: { name: definitionName(plural) },
    spec: {
      group,
      scope: 'Namespaced',
      names: { plural, singular: kind.toLowerCase(), kind, listKind: `${kind}List` },
      versions: [
        {
          name: 'v1',
          served: true,
          storage: true,
          schema: { openAPIV3Schema: { type: 'object', 'x-kubernetes-preserve-unknown-fields': true } },
        },
      ],
    },
  };
}
