/** Whether the pods of a PodGroup would find nodes together. Pure. */
import type { Pod, PodDisruptionBudget, PodGroup } from '#api/generated/objects.ts';
import { objectKey } from '#api/meta/object.ts';
import { isGang, minCountOf, podGroupKeyOf } from '#api/pod/scheduling-group.ts';
import {
  placeAll,
  planGangPreemption,
  type Placed,
} from '#control-plane/scheduler/gang/plan-gang-preemption.ts';
import { TrialCluster } from '#control-plane/scheduler/gang/trial-cluster.ts';
import { defaultProfile } from '#control-plane/scheduler/profile.ts';
import { priorityOf, type Snapshot } from '#control-plane/scheduler/snapshot.ts';

export interface GangContext {
  readonly group: PodGroup;
  /** Its pods that want a node. */
  readonly members: readonly Pod[];
  /** How many of it are on nodes already. */
  readonly scheduledCount: number;
  readonly snapshot: Snapshot;
  readonly budgets: readonly PodDisruptionBudget[];
  readonly groupOf: (key: string) => PodGroup | undefined;
}

export type GangPlan = {
  /** How many must find nodes, and how many did. */
  readonly wanted: number;
  readonly found: number;
} & (
  | { readonly kind: 'fits'; readonly placed: readonly Placed[]; readonly victims: readonly Pod[] }
  | { readonly kind: 'waits'; readonly why: string; readonly placed: readonly Placed[] }
);

/** As the scheduler's one try of a gang (tryGang), and what it evicts for it. */
export function planGang(context: GangContext): GangPlan {
  const { group, scheduledCount, snapshot } = context;
  const members = context.members.toSorted((a, b) => priorityOf(b) - priorityOf(a));
  const minCount = minCountOf(group);
  const wanted = Math.max(0, minCount - scheduledCount);
  if (isGang(group) && members.length < wanted) {
    const why = 'waiting for minCount pods from a gang to appear in scheduling queue';
    return { kind: 'waits', why, wanted, found: 0, placed: [] };
  }
  const placed = placeAll(new TrialCluster(snapshot), members, defaultProfile);
  const found = placed.length;
  if (found >= wanted) return { kind: 'fits', placed, victims: [], wanted, found };
  const steps = planGangPreemption({ ...context, members, wanted, profile: defaultProfile });
  let step = steps.next();
  while (step.done !== true) step = steps.next();
  const { value: plan } = step;
  if (plan.kind === 'none') {
    const why = `pod group is unschedulable: ${found} of ${wanted} pods that it needs find a node, pod group preemption: ${plan.why}`;
    return { kind: 'waits', why, wanted, found, placed };
  }
  return { kind: 'fits', placed: plan.placed, victims: plan.victims, wanted, found: plan.placed.length };
}

/** Which of the groups have fewer pods than they need once the pods are gone: a single pod that preempts does not ask (1.36). */
export function groupsBroken(
  victims: readonly Pod[],
  {
    podsOf,
    groupOf,
  }: { readonly podsOf: (key: string) => readonly Pod[]; readonly groupOf: GangContext['groupOf'] },
): ReadonlySet<string> {
  const gone = new Set(victims.map(objectKey));
  const keys = new Set(victims.flatMap((pod) => podGroupKeyOf(pod) ?? []));
  return new Set(
    [...keys].filter((key) => {
      const group = groupOf(key);
      if (group === undefined || !isGang(group)) return false;
      return podsOf(key).filter((pod) => !gone.has(objectKey(pod))).length < minCountOf(group);
    }),
  );
}
