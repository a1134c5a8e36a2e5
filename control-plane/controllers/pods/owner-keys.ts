import type { KindRef } from '#api/schema/kind-ref.ts';
import { objectKey, type KubeObject } from '#api/meta/object.ts';
import { controllerRef } from '#api/meta/owner.ts';
import { labelSelectorFromObject, matchesLabels, type LabelMatcher } from '#api/meta/selector.ts';
import type { LabelSelector } from '#api/generated/objects.ts';
import { source, type Source } from '#client/controller.ts';
import type { WritableInformer } from '#client/informer.ts';
import { isKindOf } from './claim.ts';

/** The selector of the kinds that have one of their own. */
export function selectorOf({
  spec,
}: {
  readonly spec?: { readonly selector?: LabelSelector | undefined } | undefined;
}): LabelMatcher {
  return labelSelectorFromObject(spec?.selector);
}

/** The index by namespace that `ownedSource` needs of the owners. */
export const byNamespace = ({ metadata }: KubeObject): readonly string[] => [metadata?.namespace ?? ''];

/**
 * Changes of owned objects enqueue their owner; those of orphans the owners that select them, and might adopt them. Without `selectorOf`
 * nobody adopts.
 */
export function ownedSource<O extends KubeObject, T extends KubeObject>(
  kind: KindRef<O>,
  owners: WritableInformer<O>,
  owned: WritableInformer<T>,
  selectorOf?: (owner: O) => LabelMatcher,
): Source {
  const selectors = new WeakMap<O, LabelMatcher>(); // Objects of the cache never change.
  const selects = (owner: O, labels: Readonly<Record<string, string>>): boolean => {
    const selector = selectors.get(owner) ?? selectorOf?.(owner);
    if (selector === undefined) return false;
    selectors.set(owner, selector);
    return matchesLabels(selector, labels);
  };
  const keysOf = (object: T | undefined): readonly string[] => {
    if (object === undefined) return [];
    const namespace = object.metadata?.namespace ?? '';
    const controller = controllerRef(object);
    if (controller !== undefined)
      return isKindOf(kind, controller) ? [`${namespace}/${controller.name}`] : [];
    const labels = object.metadata?.labels;
    if (labels === undefined || selectorOf === undefined) return [];
    return owners
      .byIndex('namespace', namespace)
      .filter((owner) => selects(owner, labels))
      .map(objectKey);
  };
  return source(owned, ({ old, current }) => [...keysOf(old), ...keysOf(current)]);
}
