import type { KeyOutcome } from '#base/keyed-queue.ts';
import { equalJson } from '#api/wire/json.ts';
import { controllerRevisions, daemonSets, nodes } from '#api/schema/kind-ref.ts';
import { objectKey } from '#api/meta/object.ts';
import type { DaemonSet, Node, Pod } from '#api/generated/objects.ts';
import { labelSelectorFromObject } from '#api/meta/selector.ts';
import { onlySynced, source, type Controller } from '#client/controller.ts';
import type { ControllerContext } from '#control-plane/controllers/controller-context.ts';
import { byController } from '#control-plane/controllers/pods/by-controller.ts';
import { selectorOf } from '#control-plane/controllers/pods/owner-keys.ts';
import { podFromTemplate } from '#control-plane/controllers/pods/pod-from-template.ts';
import { PodOwner } from '#control-plane/controllers/pods/pod-owner.ts';
import { ensureRevision } from '#control-plane/controllers/pods/revisions.ts';
import { computeDaemonStatus, planDaemons, podSpecOf, revisionHashLabel } from './plan.ts';

/** One pod of each DaemonSet on each node that fits it. */
export function runDaemonSets(context: ControllerContext): Controller {
  const { informers, clock } = context;
  const daemons = new PodOwner(context, { kind: daemonSets, name: 'daemonset-controller', selectorOf });
  const nodeInformer = informers.for(nodes);
  const revisions = informers.for(controllerRevisions, { indexes: { controller: byController } });

  const reconcile = async (daemonSet: DaemonSet, key: string): Promise<KeyOutcome | void> => {
    if (daemonSet.metadata?.deletionTimestamp !== undefined) return;
    const selector = labelSelectorFromObject(daemonSet.spec?.selector);
    if (selector.requirements.length === 0) return;
    const owned = await daemons.claim(daemonSet, selector);
    const { hash } = await ensureRevision(context, revisions, {
      kind: daemonSets,
      owner: daemonSet,
      template: daemonSet.spec?.template ?? {},
      historyLimit: daemonSet.spec?.revisionHistoryLimit ?? 10,
      hashLabel: revisionHashLabel,
      usedHashes: new Set(owned.map(({ metadata }) => metadata?.labels?.[revisionHashLabel] ?? '')),
    });
    const deletedUids = daemons.deletedAmong(key, owned);
    const more = { nodes: nodeInformer.list(), hash, deletedUids };
    const plan = planDaemons({ daemonSet, pods: owned, ...more, nowMs: clock.now() });
    for (const pod of plan.deletePods) await daemons.delete(daemonSet, key, pod);
    const podOn = podsOf(daemonSet, hash);
    const error = await daemons.createAll(daemonSet, plan.createOn.length, (nth) =>
      podOn(plan.createOn[nth]),
    );
    const nowMs = clock.now();
    await daemons.writeStatus(key, (latest, pods) => ({
      ...latest,
      status: computeDaemonStatus({ daemonSet: latest, pods, ...more, nodes: nodeInformer.list(), nowMs }),
    }));
    if (error !== undefined) throw error;
    return daemons.againWhenAvailable(owned, daemonSet.spec?.minReadySeconds, nowMs);
  };
  return daemons.run(reconcile, [
    source(nodeInformer, ({ old, current }) =>
      isSameToDaemons(old, current) ? [] : daemons.owners.list().map(objectKey),
    ),
    onlySynced(revisions),
  ]);
}

/** A pod for each node, of this revision. */
function podsOf(daemonSet: DaemonSet, hash: string): (node: Parameters<typeof podSpecOf>[1]) => Pod {
  const base = podFromTemplate(daemonSets, daemonSet, daemonSet.spec?.template ?? {});
  const metadata = { ...base.metadata, labels: { ...base.metadata?.labels, [revisionHashLabel]: hash } };
  return (node) => ({ ...base, metadata, spec: podSpecOf(daemonSet, node) });
}

function isSameToDaemons(old: Node | undefined, current: Node | undefined): boolean {
  const relevant = (node: Node | undefined): unknown =>
    node === undefined ? null : [node.metadata?.labels, node.spec?.taints, node.status?.allocatable];
  return equalJson(relevant(old), relevant(current));
}
