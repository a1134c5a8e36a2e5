import type { KeyOutcome } from '#base/keyed-queue.ts';
import { replicaSets, replicationControllers, type KindRef } from '#api/schema/kind-ref.ts';
import type { KubeObject } from '#api/meta/object.ts';
import { controllerRef } from '#api/meta/owner.ts';
import type {
  LabelSelector,
  Pod,
  PodTemplateSpec,
  ReplicaSet,
  ReplicaSetStatus,
  ReplicationController,
} from '#api/generated/objects.ts';
import { labelSelectorFromMap, labelSelectorFromObject, type LabelMatcher } from '#api/meta/selector.ts';
import { describeRefusal } from '#client/api-error.ts';
import type { Informer } from '#client/client.ts';
import type { Controller } from '#client/controller.ts';
import type { ControllerContext } from '#control-plane/controllers/controller-context.ts';
import { byController } from '#control-plane/controllers/pods/by-controller.ts';
import { podFromTemplate } from '#control-plane/controllers/pods/pod-from-template.ts';
import type { OwnedPods } from '#control-plane/controllers/pods/owned-pods.ts';
import { PodOwner } from '#control-plane/controllers/pods/pod-owner.ts';
import { computeReplicaStatus, planReplicas } from './plan.ts';

/** What tells a ReplicaSet from a ReplicationController. */
interface ReplicaKind<O extends KubeObject> {
  readonly kind: KindRef<O>;
  readonly name: string;
  readonly read: (owner: O) => {
    readonly replicas: number;
    readonly minReadySeconds: number;
    readonly selector: LabelMatcher;
    readonly template: PodTemplateSpec;
    readonly status: ReplicaSetStatus | undefined;
  };
  readonly withStatus: (owner: O, status: ReplicaSetStatus) => O;
}

const replicaSetKind: ReplicaKind<ReplicaSet> = {
  kind: replicaSets,
  name: 'replicaset-controller',
  read: ({ spec, status }) => ({
    replicas: spec?.replicas ?? 1,
    minReadySeconds: spec?.minReadySeconds ?? 0,
    selector: labelSelectorFromObject(nonEmpty(spec?.selector)),
    template: spec?.template ?? {},
    status,
  }),
  withStatus: (owner, status) => ({ ...owner, status }),
};

const replicationControllerKind: ReplicaKind<ReplicationController> = {
  kind: replicationControllers,
  name: 'replication-controller',
  read: ({ spec, status }) => ({
    replicas: spec?.replicas ?? 1,
    minReadySeconds: spec?.minReadySeconds ?? 0,
    selector: labelSelectorFromMap(spec?.selector),
    template: spec?.template ?? {},
    status,
  }),
  // It has no place for those that go.
  withStatus: (owner, { terminatingReplicas: _none, ...status }) => ({ ...owner, status }),
};

export function runReplicaSets(context: ControllerContext): Controller {
  return runReplicas(context, replicaSetKind);
}

export function runReplicationControllers(context: ControllerContext): Controller {
  return runReplicas(context, replicationControllerKind);
}

function runReplicas<O extends KubeObject>(context: ControllerContext, of: ReplicaKind<O>): Controller {
  const replicas = new PodOwner(context, {
    ...of,
    selectorOf: (owner) => of.read(owner).selector,
    countsBy: of.read,
  });
  const siblings = context.informers.for(of.kind, { indexes: { controller: byController } });
  return replicas.run((owner, key) => reconcile({ context, of, replicas, siblings }, owner, key));
}

interface Loop<O extends KubeObject> {
  readonly context: ControllerContext;
  readonly of: ReplicaKind<O>;
  readonly replicas: PodOwner<O>;
  /** With the index `controller`. */
  readonly siblings: Informer<O>;
}

async function reconcile<O extends KubeObject>(
  loop: Loop<O>,
  owner: O,
  key: string,
): Promise<KeyOutcome | void> {
  const { of, replicas } = loop;
  const { clock } = loop.context;
  const { replicas: wanted, template } = of.read(owner);
  const owned = await replicas.claim(owner);
  const isDeleting = owner.metadata?.deletionTimestamp !== undefined;
  const deleted = replicas.deletedAmong(key, owned);
  const plan = planReplicas({ replicas: wanted, isDeleting }, owned, {
    ...{ deleted, nowMs: clock.now() },
    related: () => relatedPods(loop, owner),
  });
  const pod = podFromTemplate(of.kind, owner, template);
  const notCreated = await replicas.createAll(owner, plan.createCount, () => pod);
  const deletes = await Promise.allSettled(plan.deletePods.map((one) => replicas.delete(owner, key, one)));
  const notDeleted = deletes.find((result) => result.status === 'rejected')?.reason;
  const failure =
    notCreated === undefined ? failureOf('FailedDelete', notDeleted) : failureOf('FailedCreate', notCreated);
  const nowMs = clock.now();
  await replicas.writeStatus(key, (latest, pods) => withStatus(of, latest, pods, { nowMs, failure }));
  if (failure !== undefined) throw notCreated ?? notDeleted;
  return replicas.againWhenAvailable(replicas.ownedBy(owner), nowMs);
}

/** The pods of all whom the owner's own owner controls: those of one Deployment, old and new. */
function relatedPods<O extends KubeObject>({ replicas, siblings }: Loop<O>, owner: O): readonly Pod[] {
  const controller = controllerRef(owner)?.uid;
  const owners = controller === undefined ? [owner] : siblings.byIndex('controller', controller);
  return owners.flatMap(({ metadata }) => replicas.pods.byIndex('controller', metadata?.uid ?? ''));
}

function failureOf(reason: string, error: unknown): StatusFailure | undefined {
  return error === undefined ? undefined : { reason, message: describeRefusal(error) };
}

interface StatusFailure {
  readonly reason: string;
  readonly message: string;
}

function withStatus<O extends KubeObject>(
  of: ReplicaKind<O>,
  owner: O,
  owned: OwnedPods,
  more: { readonly nowMs: number; readonly failure: StatusFailure | undefined },
): O {
  const about = { generation: owner.metadata?.generation, status: of.read(owner).status };
  return of.withStatus(owner, computeReplicaStatus(about, owned.counts(more.nowMs), more));
}

/** An empty selector would select everything: the API refuses it, and so it selects nothing here. */
function nonEmpty(selector: LabelSelector | undefined): LabelSelector | undefined {
  const { matchLabels = {}, matchExpressions = [] } = selector ?? {};
  return Object.keys(matchLabels).length === 0 && matchExpressions.length === 0 ? undefined : selector;
}
