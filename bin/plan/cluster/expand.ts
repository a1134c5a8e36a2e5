/** Which pods the controllers would make of an object, next: by their own plans. Pure. */
import type {
  CronJob,
  DaemonSet,
  Deployment,
  Job,
  Node,
  PersistentVolumeClaim,
  Pod,
  ReplicaSet,
  ReplicationController,
  StatefulSet,
} from '#api/generated/objects.ts';
import type { JsonObject, KubeObject } from '#api/meta/object.ts';
import { controllerRef } from '#api/meta/owner.ts';
import {
  daemonSets,
  deployments,
  jobs,
  replicaSets as replicaSetKind,
  replicationControllers,
  statefulSets,
  cronJobs,
  pods as podKind,
  type KindRef,
} from '#api/schema/kind-ref.ts';
import { isActive } from '#api/pod/state.ts';
import { typed } from '#api/wire/json.ts';
import { nodeNameOf, placementsOf, podSpecOf } from '#control-plane/controllers/daemonset/plan.ts';
import { planDeployment } from '#control-plane/controllers/deployment/plan.ts';
import { findNewReplicaSet } from '#control-plane/controllers/deployment/revision.ts';
import { jobPod } from '#control-plane/controllers/job/job-pod.ts';
import { planJob } from '#control-plane/controllers/job/plan.ts';
import { podFromTemplate } from '#control-plane/controllers/pods/pod-from-template.ts';
import { ordinalsOf } from '#control-plane/controllers/statefulset/plan.ts';
import { statefulClaims, statefulPod } from '#control-plane/controllers/statefulset/stateful-pod.ts';

/** What is in the cluster already. */
export interface Present {
  readonly nodes: readonly Node[];
  readonly pods: readonly Pod[];
  readonly replicaSets: readonly ReplicaSet[];
  readonly nowMs: number;
}

export interface Expanded {
  /** In the order in which they come; named as people will know them. */
  readonly pods: readonly Pod[];
  /** That are made for them. */
  readonly claims: readonly PersistentVolumeClaim[];
  /** What is to be known beside. */
  readonly note?: string;
}

/** Pods of one object are looked at up to this many. */
export const podsOfObjectMax = 5_000;

const none: Expanded = { pods: [], claims: [] };

/** By group and kind, of whatever version. */
const expansions: Readonly<Record<string, (object: JsonObject, present: Present) => Expanded>> = {
  [keyOf(podKind)]: (object) => ({ pods: [typed<Pod>(object)], claims: [] }),
  [keyOf(deployments)]: (object, present) => ofDeployment(typed<Deployment>(object), present),
  [keyOf(replicaSetKind)]: (object, present) =>
    ofReplicas(replicaSetKind, typed<ReplicaSet>(object), present),
  [keyOf(replicationControllers)]: (object, present) =>
    ofReplicas(replicationControllers, typed<ReplicationController>(object), present),
  [keyOf(statefulSets)]: (object, present) => ofStateful(typed<StatefulSet>(object), present),
  [keyOf(daemonSets)]: (object, present) => ofDaemons(typed<DaemonSet>(object), present),
  [keyOf(jobs)]: (object, present) => ofJob(typed<Job>(object), present),
  [keyOf(cronJobs)]: (object) => ({
    ...none,
    note: `no pod before its schedule, ${JSON.stringify(typed<CronJob>(object).spec?.schedule ?? '')}`,
  }),
};

function keyOf({ group, kind }: Pick<KindRef<unknown>, 'group' | 'kind'>): string {
  return `${group}/${kind}`;
}

/** @param object as the server would store it */
export function expand(
  kind: Pick<KindRef<unknown>, 'group' | 'kind'>,
  object: JsonObject,
  present: Present,
): Expanded {
  const expanded = expansions[keyOf(kind)]?.(object, present) ?? none;
  if (expanded.pods.length < podsOfObjectMax) return expanded;
  return { ...expanded, note: `of its pods the first ${podsOfObjectMax} are looked at` };
}

function ownedBy<T extends KubeObject>({ metadata }: KubeObject, objects: readonly T[]): readonly T[] {
  const uid = metadata?.uid;
  return uid === undefined ? [] : objects.filter((one) => controllerRef(one)?.uid === uid);
}

/** `web-1`: a name that the server would end otherwise. */
function numbered(pod: Pod, index: number): Pod {
  const name = pod.metadata?.name ?? `${pod.metadata?.generateName ?? 'pod-'}${index + 1}`;
  return { ...pod, metadata: { ...pod.metadata, name } };
}

function many(count: number, podOf: (index: number) => Pod): readonly Pod[] {
  return Array.from({ length: Math.min(Math.max(0, count), podsOfObjectMax) }, (_, index) =>
    numbered(podOf(index), index),
  );
}

/** A rollout takes steps; what is known is the next. */
function ofDeployment(deployment: Deployment, present: Present): Expanded {
  const owned = ownedBy(deployment, present.replicaSets);
  const found = findNewReplicaSet(deployment, owned);
  const pods = present.pods.filter((pod) =>
    owned.some((one) => controllerRef(pod)?.uid === one.metadata?.uid),
  );
  const wanted = deployment.spec?.replicas ?? 1;
  const actions = planDeployment({ deployment, replicaSets: owned, pods, nowMs: present.nowMs });
  let [replicaSet, replicas] = [found, found?.spec?.replicas ?? 0];
  for (const action of actions) {
    if (action.kind === 'createReplicaSet')
      [replicaSet, replicas] = [action.replicaSet, action.replicaSet.spec?.replicas ?? 0];
    else if (action.kind === 'updateReplicaSet' && action.replicaSet === found)
      replicas = action.replicas ?? replicas;
  }
  if (replicaSet === undefined) return { ...none, note: 'it is paused' };
  const active = ownedBy(replicaSet, present.pods).filter(isActive).length;
  const name = deployment.metadata?.name ?? '';
  // One that is not made yet has no uid, by which its pods are its own.
  const uid = replicaSet.metadata?.uid ?? `${deployment.metadata?.uid ?? ''}-next`;
  const named = { ...replicaSet, metadata: { ...replicaSet.metadata, name, uid } };
  const template = replicaSet.spec?.template ?? {};
  const step = many(replicas - active, () => podFromTemplate(replicaSetKind, named, template));
  const isStep = owned.some((one) => one !== found && (one.spec?.replicas ?? 0) > 0) && replicas < wanted;
  return {
    pods: step,
    claims: [],
    ...(isStep ? { note: `the next step of a rollout: ${replicas} of ${wanted}` } : {}),
  };
}

function ofReplicas(
  kind: KindRef<unknown>,
  owner: ReplicaSet | ReplicationController,
  present: Present,
): Expanded {
  const active = ownedBy(owner, present.pods).filter(isActive).length;
  const template = owner.spec?.template ?? {};
  return {
    pods: many((owner.spec?.replicas ?? 1) - active, () => podFromTemplate(kind, owner, template)),
    claims: [],
  };
}

function ofStateful(statefulSet: StatefulSet, present: Present): Expanded {
  const there = new Set(ownedBy(statefulSet, present.pods).map(({ metadata }) => metadata?.name));
  const template = statefulSet.spec?.template ?? {};
  const name = statefulSet.metadata?.name ?? '';
  const ordinals = ordinalsOf(statefulSet)
    .filter((ordinal) => !there.has(`${name}-${ordinal}`))
    .slice(0, podsOfObjectMax);
  return {
    pods: ordinals.map((ordinal) => statefulPod(statefulSet, template, { ordinal, revision: '' })),
    claims: ordinals.flatMap((ordinal) => statefulClaims(statefulSet, ordinal)),
  };
}

function ofDaemons(daemonSet: DaemonSet, present: Present): Expanded {
  const there = new Set(ownedBy(daemonSet, present.pods).filter(isActive).map(nodeNameOf));
  const placementOf = placementsOf(daemonSet);
  const base = podFromTemplate(daemonSets, daemonSet, daemonSet.spec?.template ?? {});
  const wanted = present.nodes
    .map((node) => ({ node, name: node.metadata?.name ?? '' }))
    .filter(({ node, name }) => !there.has(name) && placementOf(node).shouldRun);
  return {
    pods: many(wanted.length, (index) => ({ ...base, spec: podSpecOf(daemonSet, wanted[index]?.name) })),
    claims: [],
  };
}

function ofJob(job: Job, present: Present): Expanded {
  const pods = ownedBy(job, present.pods);
  const { createPods } = planJob({ job, pods, deletedUids: new Set(), nowMs: present.nowMs });
  return {
    pods: createPods.slice(0, podsOfObjectMax).map((wanted, index) => numbered(jobPod(job, wanted), index)),
    claims: [],
  };
}
