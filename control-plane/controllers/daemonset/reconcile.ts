import type { KeyOutcome } from '#base/keyed-queue.ts';
import { equalJson } from '#api/wire/json.ts';
import { controllerRevisions, daemonSets, nodes, pods } from '#api/schema/kind-ref.ts';
import { objectKey } from '#api/meta/object.ts';
import type { Node } from '#api/generated/objects.ts';
import { labelSelectorFromObject } from '#api/meta/selector.ts';
import { describeRefusal, isNamespaceTerminating, isNotFound } from '#client/api-error.ts';
import { onlySynced, ownKey, runController, source, type Controller } from '#client/controller.ts';
import type { ControllerContext } from '#control-plane/controllers/controller-context.ts';
import { byController } from '#control-plane/controllers/pods/by-controller.ts';
import { claim } from '#control-plane/controllers/pods/claim.ts';
import { createDeletedPods } from '#control-plane/controllers/pods/deleted-pods.ts';
import { byNamespace, ownedSource } from '#control-plane/controllers/pods/owner-keys.ts';
import { podFromTemplate } from '#control-plane/controllers/pods/pod-from-template.ts';
import { nextAvailableMs } from '#control-plane/controllers/pods/pod-state.ts';
import { ensureRevision } from '#control-plane/controllers/pods/revisions.ts';
import { slowStart } from '#control-plane/controllers/pods/slow-start.ts';
import { computeDaemonStatus, planDaemons, podSpecOf, revisionHashLabel, type DaemonState } from './plan.ts';

/** One pod of each DaemonSet on each node that fits it. */
export function runDaemonSets(context: ControllerContext): Controller {
  const { informers, clock, logger, client } = context;
  const owners = informers.for(daemonSets, { indexes: { namespace: byNamespace } });
  const podInformer = informers.for(pods, { indexes: { controller: byController } });
  const nodeInformer = informers.for(nodes);
  const revisions = informers.for(controllerRevisions, { indexes: { controller: byController } });
  const deleted = createDeletedPods();
  const recorder = context.recorder('daemonset-controller');

  const reconcile = async (key: string): Promise<KeyOutcome | void> => {
    const daemonSet = owners.get(key);
    if (daemonSet === undefined) return deleted.forget(key);
    if (daemonSet.metadata?.deletionTimestamp !== undefined) return undefined;
    const selector = labelSelectorFromObject(daemonSet.spec?.selector);
    if (selector.requirements.length === 0) return undefined;
    const claimer = { client, ownerKind: daemonSets, kind: pods, informer: podInformer };
    const owned = await claim(claimer, daemonSet, selector);
    const template = daemonSet.spec?.template ?? {};
    const { hash } = await ensureRevision(context, revisions, {
      kind: daemonSets,
      owner: daemonSet,
      template,
      historyLimit: daemonSet.spec?.revisionHistoryLimit ?? 10,
      hashLabel: revisionHashLabel,
      usedHashes: new Set(owned.map(({ metadata }) => metadata?.labels?.[revisionHashLabel] ?? '')),
    });
    const deletedUids = deleted.still(key, owned);
    const state: DaemonState = {
      daemonSet,
      nodes: nodeInformer.list(),
      pods: owned,
      hash,
      deletedUids,
      nowMs: clock.now(),
    };
    const plan = planDaemons(state);
    const regarding = { kind: daemonSets, object: daemonSet };
    for (const pod of plan.deletePods) {
      await deleted.delete(client, key, pod);
      recorder.record(regarding, 'Normal', 'SuccessfulDelete', `Deleted pod: ${pod.metadata?.name ?? ''}`);
    }
    const base = podFromTemplate(daemonSets, daemonSet, template);
    const labels = { ...base.metadata?.labels, [revisionHashLabel]: hash };
    const { error } = await slowStart(plan.createOn.length, async (index) => {
      const spec = podSpecOf(daemonSet, plan.createOn[index]);
      const created = await client.create(pods, { ...base, metadata: { ...base.metadata, labels }, spec });
      podInformer.observe(created);
      recorder.record(
        regarding,
        'Normal',
        'SuccessfulCreate',
        `Created pod: ${created.metadata?.name ?? ''}`,
      );
    });
    const nowMs = clock.now(); // One instant for both: what the status counts as not yet available must be waited for.
    await writeStatus(key, hash, nowMs);
    if (error !== undefined && !isNamespaceTerminating(error)) {
      recorder.record(regarding, 'Warning', 'FailedCreate', `Error creating: ${describeRefusal(error)}`);
      throw error;
    }
    const waitMs = nextAvailableMs(owned, daemonSet.spec?.minReadySeconds ?? 0, nowMs);
    return waitMs === undefined ? undefined : { kind: 'again', afterMs: waitMs };
  };
  const writeStatus = async (key: string, hash: string, nowMs: number): Promise<void> => {
    const daemonSet = owners.get(key);
    if (daemonSet === undefined) return;
    const owned = podInformer.byIndex('controller', daemonSet.metadata?.uid ?? '');
    const more = { nodes: nodeInformer.list(), deletedUids: new Set<string>(), nowMs };
    const status = computeDaemonStatus({ daemonSet, pods: owned, hash, ...more });
    if (equalJson(status, daemonSet.status)) return;
    try {
      owners.observe(await client.update(daemonSets, { ...daemonSet, status }, { subresource: 'status' }));
    } catch (error) {
      if (!isNotFound(error)) throw error;
    }
  };
  return runController({
    name: 'daemonset-controller',
    clock,
    logger,
    sources: [
      ownKey(owners),
      ownedSource(daemonSets, owners, podInformer),
      source(nodeInformer, ({ old, current }) =>
        isSameToDaemons(old, current) ? [] : owners.list().map(objectKey),
      ),
      onlySynced(revisions),
    ],
    reconcile,
  });
}

function isSameToDaemons(old: Node | undefined, current: Node | undefined): boolean {
  const relevant = (node: Node | undefined): unknown =>
    node === undefined ? null : [node.metadata?.labels, node.spec?.taints, node.status?.allocatable];
  return equalJson(relevant(old), relevant(current));
}
