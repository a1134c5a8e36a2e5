import { equalJson } from '#api/wire/json.ts';
import type { Node, Pod } from '#api/generated/objects.ts';
import { requestsOf } from './pod-facts.ts';

/** A change of the cluster that may help a pod that no node did for. Each filter plugin says which help a pod that it refused. */
export type ClusterEvent =
  /** A node came, or changed in what a filter reads. */
  | { readonly kind: 'node'; readonly old: Node | undefined; readonly current: Node }
  | { readonly kind: 'nodeGone' }
  /** A pod came to a node, or one there has other labels. */
  | { readonly kind: 'podPlaced'; readonly pod: Pod }
  /** A pod left its node, or one there has other labels. */
  | { readonly kind: 'podGone'; readonly pod: Pod }
  /** A pod on a node asks for less. */
  | { readonly kind: 'podShrunk' };

/** Nothing for a heartbeat: it changes only conditions. */
export function nodeEvent(old: Node | undefined, current: Node | undefined): readonly ClusterEvent[] {
  if (current === undefined) return [{ kind: 'nodeGone' }];
  const relevant = ({ metadata, spec, status }: Node): unknown => [
    metadata?.labels,
    spec?.taints,
    spec?.unschedulable,
    status?.allocatable,
    status?.addresses,
  ];
  if (old !== undefined && equalJson(relevant(old), relevant(current))) return [];
  return [{ kind: 'node', old, current }];
}

/** What became of pods on nodes; undefined: it is on none. */
export function placedPodEvents(old: Pod | undefined, current: Pod | undefined): readonly ClusterEvent[] {
  if (current === undefined) return old === undefined ? [] : [{ kind: 'podGone', pod: old }];
  if (old === undefined) return [{ kind: 'podPlaced', pod: current }];
  const events: ClusterEvent[] = [];
  const [before, after] = [requestsOf(old), requestsOf(current)];
  if ([...before].some(([name, amount]) => (after.get(name) ?? 0) < amount))
    events.push({ kind: 'podShrunk' });
  if (!equalJson(old.metadata?.labels, current.metadata?.labels))
    events.push({ kind: 'podGone', pod: old }, { kind: 'podPlaced', pod: current });
  return events;
}
