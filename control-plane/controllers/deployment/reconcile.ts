import type { KeyOutcome } from '#base/keyed-queue.ts';
import { unreachable } from '#base/unreachable.ts';
import { equalJson } from '#api/wire/json.ts';
import { deployments, pods, replicaSets } from '#api/schema/kind-ref.ts';
import { objectKey } from '#api/meta/object.ts';
import type { Deployment, Pod, ReplicaSet } from '#api/generated/objects.ts';
import { labelSelectorFromObject } from '#api/meta/selector.ts';
import { describeRefusal, isAlreadyExists, isNamespaceTerminating, isNotFound } from '#client/api-error.ts';
import { ownKey, runController, source, type Controller } from '#client/controller.ts';
import type { EventRecorder } from '#client/event-recorder.ts';
import type { WritableInformer } from '#client/informer.ts';
import type { ControllerContext } from '#control-plane/controllers/controller-context.ts';
import { claim, isKindOf } from '#control-plane/controllers/pods/claim.ts';
import { byController } from '#control-plane/controllers/pods/by-controller.ts';
import { controllerRef } from '#api/meta/owner.ts';
import { byNamespace, ownedSource, selectorOf } from '#control-plane/controllers/pods/owner-keys.ts';
import { planDeployment, type DeploymentAction } from './plan.ts';
import { TemplateWriters } from './template-writers.ts';
import { findNewReplicaSet, isMadeFor, templateHash } from './revision.ts';
import { computeDeploymentStatus, describeNotCreated, progressDeadlineMs, type Creation } from './status.ts';

interface Loop {
  readonly context: ControllerContext;
  readonly writers: TemplateWriters;
  readonly recorder: EventRecorder;
  readonly deploymentInformer: WritableInformer<Deployment>;
  readonly replicaSetInformer: WritableInformer<ReplicaSet>;
  readonly podInformer: WritableInformer<Pod>;
}

export function runDeployments(context: ControllerContext): Controller {
  const { informers, clock, logger } = context;
  const loop: Loop = {
    context,
    writers: new TemplateWriters(context.client),
    recorder: context.recorder('deployment-controller'),
    deploymentInformer: informers.for(deployments, {
      indexes: { namespace: byNamespace },
    }),
    replicaSetInformer: informers.for(replicaSets, { indexes: { controller: byController } }),
    podInformer: informers.for(pods, { indexes: { controller: byController } }),
  };
  return runController({
    name: 'deployment-controller',
    clock,
    logger,
    concurrencyMax: context.syncsMax,
    sources: [
      ownKey(loop.deploymentInformer),
      ownedSource(deployments, loop.deploymentInformer, loop.replicaSetInformer, selectorOf),
      // Recreate waits for the last old pod to be gone.
      source(loop.podInformer, ({ old, current }) =>
        current === undefined ? deploymentOfPod(loop, old) : [],
      ),
    ],
    reconcile: (key) => reconcile(loop, key),
  });
}

function deploymentOfPod({ replicaSetInformer }: Loop, pod: Pod | undefined): readonly string[] {
  const namespace = pod?.metadata?.namespace ?? '';
  const replicaSet = pod === undefined ? undefined : controllerRef(pod);
  if (replicaSet === undefined || !isKindOf(replicaSets, replicaSet)) return [];
  const owner = controllerRef(replicaSetInformer.get(`${namespace}/${replicaSet.name}`) ?? {});
  return owner !== undefined && isKindOf(deployments, owner) ? [`${namespace}/${owner.name}`] : [];
}

async function reconcile(loop: Loop, key: string): Promise<KeyOutcome | void> {
  const { context, deploymentInformer, replicaSetInformer, podInformer } = loop;
  const deployment = deploymentInformer.get(key);
  if (deployment === undefined) return;
  const { matchLabels = {}, matchExpressions = [] } = deployment.spec?.selector ?? {};
  if (Object.keys(matchLabels).length === 0 && matchExpressions.length === 0) return; // Would select everything.
  const claimed = await claim(
    { client: context.client, ownerKind: deployments, kind: replicaSets, informer: replicaSetInformer },
    deployment,
    labelSelectorFromObject(deployment.spec?.selector),
  );
  const owned = await loop.writers.tell(deployment, claimed);
  const ownedPods = owned.flatMap(({ metadata }) => podInformer.byIndex('controller', metadata?.uid ?? ''));
  const nowMs = context.clock.now();
  let creation: Creation | undefined;
  for (const action of planDeployment({ deployment, replicaSets: owned, pods: ownedPods, nowMs })) {
    if (action.kind !== 'createReplicaSet') await apply(loop, deployment, action);
    else {
      const made = await create(loop, deployment, action.replicaSet);
      ({ creation } = made);
      if (made.error === undefined) continue;
      if (creation !== undefined) await writeStatus(loop, key, creation);
      throw made.error;
    }
  }
  return writeStatus(loop, key, creation);
}

/** Makes the new ReplicaSet. `creation` is what its Deployment is to say of it: nothing where the name is taken, or the namespace ends. */
async function create(
  { context, recorder, ...caches }: Loop,
  deployment: Deployment,
  replicaSet: ReplicaSet,
): Promise<{ readonly creation?: Creation | undefined; readonly error?: unknown }> {
  const regarding = { kind: deployments, object: deployment };
  const { name = '' } = replicaSet.metadata ?? {};
  try {
    const created = await createReplicaSet({ context, recorder, ...caches }, deployment, replicaSet);
    if (created === undefined) return {};
    const count = created.spec?.replicas ?? 0;
    const message = `Scaled up replica set ${name} from 0 to ${count}`;
    if (count > 0) recorder.record(regarding, 'Normal', 'ScalingReplicaSet', message);
    return { creation: { name } };
  } catch (error) {
    if (isNamespaceTerminating(error) || isAlreadyExists(error)) return { error };
    const creation = { name, refusal: describeRefusal(error) };
    recorder.record(regarding, 'Warning', 'ReplicaSetCreateError', describeNotCreated(creation));
    return { creation, error };
  }
}

async function apply(
  loop: Loop,
  deployment: Deployment,
  action: Exclude<DeploymentAction, { readonly kind: 'createReplicaSet' }>,
): Promise<void> {
  const { context, recorder, deploymentInformer, replicaSetInformer } = loop;
  const { client } = context;
  const regarding = { kind: deployments, object: deployment };
  switch (action.kind) {
    case 'updateReplicaSet': {
      // Actions of one plan may change the same object twice: the later builds on what the earlier wrote.
      const latest = replicaSetInformer.get(objectKey(action.replicaSet)) ?? action.replicaSet;
      const { replicas = latest.spec?.replicas, minReadySeconds = latest.spec?.minReadySeconds } = action;
      const next: ReplicaSet = {
        ...latest,
        metadata: {
          ...latest.metadata,
          annotations: { ...latest.metadata?.annotations, ...action.annotations },
        },
        spec: { selector: {}, ...latest.spec, replicas, minReadySeconds },
      };
      replicaSetInformer.observe(await client.update(replicaSets, next));
      if (action.event !== undefined) recorder.record(regarding, 'Normal', 'ScalingReplicaSet', action.event);
      return;
    }
    case 'deleteReplicaSet': {
      const { namespace, name = '', uid } = action.replicaSet.metadata ?? {};
      try {
        await client.delete(replicaSets, { namespace, name }, { preconditions: { uid } });
      } catch (error) {
        if (!isNotFound(error)) throw error;
      }
      return;
    }
    case 'annotateDeployment': {
      const { metadata } = deployment;
      const annotations = { ...metadata?.annotations, 'deployment.kubernetes.io/revision': action.revision };
      const next = { ...deployment, metadata: { ...metadata, annotations } };
      // With the status: an annotation that the object is written with would be a new generation.
      deploymentInformer.observe(await client.update(deployments, next, { subresource: 'status' }));
      return;
    }
    default:
      return unreachable(action);
  }
}

/** Undefined when the name is taken by something else: the next pass takes another. */
async function createReplicaSet(
  loop: Loop,
  deployment: Deployment,
  replicaSet: ReplicaSet,
): Promise<ReplicaSet | undefined> {
  const { client } = loop.context;
  const { namespace, name = '' } = replicaSet.metadata ?? {};
  try {
    const created = await client.create(replicaSets, replicaSet);
    loop.replicaSetInformer.observe(created);
    return created;
  } catch (error) {
    if (!isAlreadyExists(error)) throw error;
    const there = await client.get(replicaSets, { namespace, name });
    const isOurs = controllerRef(there)?.uid === deployment.metadata?.uid;
    const hash = templateHash(deployment.spec?.template ?? {}, deployment.status?.collisionCount);
    if (isOurs && isMadeFor(there, hash)) throw error; // Ours: the cache is late.
    const collisionCount = (deployment.status?.collisionCount ?? 0) + 1;
    const status = { ...deployment.status, collisionCount };
    const written = await client.update(deployments, { ...deployment, status }, { subresource: 'status' });
    loop.deploymentInformer.observe(written);
    return undefined;
  }
}

async function writeStatus(
  loop: Loop,
  key: string,
  creation: Creation | undefined,
): Promise<KeyOutcome | void> {
  const { context, deploymentInformer, replicaSetInformer } = loop;
  // After the writes, so that the status is of what is there now.
  const deployment = deploymentInformer.get(key);
  if (deployment === undefined) return;
  const nowMs = context.clock.now();
  const owned = await loop.writers.tell(
    deployment,
    replicaSetInformer.byIndex('controller', deployment.metadata?.uid ?? ''),
  );
  const newReplicaSet = findNewReplicaSet(deployment, owned);
  const oldReplicaSets = owned.filter((one) => one !== newReplicaSet);
  const status = computeDeploymentStatus({ deployment, newReplicaSet, oldReplicaSets, creation, nowMs });
  if (!equalJson(status, deployment.status)) {
    try {
      const next = { ...deployment, status };
      deploymentInformer.observe(await context.client.update(deployments, next, { subresource: 'status' }));
    } catch (error) {
      if (!isNotFound(error)) throw error;
    }
  }
  const afterMs = progressDeadlineMs(deployment, status, nowMs);
  return afterMs === undefined ? undefined : { kind: 'again', afterMs };
}
