import { equalJson } from '#api/wire/json.ts';
import { withCondition } from '#api/meta/condition.ts';
import type { Namespace, NamespaceCondition } from '#api/generated/objects.ts';
import type { KubeObject } from '#api/meta/object.ts';

export const kubernetesFinalizer = 'kubernetes';

/** What was found in a namespace that is going. */
export interface NamespaceContents {
  /** By resource and group (`configmaps.`, `deployments.apps`). */
  readonly remaining: ReadonlyMap<string, readonly KubeObject[]>;
  readonly discoveryFailures: readonly string[];
  readonly deletionFailures: readonly string[];
}

/** Whether nothing is left and nothing could have been overlooked. */
export function isEmptied({ remaining, discoveryFailures, deletionFailures }: NamespaceContents): boolean {
  return remaining.size === 0 && discoveryFailures.length === 0 && deletionFailures.length === 0;
}

/**
 * Whether none of what is left has a reason to be there: deletion was asked for, its time of grace is over, and nobody's finalizer holds any of
 * it (deleteAllContentForGroupVersionResource).
 */
export function isOverdue(left: readonly KubeObject[], nowMs: number): boolean {
  return (
    left.length > 0 &&
    left.every(
      ({ metadata: { finalizers = [], deletionTimestamp } = {} }) =>
        finalizers.length === 0 && deletionTimestamp !== undefined && Date.parse(deletionTimestamp) < nowMs,
    )
  );
}

/** As client-go tells of group versions whose server does not answer (discovery.ErrGroupDiscoveryFailed, StaleGroupVersionError). */
function discoveryMessage(failed: readonly string[]): string {
  const each = failed
    .toSorted()
    .map((groupVersion) => `${groupVersion}: stale GroupVersion discovery: ${groupVersion}`);
  return `Discovery failed for some groups, ${failed.length} failing: unable to retrieve the complete list of server APIs: ${each.join(', ')}`;
}

/** The conditions that say how far the deletion is; the same list when nothing is new. */
export function namespaceConditions(
  namespace: Namespace,
  contents: NamespaceContents,
  nowMs: number,
): readonly NamespaceCondition[] {
  const before = namespace.status?.conditions ?? [];
  const claims: readonly (NamespaceCondition & { readonly message: string })[] = [
    claim('NamespaceDeletionDiscoveryFailure', contents.discoveryFailures.length > 0, {
      bad: ['DiscoveryFailed', discoveryMessage(contents.discoveryFailures)],
      good: ['ResourcesDiscovered', 'All resources successfully discovered'],
    }),
    claim('NamespaceDeletionGroupVersionParsingFailure', false, {
      bad: ['', ''],
      good: ['ParsedGroupVersions', 'All legacy kube types successfully parsed'],
    }),
    claim('NamespaceDeletionContentFailure', contents.deletionFailures.length > 0, {
      bad: [
        'ContentDeletionFailed',
        `Failed to delete all resource types, ${contents.deletionFailures.length} remaining: ${contents.deletionFailures.toSorted().join(', ')}`,
      ],
      good: ['ContentDeleted', 'All content successfully deleted, may be waiting on finalization'],
    }),
    claim('NamespaceContentRemaining', contents.remaining.size > 0, {
      bad: ['SomeResourcesRemain', `Some resources are remaining: ${renderRemaining(contents)}`],
      good: ['ContentRemoved', 'All content successfully removed'],
    }),
    claim('NamespaceFinalizersRemaining', finalizersOf(contents).size > 0, {
      bad: [
        'SomeFinalizersRemain',
        `Some content in the namespace has finalizers remaining: ${renderFinalizers(contents)}`,
      ],
      good: ['ContentHasNoFinalizers', 'All content-preserving finalizers finished'],
    }),
  ];
  const next = claims.reduce<readonly NamespaceCondition[]>(
    (conditions, condition) => withCondition(conditions, condition, nowMs),
    before,
  );
  return equalJson(next, before) ? before : next;
}

function claim(
  type: string,
  isTrue: boolean,
  { bad, good }: { readonly bad: readonly [string, string]; readonly good: readonly [string, string] },
): NamespaceCondition & { readonly message: string } {
  const [reason, message] = isTrue ? bad : good;
  return { type, status: isTrue ? 'True' : 'False', reason, message };
}

function renderRemaining({ remaining }: NamespaceContents): string {
  return [...remaining]
    .map(([resource, objects]) => `${resource} has ${objects.length} resource instances`)
    .toSorted()
    .join(', ');
}

function finalizersOf({ remaining }: NamespaceContents): ReadonlyMap<string, number> {
  const counts = new Map<string, number>();
  for (const object of [...remaining.values()].flat()) {
    for (const finalizer of object.metadata?.finalizers ?? []) {
      counts.set(finalizer, (counts.get(finalizer) ?? 0) + 1);
    }
  }
  return counts;
}

function renderFinalizers(contents: NamespaceContents): string {
  return [...finalizersOf(contents)]
    .map(([finalizer, count]) => `${finalizer} in ${count} resource instances`)
    .toSorted()
    .join(', ');
}
