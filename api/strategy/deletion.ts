import { at, listOf, objectOf, stringOf, withPath } from '#api/wire/json.ts';
import type { Kind } from '#api/schema/kinds.ts';
import { rulesOf } from '#api/kinds/rules-of.ts';
import type { JsonObject } from '#api/meta/object.ts';
import { markDeleted } from './strategy.ts';
import { formatTime } from '#api/meta/time.ts';

/** How an object shall go. */
export interface DeletionWishes {
  readonly gracePeriodSeconds?: number | undefined;
  readonly propagationPolicy?: 'Background' | 'Foreground' | 'Orphan' | undefined;
}

/**
 * The object as its deletion goes on: with deletionTimestamp, grace, and the finalizer of the propagation asked for. The very
 * same object when it already goes and nothing about that changes.
 */
export function planDeletion(
  kind: Pick<Kind, 'group' | 'kind'>,
  object: JsonObject,
  options: DeletionWishes,
  nowMs: number,
): JsonObject {
  const graceSeconds = rulesOf(kind).graceSeconds?.(object, options.gracePeriodSeconds) ?? 0;
  const finalizers = finalizersOf(kind, object, options);
  const isSame =
    new Set(finalizers).symmetricDifference(new Set(listOf(at(object, 'metadata.finalizers')))).size === 0;
  const withFinalizers = isSame
    ? object
    : withPath(object, 'metadata.finalizers', finalizers.length === 0 ? undefined : finalizers);
  if (at(object, 'metadata.deletionTimestamp') !== undefined) {
    const hasTime = Number(at(object, 'metadata.deletionGracePeriodSeconds') ?? 0) > 0;
    return shortenGrace(kind, hasTime ? object : withFinalizers, graceSeconds);
  }
  const marked = markDeleted(withFinalizers, { now: nowMs, gracePeriodSeconds: graceSeconds });
  return rulesOf(kind).markDeleted?.(marked) ?? marked;
}

/** A second deletion can only make the grace shorter. */
function shortenGrace(
  kind: Pick<Kind, 'group' | 'kind'>,
  object: JsonObject,
  graceSeconds: number,
): JsonObject {
  const before = at(object, 'metadata.deletionGracePeriodSeconds');
  if (!hasGrace(kind) || typeof before !== 'number' || graceSeconds >= before) {
    // Finished and still there: only a crash between two writes leaves that, and this is the cure.
    return isFinished(kind, object) ? { ...object } : object;
  }
  const began = Date.parse(stringOf(at(object, 'metadata.deletionTimestamp'))) - before * 1000;
  const metadata = {
    ...objectOf(object['metadata']),
    deletionTimestamp: formatTime(began + graceSeconds * 1000),
    deletionGracePeriodSeconds: graceSeconds,
  };
  return { ...object, metadata };
}

/** An explicit policy decides, then a finalizer that the object has, then the kind (kube-apiserver's order). */
function finalizersOf(
  kind: Pick<Kind, 'group' | 'kind'>,
  object: JsonObject,
  { propagationPolicy }: DeletionWishes,
): readonly unknown[] {
  const present = listOf(at(object, 'metadata.finalizers'));
  const others = present.filter((finalizer) => !isOfPropagation(finalizer));
  const unsaid = rulesOf(kind).propagation?.unsaid;
  if (unsaid === 'none' || propagationPolicy === 'Background') return others;
  if (propagationPolicy !== undefined) return [...others, finalizerOf[propagationPolicy]];
  const kept = present.find(isOfPropagation) ?? (unsaid === 'Orphan' ? finalizerOf.Orphan : undefined);
  return kept === undefined ? others : [...others, kept];
}

const finalizerOf = { Orphan: 'orphan', Foreground: 'foregroundDeletion' } as const;

function isOfPropagation(finalizer: unknown): boolean {
  return finalizer === finalizerOf.Orphan || finalizer === finalizerOf.Foreground;
}

/** Whether objects of the kind have time to go, and show meanwhile that they do; the others go at once. */
export function hasGrace(kind: Pick<Kind, 'group' | 'kind'>): boolean {
  return rulesOf(kind).graceSeconds !== undefined;
}

/** Whether nothing keeps a deleted object any more: no grace, no finalizers, nothing that the kind knows of. */
export function isFinished(kind: Pick<Kind, 'group' | 'kind'>, object: JsonObject): boolean {
  if (at(object, 'metadata.deletionTimestamp') === undefined) return false;
  const grace = at(object, 'metadata.deletionGracePeriodSeconds');
  if (typeof grace === 'number' && grace > 0) return false;
  if (listOf(at(object, 'metadata.finalizers')).length > 0) return false;
  return rulesOf(kind).holdsDeletion?.(object) !== true;
}
