import type { KeyOutcome } from '#base/keyed-queue.ts';
import { equalJson } from '#api/wire/json.ts';
import { pods, replicaSets, replicationControllers, type KindRef } from '#api/schema/kind-ref.ts';
import type { KubeObject } from '#api/meta/object.ts';
import type {
  LabelSelector,
  Pod,
  PodTemplateSpec,
  ReplicaSet,
  ReplicaSetStatus,
  ReplicationController,
} from '#api/generated/objects.ts';
import { labelSelectorFromMap, labelSelectorFromObject, type LabelMatcher } from '#api/meta/selector.ts';
import { describeRefusal, isNamespaceTerminating, isNotFound } from '#client/api-error.ts';
import { ownKey, runController, type Controller } from '#client/controller.ts';
import type { EventRecorder } from '#client/event-recorder.ts';
import type { WritableInformer } from '#client/informer.ts';
import type { ControllerContext } from '#control-plane/controllers/controller-context.ts';
import { claim } from '#control-plane/controllers/pods/claim.ts';
import { createDeletedPods, type DeletedPods } from '#control-plane/controllers/pods/deleted-pods.ts';
import { byNamespace, ownedSource } from '#control-plane/controllers/pods/owner-keys.ts';
import { byController } from '#control-plane/controllers/pods/by-controller.ts';
import { podFromTemplate } from '#control-plane/controllers/pods/pod-from-template.ts';
import { nextAvailableMs } from '#control-plane/controllers/pods/pod-state.ts';
import { slowStart } from '#control-plane/controllers/pods/slow-start.ts';
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
  withStatus: (owner, status) => ({ ...owner, status }),
};

export function runReplicaSets(context: ControllerContext): Controller {
  return runReplicas(context, replicaSetKind);
}

export function runReplicationControllers(context: ControllerContext): Controller {
  return runReplicas(context, replicationControllerKind);
}

interface Loop<O extends KubeObject> {
  readonly context: ControllerContext;
  readonly of: ReplicaKind<O>;
  readonly owners: WritableInformer<O>;
  readonly podInformer: WritableInformer<Pod>;
  readonly recorder: EventRecorder;
  readonly deleted: DeletedPods;
}

function runReplicas<O extends KubeObject>(context: ControllerContext, of: ReplicaKind<O>): Controller {
  const { informers, clock, logger } = context;
  const owners = informers.for(of.kind, {
    indexes: { namespace: byNamespace },
  });
  const podInformer = informers.for(pods, { indexes: { controller: byController } });
  const recorder = context.recorder(of.name);
  const loop: Loop<O> = { context, of, owners, podInformer, recorder, deleted: createDeletedPods() };
  return runController({
    name: of.name,
    clock,
    logger,
    sources: [ownKey(owners), ownedSource(of.kind, owners, podInformer)],
    reconcile: (key) => reconcile(loop, key),
  });
}

async function reconcile<O extends KubeObject>(loop: Loop<O>, key: string): Promise<KeyOutcome | void> {
  const { context, of, podInformer } = loop;
  const { clock } = context;
  const owner = loop.owners.get(key);
  if (owner === undefined) {
    loop.deleted.forget(key);
    return;
  }
  const { replicas, minReadySeconds, selector } = of.read(owner);
  const claimer = { client: context.client, ownerKind: of.kind, kind: pods, informer: podInformer };
  const owned = await claim(claimer, owner, selector);
  const isDeleting = owner.metadata?.deletionTimestamp !== undefined;
  const deletedUids = loop.deleted.still(key, owned);
  const plan = planReplicas({ replicas, isDeleting }, owned, {
    deletedUids,
    relatedPods: owned,
    nowMs: clock.now(),
  });
  const created = await createPods(loop, owner, plan.createCount);
  const deleted = await deletePods(loop, key, owner, plan.deletePods);
  const error = created ?? deleted;
  // One instant for both: what the status counts as not yet available must be waited for.
  const nowMs = clock.now();
  const reason = created === undefined ? 'FailedDelete' : 'FailedCreate';
  await writeStatus(loop, key, nowMs, error === undefined ? undefined : { reason, error });
  if (error !== undefined && !isNamespaceTerminating(error)) throw error;
  const counted = podInformer.byIndex('controller', owner.metadata?.uid ?? '');
  const waitMs = nextAvailableMs(counted, minReadySeconds, nowMs);
  return waitMs === undefined ? undefined : { kind: 'again', afterMs: waitMs };
}

async function createPods<O extends KubeObject>(loop: Loop<O>, owner: O, count: number): Promise<unknown> {
  const { context, of, podInformer, recorder } = loop;
  const pod = podFromTemplate(of.kind, owner, of.read(owner).template);
  const { error } = await slowStart(count, async () => {
    const created = await context.client.create(pods, pod);
    podInformer.observe(created); // So that the next pass counts it.
    const message = `Created pod: ${created.metadata?.name ?? ''}`;
    recorder.record({ kind: of.kind, object: owner }, 'Normal', 'SuccessfulCreate', message);
  });
  if (error !== undefined && !isNamespaceTerminating(error)) {
    const message = `Error creating: ${describeRefusal(error)}`;
    recorder.record({ kind: of.kind, object: owner }, 'Warning', 'FailedCreate', message);
  }
  return error;
}

async function deletePods<O extends KubeObject>(
  { context, of, recorder, deleted }: Loop<O>,
  key: string,
  owner: O,
  victims: readonly Pod[],
): Promise<unknown> {
  const results = await Promise.allSettled(
    victims.map(async (pod) => {
      await deleted.delete(context.client, key, pod);
      const { name = '' } = pod.metadata ?? {};
      recorder.record({ kind: of.kind, object: owner }, 'Normal', 'SuccessfulDelete', `Deleted pod: ${name}`);
    }),
  );
  return results.find((result) => result.status === 'rejected')?.reason;
}

async function writeStatus<O extends KubeObject>(
  loop: Loop<O>,
  key: string,
  nowMs: number,
  failure: { readonly reason: string; readonly error: unknown } | undefined,
): Promise<void> {
  const { of, owners, podInformer, context } = loop;
  const owner = owners.get(key);
  if (owner === undefined) return;
  const { template, minReadySeconds, status } = of.read(owner);
  const owned = podInformer.byIndex('controller', owner.metadata?.uid ?? '');
  const next = computeReplicaStatus(
    {
      generation: owner.metadata?.generation,
      minReadySeconds,
      templateLabels: template.metadata?.labels ?? {},
      status,
    },
    owned,
    {
      nowMs,
      failure: failure && { reason: failure.reason, message: describeRefusal(failure.error) },
    },
  );
  if (equalJson(status, next)) return;
  try {
    const written = await context.client.update(of.kind, of.withStatus(owner, next), {
      subresource: 'status',
    });
    owners.observe(written);
  } catch (refusal) {
    if (!isNotFound(refusal)) throw refusal;
  }
}

/** An empty selector would select everything: the API refuses it, and so it selects nothing here. */
function nonEmpty(selector: LabelSelector | undefined): LabelSelector | undefined {
  const { matchLabels = {}, matchExpressions = [] } = selector ?? {};
  return Object.keys(matchLabels).length === 0 && matchExpressions.length === 0 ? undefined : selector;
}
