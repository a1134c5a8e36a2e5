import type { KeyOutcome } from '#base/keyed-queue.ts';
import { isTerminal } from '#api/pod/state.ts';
import { controllerRevisions, persistentVolumeClaims, pods, statefulSets } from '#api/schema/kind-ref.ts';
import { objectKey } from '#api/meta/object.ts';
import type { ControllerRevision, PersistentVolumeClaim, Pod, StatefulSet } from '#api/generated/objects.ts';
import { labelSelectorFromObject } from '#api/meta/selector.ts';
import { describeRefusal, isAlreadyExists, isNamespaceTerminating } from '#client/api-error.ts';
import type { Informer } from '#client/client.ts';
import { onlySynced, source, type Controller, type Source } from '#client/controller.ts';
import type { WritableInformer } from '#client/informer.ts';
import type { ControllerContext } from '#control-plane/controllers/controller-context.ts';
import { byController } from '#control-plane/controllers/pods/by-controller.ts';
import { selectorOf } from '#control-plane/controllers/pods/owner-keys.ts';
import { PodOwner, type PodDeed } from '#control-plane/controllers/pods/pod-owner.ts';
import { ensureRevision } from '#control-plane/controllers/pods/revisions.ts';
import { claimsForNewPod, planClaims, type ClaimAction } from './claims.ts';
import {
  computeStatefulStatus,
  isPodOf,
  planStateful,
  revisionOfPod,
  type StatefulAction,
  type StatefulState,
} from './plan.ts';
import { isClaimOf, planIdentities, statefulPod, templateOf } from './stateful-pod.ts';

/** Pods with names and claims of their own, made and removed in order. */
export function runStatefulSets(context: ControllerContext): Controller {
  const { informers } = context;
  const replicas = new PodOwner(context, {
    kind: statefulSets,
    name: 'statefulset-controller',
    selectorOf,
    countsBy: ({ spec }) => ({ template: spec?.template ?? {}, minReadySeconds: spec?.minReadySeconds ?? 0 }),
    claims: { isMember: isPodOf },
    say: messageOf,
  });
  const revisions = informers.for(controllerRevisions, { indexes: { controller: byController } });
  const claims = informers.for(persistentVolumeClaims);
  const loop: Loop = { context, replicas, revisions, claims };
  return replicas.run(
    (statefulSet, key) => reconcile(loop, statefulSet, key),
    [onlySynced(revisions), goneClaims(replicas.owners, claims)],
  );
}

interface Loop {
  readonly context: ControllerContext;
  readonly replicas: PodOwner<StatefulSet>;
  readonly revisions: WritableInformer<ControllerRevision>;
  readonly claims: WritableInformer<PersistentVolumeClaim>;
}

async function reconcile(loop: Loop, statefulSet: StatefulSet, key: string): Promise<KeyOutcome | void> {
  const { context, replicas, claims } = loop;
  const selector = labelSelectorFromObject(statefulSet.spec?.selector);
  if (selector.requirements.length === 0) return;
  if (statefulSet.metadata?.deletionTimestamp !== undefined) {
    // What it has of pods is told until it is gone.
    const { updateRevision = '', currentRevision = updateRevision } = statefulSet.status ?? {};
    const known = { updateRevision, currentRevision, nowMs: context.clock.now() };
    if (updateRevision !== '') await writeStatus(loop, key, known);
    return;
  }
  const claimed = await replicas.claim(statefulSet);
  const owned = claimed.list();
  const more = { ...(await revisionsOf(loop, statefulSet, owned)), nowMs: context.clock.now() };
  const deletedUids = new Set(replicas.deletedAmong(key, claimed).keys());
  for (const action of planClaims(statefulSet, owned, findClaim(claims, statefulSet)))
    await applyClaim(context, action);
  for (const { pod, labels } of planIdentities(statefulSet, owned))
    await relabel(loop, statefulSet, pod, labels);
  const refusal = await runAll(loop, {
    ...{ statefulSet, key },
    actions: planStateful({ statefulSet, pods: owned, deletedUids, ...more }),
  });
  await writeStatus(loop, key, more);
  if (refusal !== undefined) throw refusal.error;
  return replicas.againWhenAvailable(replicas.ownedBy(statefulSet), more.nowMs);
}

function writeStatus(
  { replicas }: Loop,
  key: string,
  more: Pick<StatefulState, 'updateRevision' | 'currentRevision' | 'collisionCount' | 'nowMs'>,
): Promise<void> {
  return replicas.writeStatus(key, (latest, now) => ({
    ...latest,
    status: computeStatefulStatus({ statefulSet: latest, pods: now.list(), deletedUids: new Set(), ...more }),
  }));
}

/** One after another, to the first that is refused: the status says how far it came, whatever that was. */
async function runAll(
  loop: Loop,
  {
    statefulSet,
    key,
    actions,
  }: { readonly statefulSet: StatefulSet; readonly key: string; readonly actions: readonly StatefulAction[] },
): Promise<{ readonly error: unknown } | undefined> {
  try {
    for (const action of actions) {
      if (action.kind === 'delete') {
        if (isTerminal(action.pod)) tellRecreated(loop, statefulSet, key, action.pod);
        await loop.replicas.delete(statefulSet, key, action.pod);
      } else await createPod(loop, statefulSet, action);
    }
  } catch (error) {
    return { error };
  }
  return undefined;
}

/** Gives a pod its labels back. */
async function relabel(
  { context, replicas }: Loop,
  object: StatefulSet,
  pod: Pod,
  labels: Readonly<Record<string, string>>,
): Promise<void> {
  const { namespace, name = '', uid } = pod.metadata ?? {};
  const tell = (type: 'Normal' | 'Warning', reason: string, result: string): void => {
    const message = `Update Pod ${name} in StatefulSet ${object.metadata?.name ?? ''} ${result}`;
    replicas.recorder.record({ kind: statefulSets, object }, type, reason, message);
  };
  try {
    const body = { metadata: { uid, labels } };
    replicas.pods.observe(await context.client.patch(pods, { namespace, name }, { kind: 'merge', body }));
    tell('Normal', 'SuccessfulUpdate', 'successful');
  } catch (error) {
    tell('Warning', 'FailedUpdate', `failed error: ${describeRefusal(error)}`);
    throw error;
  }
}

/** A pod that ended comes again. */
function tellRecreated({ replicas }: Loop, object: StatefulSet, key: string, pod: Pod): void {
  const [type, reason, how] =
    pod.status?.phase === 'Failed'
      ? (['Warning', 'RecreatingFailedPod', 'failed'] as const)
      : (['Normal', 'RecreatingTerminatedPod', 'terminated'] as const);
  const message = `StatefulSet ${key} is recreating ${how} Pod ${pod.metadata?.name ?? ''}`;
  replicas.recorder.record({ kind: statefulSets, object }, type, reason, message);
}

/** Names of the revision that its template is and of the one that its pods are still of, and how many were taken. */
async function revisionsOf(
  { context, revisions }: Loop,
  statefulSet: StatefulSet,
  owned: readonly Pod[],
): Promise<Pick<StatefulState, 'updateRevision' | 'currentRevision' | 'collisionCount'>> {
  const { currentRevision: known } = statefulSet.status ?? {};
  const used = [...owned.map(revisionOfPod), known].map((name) => hashIn(statefulSet, name));
  const { name: updateRevision, collisionCount } = await ensureRevision(context, revisions, {
    kind: statefulSets,
    owner: statefulSet,
    template: statefulSet.spec?.template ?? {},
    selector: labelSelectorFromObject(statefulSet.spec?.selector),
    historyLimit: statefulSet.spec?.revisionHistoryLimit ?? 10,
    hashLabel: 'controller.kubernetes.io/hash',
    usedHashes: new Set(used),
    collisionCount: statefulSet.status?.collisionCount,
  });
  // Of one that somebody deleted nobody knows the template any more.
  const isThere = revisions
    .byIndex('controller', statefulSet.metadata?.uid ?? '')
    .some(({ metadata }) => metadata?.name === known);
  const currentRevision = known !== undefined && isThere ? known : updateRevision;
  return { updateRevision, currentRevision, collisionCount };
}

/** With its claims before it; not while one of the pod before is still going: its deletion comes here again. */
async function createPod(
  { context, replicas, revisions, claims }: Loop,
  statefulSet: StatefulSet,
  action: StatefulAction & { readonly kind: 'create' },
): Promise<void> {
  const missing = claimsForNewPod(statefulSet, action.ordinal, findClaim(claims, statefulSet));
  if (missing === undefined) return;
  const pod = `${statefulSet.metadata?.name ?? ''}-${action.ordinal}`;
  for (const claim of missing) await createClaim({ context, replicas }, statefulSet, { claim, pod });
  const revision = revisions.get(`${statefulSet.metadata?.namespace ?? ''}/${action.revision}`);
  const template = templateOf(revision) ?? statefulSet.spec?.template ?? {};
  await replicas.create(statefulSet, statefulPod(statefulSet, template, action));
}

/** Told as Kubernetes tells it. */
async function createClaim(
  { context, replicas }: Pick<Loop, 'context' | 'replicas'>,
  object: StatefulSet,
  { claim, pod }: { readonly claim: PersistentVolumeClaim; readonly pod: string },
): Promise<void> {
  const regarding = { kind: statefulSets, object };
  const [name, set] = [claim.metadata?.name ?? '', object.metadata?.name ?? ''];
  try {
    if (!(await applyClaim(context, { kind: 'createClaim', claim }))) return;
    const message = `Create Claim ${name} Pod ${pod} in StatefulSet ${set} success`;
    replicas.recorder.record(regarding, 'Normal', 'SuccessfulCreate', message);
  } catch (error) {
    const message = `Create Claim ${name} for Pod ${pod} in StatefulSet ${set} failed error: ${describeRefusal(error)}`;
    if (!isNamespaceTerminating(error))
      replicas.recorder.record(regarding, 'Warning', 'FailedCreate', message);
    throw error;
  }
}

function findClaim(claims: Informer<PersistentVolumeClaim>, { metadata }: StatefulSet) {
  return (name: string) => claims.get(`${metadata?.namespace ?? ''}/${name}`);
}

/** Whether anything was written. */
async function applyClaim({ client, informers }: ControllerContext, action: ClaimAction): Promise<boolean> {
  const claims = informers.for(persistentVolumeClaims);
  if (action.kind === 'createClaim') {
    try {
      claims.observe(await client.create(persistentVolumeClaims, action.claim));
    } catch (error) {
      if (!isAlreadyExists(error)) throw error;
      return false; // It outlived the pod before.
    }
    return true;
  }
  const metadata = { ...action.claim.metadata, ownerReferences: action.owners };
  claims.observe(await client.update(persistentVolumeClaims, { ...action.claim, metadata }));
  return true;
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

/** As a 1.36 has it: `Create Pod web-0 in StatefulSet web successful`. */
function messageOf(deed: PodDeed, pod: Pod, { metadata }: StatefulSet, refusal?: string): string {
  const result = refusal === undefined ? 'successful' : `failed error: ${refusal}`;
  return `${deed === 'create' ? 'Create' : 'Delete'} Pod ${pod.metadata?.name ?? ''} in StatefulSet ${metadata?.name ?? ''} ${result}`;
}
