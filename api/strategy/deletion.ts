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
  const finalizers = finalizersOf(object, options);
  if (at(object, 'metadata.deletionTimestamp') !== undefined) return shortenGrace(kind, object, graceSeconds);
  const withFinalizers = withPath(
    object,
    'metadata.finalizers',
    finalizers.length === 0 ? undefined : finalizers,
  );
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

function finalizersOf(object: JsonObject, options: DeletionWishes): readonly unknown[] {
  const present = listOf(at(object, 'metadata.finalizers'));
  if (options.propagationPolicy === undefined) return present;
  const others = present.filter((finalizer) => finalizer !== 'orphan' && finalizer !== 'foregroundDeletion');
  switch (options.propagationPolicy) {
    case 'Orphan':
      return [...others, 'orphan'];
    case 'Foreground':
      return [...others, 'foregroundDeletion'];
    case 'Background':
    default:
      return others;
  }
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
