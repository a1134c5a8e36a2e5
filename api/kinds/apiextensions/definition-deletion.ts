import type { JsonObject } from '#api/meta/object.ts';
import { listOf, numberOf, objectOf, objectsOf } from '#api/wire/json.ts';

/** What holds a definition until its objects are gone. */
export const cleanupFinalizer = 'customresourcecleanup.apiextensions.k8s.io';

/**
 * A CustomResourceDefinition as its deletion begins: held until its objects are gone, and telling so. It keeps its generation, for what it
 * says did not change (apiextensions-apiserver, registry/customresourcedefinition).
 */
export function markDefinitionDeleted(marked: JsonObject): JsonObject {
  const { deletionGracePeriodSeconds: _grace, finalizers, ...metadata } = objectOf(marked['metadata']);
  const held = listOf(finalizers);
  const status = objectOf(marked['status']);
  const pending = {
    type: 'Terminating',
    status: 'True',
    lastTransitionTime: metadata['deletionTimestamp'],
    reason: 'InstanceDeletionPending',
    message: 'CustomResourceDefinition marked for deletion; CustomResource deletion will begin soon',
  };
  const others = objectsOf(status['conditions']).filter(({ type }) => type !== pending.type);
  return {
    ...marked,
    metadata: {
      ...metadata,
      generation: numberOf(metadata['generation']) - 1,
      finalizers: held.includes(cleanupFinalizer) ? held : [...held, cleanupFinalizer],
    },
    status: { ...status, conditions: [...others, pending] },
  };
}
