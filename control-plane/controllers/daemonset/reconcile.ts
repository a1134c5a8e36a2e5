import type { KeyOutcome } from '#base/keyed-queue.ts';
import { equalJson } from '#api/wire/json.ts';
import { isTerminal } from '#api/pod/state.ts';
import { controllerRevisions, daemonSets, nodes } from '#api/schema/kind-ref.ts';
import { objectKey } from '#api/meta/object.ts';
import type { DaemonSet, Node, Pod } from '#api/generated/objects.ts';
import { labelSelectorFromObject } from '#api/meta/selector.ts';
import { onlySynced, source, type Controller } from '#client/controller.ts';
import type { ControllerContext } from '#control-plane/controllers/controller-context.ts';
import { byController } from '#control-plane/controllers/pods/by-controller.ts';
import { selectorOf } from '#control-plane/controllers/pods/owner-keys.ts';
import { podFromTemplate } from '#control-plane/controllers/pods/pod-from-template.ts';
import { PodOwner, type PodOwnerOptions } from '#control-plane/controllers/pods/pod-owner.ts';
import { ensureRevision } from '#control-plane/controllers/pods/revisions.ts';
import { FailedPods } from './failed-pods.ts';
import {
  computeDaemonStatus,
  nodeNameOf,
  placementsOf,
  planDaemons,
  podSpecOf,
  type Placement,
} from './plan.ts';
import { revisionHashLabel } from './plan-update.ts';

/** Deletes a pod. One that ended is replaced, whatever its end was: it was to run. */
async function endPod(daemons: PodOwner<DaemonSet>, object: DaemonSet, key: string, pod: Pod): Promise<void> {
  const { metadata, spec, status } = pod;
  const where = `daemon pod ${metadata?.namespace ?? ''}/${metadata?.name ?? ''} on node ${spec?.nodeName ?? ''}`;
  const tell = (type: 'Normal' | 'Warning', reason: string, message: string): void =>
    daemons.recorder.record({ kind: daemonSets, object }, type, reason, message);
  if (status?.phase === 'Failed')
    tell('Warning', 'FailedDaemonPod', `Found failed ${where}, will try to kill it`);
  else if (isTerminal(pod))
    tell('Normal', 'SucceededDaemonPod', `Found succeeded ${where}, will try to delete it`);
  await daemons.delete(object, key, pod);
}

/** One pod of each DaemonSet on each node that fits it. */
export function runDaemonSets(context: ControllerContext): Controller {
  const { informers, clock } = context;
  const daemons = new PodOwner(context, {
    kind: daemonSets,
    name: 'daemonset-controller',
    selectorOf,
    countsBy,
  });
  const nodeInformer = informers.for(nodes);
  const revisions = informers.for(controllerRevisions, { indexes: { controller: byController } });

  const failed = new FailedPods();
  const placements = new Placements((generation) => failed.forget(generation));

  const reconcile = async (daemonSet: DaemonSet, key: string): Promise<KeyOutcome | void> => {
    if (daemonSet.metadata?.deletionTimestamp !== undefined) return;
    const selector = labelSelectorFromObject(daemonSet.spec?.selector);
    if (selector.requirements.length === 0) return;
    const owned = await daemons.claim(daemonSet);
    const pods = owned.list();
    const { hash, ...counted } = await ensureRevision(context, revisions, {
      kind: daemonSets,
      owner: daemonSet,
      template: daemonSet.spec?.template ?? {},
      selector,
      historyLimit: daemonSet.spec?.revisionHistoryLimit ?? 10,
      hashLabel: revisionHashLabel,
      usedHashes: new Set(pods.map(({ metadata }) => metadata?.labels?.[revisionHashLabel] ?? '')),
      collisionCount: daemonSet.status?.collisionCount,
    });
    const deletedUids = new Set(daemons.deletedAmong(key, owned).keys());
    const placement = placements.of(daemonSet, key);
    const more = { nodes: nodeInformer.list(), hash, deletedUids, placement };
    const whose = generationOf(daemonSet);
    const failedWaitMs = (node: string): number => failed.waitMs(whose, node, clock.monotonic());
    const plan = planDaemons({ daemonSet, pods, ...more, nowMs: clock.now(), failedWaitMs });
    for (const pod of plan.deletePods) {
      await endPod(daemons, daemonSet, key, pod);
      if (pod.status?.phase === 'Failed') failed.noteReplaced(whose, nodeNameOf(pod), clock.monotonic());
    }
    const podOn = podsOf(daemonSet, hash);
    const error = await daemons.createAll(daemonSet, plan.createOn.length, (nth) =>
      podOn(plan.createOn[nth]),
    );
    const nowMs = clock.now();
    await daemons.writeStatus(key, (latest, now) => ({
      ...latest,
      status: computeDaemonStatus({
        daemonSet: latest,
        pods: now.list(),
        ...{ ...more, ...counted, nowMs },
        nodes: nodeInformer.list(),
        placement: placements.of(latest, key),
      }),
    }));
    if (error !== undefined) throw error;
    const available = daemons.againWhenAvailable(daemons.ownedBy(daemonSet), nowMs);
    return sooner(available, plan.againInMs);
  };
  const forget = async (daemonSet: DaemonSet | undefined, key: string): Promise<void> => {
    if (daemonSet === undefined) placements.forget(key);
  };
  const sources = [
    source(nodeInformer, ({ old, current }) =>
      isSameToDaemons(old, current) ? [] : daemons.owners.list().map(objectKey),
    ),
    onlySynced(revisions),
  ];
  return daemons.run(reconcile, sources, forget);
}

/** Where the pods of each DaemonSet are to be, as long as it is of one generation. */
class Placements {
  readonly #known = new Map<
    string,
    { readonly generation: string; readonly of: (node: Node) => Placement }
  >();
  readonly #onForgotten: (generation: string) => void;

  constructor(onForgotten: (generation: string) => void) {
    this.#onForgotten = onForgotten;
  }

  of(daemonSet: DaemonSet, key: string): (node: Node) => Placement {
    const generation = generationOf(daemonSet);
    const known = this.#known.get(key);
    if (known?.generation === generation) return known.of;
    this.forget(key);
    const of = placementsOf(daemonSet);
    this.#known.set(key, { generation, of });
    return of;
  }

  forget(key: string): void {
    const known = this.#known.get(key);
    if (known !== undefined) this.#onForgotten(known.generation);
    this.#known.delete(key);
  }
}

/** A DaemonSet as it is asked for. */
function generationOf({ metadata }: DaemonSet): string {
  return `${metadata?.uid} ${metadata?.generation}`;
}

function sooner(outcome: KeyOutcome | undefined, againInMs: number | undefined): KeyOutcome | undefined {
  if (againInMs === undefined) return outcome;
  const afterMs = outcome?.kind === 'again' ? Math.min(outcome.afterMs, againInMs) : againInMs;
  return { kind: 'again', afterMs };
}

/** By what pods of a DaemonSet were told apart before they had revisions; both are still written (util.CreatePodTemplate). */
const templateGenerationAnnotation = 'deprecated.daemonset.template.generation';
const templateGenerationLabel = 'pod-template-generation';

/** A pod for each node, of this revision. */
function podsOf(daemonSet: DaemonSet, hash: string): (node: Parameters<typeof podSpecOf>[1]) => Pod {
  const base = podFromTemplate(daemonSets, daemonSet, daemonSet.spec?.template ?? {});
  const generation = daemonSet.metadata?.annotations?.[templateGenerationAnnotation];
  const labels = {
    ...base.metadata?.labels,
    ...(generation === undefined ? {} : { [templateGenerationLabel]: generation }),
    [revisionHashLabel]: hash,
  };
  const metadata = { ...base.metadata, labels };
  return (node) => ({ ...base, metadata, spec: podSpecOf(daemonSet, node) });
}

function isSameToDaemons(old: Node | undefined, current: Node | undefined): boolean {
  const relevant = (node: Node | undefined): unknown =>
    node === undefined ? null : [node.metadata?.labels, node.spec?.taints, node.status?.allocatable];
  return equalJson(relevant(old), relevant(current));
}

function countsBy({ spec }: DaemonSet): ReturnType<NonNullable<PodOwnerOptions<DaemonSet>['countsBy']>> {
  return { template: spec?.template ?? {}, minReadySeconds: spec?.minReadySeconds ?? 0 };
}
