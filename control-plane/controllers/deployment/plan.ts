import { deployments } from '#api/schema/kind-ref.ts';
import { equalJson } from '#api/wire/json.ts';
import type { Deployment, LabelSelector, Pod, ReplicaSet } from '#api/generated/objects.ts';
import { ownerReference } from '#api/meta/owner.ts';
import { isTerminal } from '#api/pod/state.ts';
import {
  byCreation,
  desiredReplicasAnnotation,
  findNewReplicaSet,
  maxReplicasAnnotation,
  newReplicaSetAnnotations,
  revisionAnnotation,
  revisionOf,
  templateHash,
  templateHashLabel,
} from './revision.ts';
import {
  fencepostsOf,
  isScaling,
  newReplicas,
  planScale,
  planScaleDown,
  replicasOf,
  type Scale,
} from './rolling.ts';
import { computeDeploymentStatus, isComplete } from './status.ts';

export type DeploymentAction =
  | { readonly kind: 'createReplicaSet'; readonly replicaSet: ReplicaSet }
  /** `replicaSet` is as it was; the rest is what becomes of it. `event`: what to record of a change of replicas. */
  | {
      readonly kind: 'updateReplicaSet';
      readonly replicaSet: ReplicaSet;
      readonly annotations: Readonly<Record<string, string>>;
      readonly replicas?: number;
      readonly minReadySeconds?: number;
      readonly event?: string | undefined;
    }
  | { readonly kind: 'deleteReplicaSet'; readonly replicaSet: ReplicaSet }
  | { readonly kind: 'annotateDeployment'; readonly revision: string };

export interface DeploymentState {
  readonly deployment: Deployment;
  /** Those that it controls. */
  readonly replicaSets: readonly ReplicaSet[];
  readonly pods: readonly Pod[];
  readonly nowMs: number;
}

/** The next step of a rollout. What its writes bring about makes the next pass. */
export function planDeployment(state: DeploymentState): readonly DeploymentAction[] {
  const { deployment, replicaSets } = state;
  if (deployment.metadata?.deletionTimestamp !== undefined) return [];
  const newReplicaSet = findNewReplicaSet(deployment, replicaSets);
  const old = replicaSets.filter((one) => one !== newReplicaSet);
  const isPaused = deployment.spec?.paused === true;
  const scales =
    isPaused || isScaling(deployment, replicaSets) ? planScale(deployment, newReplicaSet, old) : [];
  if (isPaused || scales.length > 0) {
    return [
      ...planAnnotations(state, newReplicaSet, old),
      ...scaleActions(deployment, scales),
      ...(isPaused ? planCleanup(deployment, old) : []),
    ];
  }
  return [
    ...(deployment.spec?.strategy?.type === 'Recreate'
      ? planRecreate(state, newReplicaSet, old)
      : planRolling(state, newReplicaSet, old)),
    ...(isRolledOut(state, newReplicaSet, old) ? planCleanup(deployment, old) : []),
  ];
}

function isRolledOut(
  { deployment, nowMs }: DeploymentState,
  newReplicaSet: ReplicaSet | undefined,
  oldReplicaSets: readonly ReplicaSet[],
): boolean {
  return isComplete(
    deployment,
    computeDeploymentStatus({ deployment, newReplicaSet, oldReplicaSets, nowMs }),
  );
}

function planRolling(
  { deployment, replicaSets }: DeploymentState,
  newReplicaSet: ReplicaSet | undefined,
  old: readonly ReplicaSet[],
): readonly DeploymentAction[] {
  if (newReplicaSet === undefined) {
    return [createAction(deployment, old, newReplicas(deployment, replicaSets, 0))];
  }
  const wanted = newReplicas(deployment, replicaSets, replicasOf(newReplicaSet));
  const annotate = planAnnotations({ deployment }, newReplicaSet, old);
  if (wanted !== replicasOf(newReplicaSet)) {
    return [...annotate, ...scaleActions(deployment, [{ replicaSet: newReplicaSet, replicas: wanted }])];
  }
  return [...annotate, ...scaleActions(deployment, planScaleDown(deployment, newReplicaSet, old))];
}

/** All old pods go before the first new one comes. One that is rolled back to has its new revision before. */
function planRecreate(
  { deployment, pods }: DeploymentState,
  newReplicaSet: ReplicaSet | undefined,
  old: readonly ReplicaSet[],
): readonly DeploymentAction[] {
  const down = old.filter((one) => replicasOf(one) > 0).map((replicaSet) => ({ replicaSet, replicas: 0 }));
  const annotate = planAnnotations({ deployment }, newReplicaSet, old);
  if (down.length > 0) return [...annotate, ...scaleActions(deployment, down)];
  const newUid = newReplicaSet?.metadata?.uid;
  const isOldRunning = pods.some(
    (pod) =>
      !isTerminal(pod) &&
      !(pod.metadata?.ownerReferences ?? []).some((reference) => reference.uid === newUid),
  );
  if (isOldRunning || old.some(({ status }) => (status?.replicas ?? 0) > 0)) return annotate;
  const { replicas = 1 } = deployment.spec ?? {};
  if (newReplicaSet === undefined) return [createAction(deployment, old, replicas)];
  return [...annotate, ...scaleActions(deployment, [{ replicaSet: newReplicaSet, replicas }])];
}

function createAction(
  deployment: Deployment,
  old: readonly ReplicaSet[],
  replicas: number,
): DeploymentAction {
  const { template = {}, minReadySeconds, selector } = deployment.spec ?? {};
  const hash = templateHash(template, deployment.status?.collisionCount);
  const labels = { ...template.metadata?.labels, [templateHashLabel]: hash };
  const hashed: LabelSelector = {
    ...selector,
    matchLabels: { ...selector?.matchLabels, [templateHashLabel]: hash },
  };
  const { annotations = {}, ...metadata } = template.metadata ?? {};
  return {
    kind: 'createReplicaSet',
    replicaSet: {
      metadata: {
        name: `${deployment.metadata?.name ?? ''}-${hash}`,
        namespace: deployment.metadata?.namespace,
        labels,
        annotations: {
          ...newReplicaSetAnnotations(deployment, undefined, old),
          ...sizeAnnotations(deployment),
        },
        ownerReferences: [ownerReference(deployment, deployments)],
      },
      spec: {
        replicas,
        ...(minReadySeconds === undefined ? {} : { minReadySeconds }),
        selector: hashed,
        template: {
          metadata: {
            ...metadata,
            labels,
            ...(Object.keys(annotations).length === 0 ? {} : { annotations }),
          },
          spec: template.spec,
        },
      },
    },
  };
}

/** Revision and annotations of the new ReplicaSet, its minReadySeconds, and the revision on the Deployment. */
function planAnnotations(
  { deployment }: Pick<DeploymentState, 'deployment'>,
  newReplicaSet: ReplicaSet | undefined,
  old: readonly ReplicaSet[],
): readonly DeploymentAction[] {
  if (newReplicaSet === undefined) return [];
  const annotations = newReplicaSetAnnotations(deployment, newReplicaSet, old);
  const { minReadySeconds = 0 } = deployment.spec ?? {};
  const isSame =
    equalJson(annotations, newReplicaSet.metadata?.annotations ?? {}) &&
    minReadySeconds === (newReplicaSet.spec?.minReadySeconds ?? 0);
  const revision = annotations[revisionAnnotation] ?? '';
  const update: DeploymentAction = {
    kind: 'updateReplicaSet',
    replicaSet: newReplicaSet,
    annotations,
    minReadySeconds,
  };
  return [
    ...(isSame ? [] : [update]),
    ...(deployment.metadata?.annotations?.[revisionAnnotation] === revision
      ? []
      : [{ kind: 'annotateDeployment', revision } as const]),
  ];
}

function scaleActions(deployment: Deployment, scales: readonly Scale[]): readonly DeploymentAction[] {
  return scales.flatMap(({ replicaSet, replicas }): readonly DeploymentAction[] => {
    const annotations = sizeAnnotations(deployment);
    const before = replicasOf(replicaSet);
    const known = replicaSet.metadata?.annotations ?? {};
    const isSized = Object.entries(annotations).every(([name, value]) => known[name] === value);
    if (before === replicas && isSized) return [];
    const direction = replicas > before ? 'up' : 'down';
    const name = replicaSet.metadata?.name ?? '';
    const event =
      before === replicas
        ? undefined
        : `Scaled ${direction} replica set ${name} from ${before} to ${replicas}`;
    return [{ kind: 'updateReplicaSet', replicaSet, annotations, replicas, event }];
  });
}

function sizeAnnotations(deployment: Deployment): Readonly<Record<string, string>> {
  const { replicas = 1 } = deployment.spec ?? {};
  const { surge } = fencepostsOf(deployment);
  const isRecreate = deployment.spec?.strategy?.type === 'Recreate';
  return {
    [desiredReplicasAnnotation]: String(replicas),
    [maxReplicasAnnotation]: String(isRecreate ? replicas : replicas + surge),
  };
}

/**
 * Old ReplicaSets beyond the history limit, those of the lowest revisions first: none that still has pods, and none in its stead. Asked once
 * a rollout is done, or while it is paused.
 */
function planCleanup({ spec }: Deployment, old: readonly ReplicaSet[]): readonly DeploymentAction[] {
  const present = old.filter(({ metadata }) => metadata?.deletionTimestamp === undefined);
  const surplus = Math.max(0, present.length - (spec?.revisionHistoryLimit ?? 10));
  return present
    .toSorted((a, b) => Number(revisionOf(a) - revisionOf(b)) || byCreation(a, b))
    .slice(0, surplus)
    .filter(isEmpty)
    .map((replicaSet) => ({ kind: 'deleteReplicaSet', replicaSet }));
}

function isEmpty({ metadata, spec, status }: ReplicaSet): boolean {
  return (
    spec?.replicas === 0 &&
    (status?.replicas ?? 0) === 0 &&
    (status?.observedGeneration ?? 0) >= (metadata?.generation ?? 0)
  );
}
