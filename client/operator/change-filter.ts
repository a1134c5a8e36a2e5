import { equalJson } from '#api/wire/json.ts';
import type { KubeObject } from '#api/meta/object.ts';
import type { Change } from '#client/informer.ts';

/** Whether a change matters to a controller. */
export type ChangeFilter<T> = (change: Change<T>) => boolean;

/** The keys of changes that matter: `source(informer, when(generationChanged, ({ key }) => [key]))`. */
export function when<T>(
  filter: ChangeFilter<T>,
  keysOf: (change: Change<T>) => Iterable<string>,
): (change: Change<T>) => Iterable<string> {
  return (change) => (filter(change) ? keysOf(change) : []);
}

/** One of several matters. */
export function anyOf<T>(...filters: readonly ChangeFilter<T>[]): ChangeFilter<T> {
  return (change) => filters.some((filter) => filter(change));
}

/** What was wanted changed: spec, or that it is being deleted; not status and metadata. Coming and going matter. */
export function generationChanged({ old, current }: Change<KubeObject>): boolean {
  return (
    old?.metadata?.generation !== current?.metadata?.generation ||
    old?.metadata?.deletionTimestamp !== current?.metadata?.deletionTimestamp ||
    (old === undefined) !== (current === undefined)
  );
}

/** Coming and going matter, too. */
export function labelsChanged({ old, current }: Change<KubeObject>): boolean {
  const isBoth = old !== undefined && current !== undefined;
  return !isBoth || !equalJson(old.metadata?.labels ?? {}, current.metadata?.labels ?? {});
}

/** Coming and going matter, too. */
export function annotationsChanged({ old, current }: Change<KubeObject>): boolean {
  const isBoth = old !== undefined && current !== undefined;
  return !isBoth || !equalJson(old.metadata?.annotations ?? {}, current.metadata?.annotations ?? {});
}
