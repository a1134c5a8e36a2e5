import type { KeyOutcome } from '#base/keyed-queue.ts';
import { equalJson } from '#api/wire/json.ts';
import { controllerRevisions, persistentVolumeClaims, pods, statefulSets } from '#api/schema/kind-ref.ts';
import { objectKey } from '#api/meta/object.ts';
import type { PersistentVolumeClaim, Pod, StatefulSet } from '#api/generated/objects.ts';
import { labelSelectorFromObject } from '#api/meta/selector.ts';
import { describeRefusal, isAlreadyExists, isNamespaceTerminating, isNotFound } from '#client/api-error.ts';
import type { Informer } from '#client/client.ts';
import {
  onlySynced,
  ownKey,
  runController,
  source,
  type Controller,
  type Source,
} from '#client/controller.ts';
import type { WritableInformer } from '#client/informer.ts';
import type { ControllerContext } from '#control-plane/controllers/controller-context.ts';
import { byController } from '#control-plane/controllers/pods/by-controller.ts';
import { claim } from '#control-plane/controllers/pods/claim.ts';
import { createDeletedPods } from '#control-plane/controllers/pods/deleted-pods.ts';
import { byNamespace, ownedSource } from '#control-plane/controllers/pods/owner-keys.ts';
import { nextAvailableMs } from '#control-plane/controllers/pods/pod-state.ts';
import { ensureRevision } from '#control-plane/controllers/pods/revisions.ts';
import { claimsForNewPod, planClaims, type ClaimAction } from './claims.ts';
import {
  computeStatefulStatus,
  isPodOf,
  planStateful,
  revisionLabel,
  revisionOfPod,
  type StatefulAction,
} from './plan.ts';
import { isClaimOf, statefulPod, templateOf } from './stateful-pod.ts';

/** Pods with names and claims of their own, made and removed in order. */
export function runStatefulSets(context: ControllerContext): Controller {
  const { informers, clock, logger, client } = context;
  const owners = informers.for(statefulSets, { indexes: { namespace: byNamespace } });
  const podInformer = informers.for(pods, { indexes: { controller: byController } });
  const revisions = informers.for(controllerRevisions, { indexes: { controller: byController } });
  const claims = informers.for(persistentVolumeClaims);
  const deleted = createDeletedPods();
  const recorder = context.recorder('statefulset-controller');

  const reconcile = async (key: string): Promise<KeyOutcome | void> => {
    const statefulSet = owners.get(key);
    if (statefulSet === undefined) return deleted.forget(key);
    if (statefulSet.metadata?.deletionTimestamp !== undefined) return undefined;
    const selector = labelSelectorFromObject(statefulSet.spec?.selector);
    if (selector.requirements.length === 0) return undefined;
    const claimer = { client, ownerKind: statefulSets, kind: pods, informer: podInformer, isMember: isPodOf };
    const owned = await claim(claimer, statefulSet, selector);
    const { currentRevision: known } = statefulSet.status ?? {};
    const used = [...owned.map(revisionOfPod), known].map((name) => hashIn(statefulSet, name));
    const { name: updateRevision } = await ensureRevision(context, revisions, {
      kind: statefulSets,
      owner: statefulSet,
      template: statefulSet.spec?.template ?? {},
      historyLimit: statefulSet.spec?.revisionHistoryLimit ?? 10,
      hashLabel: revisionLabel,
      usedHashes: new Set(used),
    });
    const currentRevision = known === undefined || known === '' ? updateRevision : known;
    const more = { updateRevision, currentRevision, nowMs: clock.now() };
    const deletedUids = deleted.still(key, owned);
    for (const action of planClaims(statefulSet, owned, findClaim(claims, statefulSet)))
      await applyClaim(context, action);
    for (const action of planStateful({ statefulSet, pods: owned, deletedUids, ...more })) {
      await apply(key, statefulSet, action);
    }
    await writeStatus(key, more);
    const waitMs = nextAvailableMs(owned, statefulSet.spec?.minReadySeconds ?? 0, more.nowMs);
    return waitMs === undefined ? undefined : { kind: 'again', afterMs: waitMs };
  };
  const apply = async (key: string, statefulSet: StatefulSet, action: StatefulAction): Promise<void> => {
    const regarding = { kind: statefulSets, object: statefulSet };
    if (action.kind === 'delete') {
      await deleted.delete(client, key, action.pod);
      const message = messageOf('delete', action.pod, statefulSet, 'successful');
      recorder.record(regarding, 'Normal', 'SuccessfulDelete', message);
      return;
    }
    const missing = claimsForNewPod(statefulSet, action.ordinal, findClaim(claims, statefulSet));
    if (missing === undefined) return; // Its deletion comes here again.
    for (const claim of missing) await applyClaim(context, { kind: 'createClaim', claim });
    const revision = revisions.get(`${statefulSet.metadata?.namespace ?? ''}/${action.revision}`);
    const template = templateOf(revision) ?? statefulSet.spec?.template ?? {};
    const pod = statefulPod(statefulSet, template, action);
    const created = await client.create(pods, pod).catch((error: unknown) => {
      const message = messageOf('create', pod, statefulSet, `failed error: ${describeRefusal(error)}`);
      if (!isNamespaceTerminating(error)) recorder.record(regarding, 'Warning', 'FailedCreate', message);
      throw error;
    });
    podInformer.observe(created);
    const message = messageOf('create', created, statefulSet, 'successful');
    recorder.record(regarding, 'Normal', 'SuccessfulCreate', message);
  };
  const writeStatus = async (
    key: string,
    more: { readonly updateRevision: string; readonly currentRevision: string; readonly nowMs: number },
  ): Promise<void> => {
    const statefulSet = owners.get(key);
    if (statefulSet === undefined) return;
    const owned = podInformer.byIndex('controller', statefulSet.metadata?.uid ?? '');
    const status = computeStatefulStatus({ statefulSet, pods: owned, deletedUids: new Set(), ...more });
    if (equalJson(status, statefulSet.status)) return;
    try {
      const next = { ...statefulSet, status };
      owners.observe(await client.update(statefulSets, next, { subresource: 'status' }));
    } catch (error) {
      if (!isNotFound(error)) throw error;
    }
  };
  return runController({
    name: 'statefulset-controller',
    clock,
    logger,
    sources: [
      ownKey(owners),
      ownedSource(statefulSets, owners, podInformer),
      onlySynced(revisions),
      goneClaims(owners, claims),
    ],
    reconcile,
  });
}

function findClaim(claims: Informer<PersistentVolumeClaim>, { metadata }: StatefulSet) {
  return (name: string) => claims.get(`${metadata?.namespace ?? ''}/${name}`);
}

async function applyClaim({ client, informers }: ControllerContext, action: ClaimAction): Promise<void> {
  const claims = informers.for(persistentVolumeClaims);
  const { namespace, name = '', uid, resourceVersion } = action.claim.metadata ?? {};
  if (action.kind === 'createClaim') {
    try {
      claims.observe(await client.create(persistentVolumeClaims, action.claim));
    } catch (error) {
      if (!isAlreadyExists(error)) throw error; // It outlived the pod before.
    }
    return;
  }
  const ownerReferences = action.owners.length === 0 ? null : action.owners;
  const body = { metadata: { uid, resourceVersion, ownerReferences } };
  claims.observe(await client.patch(persistentVolumeClaims, { namespace, name }, { kind: 'merge', body }));
}

/** A new pod may wait for the claim of the one before to be gone. */
function goneClaims(owners: WritableInformer<StatefulSet>, claims: Informer<PersistentVolumeClaim>): Source {
  return source(claims, ({ old, current }) => {
    if (current !== undefined || old === undefined) return [];
    const near = owners.byIndex('namespace', old.metadata?.namespace ?? '');
    return near.filter((set) => isClaimOf(set, old.metadata?.name ?? '')).map(objectKey);
  });
}

/** Pods carry the whole name of their revision; the revision itself only its hash. */
function hashIn({ metadata }: StatefulSet, revision: string | undefined): string {
  return (revision ?? '').slice((metadata?.name ?? '').length + 1);
}

/** An event's message, as Kubernetes has it: `create Pod web-0 in StatefulSet web successful`. */
function messageOf(verb: string, pod: Pod, { metadata }: StatefulSet, result: string): string {
  return `${verb} Pod ${pod.metadata?.name ?? ''} in StatefulSet ${metadata?.name ?? ''} ${result}`;
}
