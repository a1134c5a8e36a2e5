/** Where pods would land, by the scheduler's own decisions, one after another on a copy of the cluster. Pure. */
import type { Namespace, Pod, PodGroup, ResourceQuota } from '#api/generated/objects.ts';
import { objectKey } from '#api/meta/object.ts';
import {
  addQuantity,
  compareQuantity,
  formatQuantity,
  parseQuantity,
  zeroQuantity,
  type Quantity,
} from '#api/meta/quantity.ts';
import { isInScope } from '#api/quota/scope.ts';
import { isCountedBy, usageIn, usageOf } from '#api/quota/usage.ts';
import { podGroupKeyOf } from '#api/pod/scheduling-group.ts';
import { isTerminal } from '#api/pod/state.ts';
import { offeredTo } from '#api/volume/claim.ts';
import { objectOf } from '#api/wire/json.ts';
import { createClusterCache, type ClusterCache } from '#control-plane/scheduler/cluster-cache.ts';
import { decide, type Decision } from '#control-plane/scheduler/decide.ts';
import { Budgets } from '#control-plane/scheduler/preempt/budgets.ts';
import { planPreemption } from '#control-plane/scheduler/preempt/plan-preemption.ts';
import { ineligibility, preemptionNote } from '#control-plane/scheduler/preempt/preemption-note.ts';
import { priorityOf, type Snapshot } from '#control-plane/scheduler/snapshot.ts';
import type { VolumeLookUp } from '#control-plane/scheduler/volumes/look-up.ts';
import { claimsFor, planVolumes } from '#control-plane/scheduler/volumes/plan-volumes.ts';
import { groupsBroken, planGang } from './gangs.ts';
import type { ClaimOutcome, Evicted, Landing, Observed, WantedPod } from './observed.ts';

/** Pods that nobody else asks for (a `schedulerName`) are decided by somebody else. */
const schedulerName = 'default-scheduler';

/** Each pod in its turn: those before it have taken their room, and those that they evict are gone. */
export function planLandings(wanted: readonly WantedPod[], observed: Observed): readonly Landing[] {
  const state = createState(observed);
  const gangs = new Map<string, ReadonlyMap<string, Outcome>>();
  return wanted.map((one) => {
    const { of, pod, refusal } = one;
    const name = objectKey(pod);
    const quota = refusal ?? state.quotas.refuse(pod);
    if (quota !== undefined) return { pod: name, of, result: 'refused', reason: quota };
    const key = podGroupKeyOf(pod);
    if (key === undefined || !isDecided(pod)) return { pod: name, of, ...land(pod, state) };
    // The first that comes takes the others of its group along.
    const gang =
      gangs.get(key) ??
      landGang(
        key,
        wanted.filter((other) => isOfGang(other, key)),
        state,
      );
    gangs.set(key, gang);
    return { pod: name, of, ...(gang.get(name) ?? waits(`PodGroup ${key} does not fit`)) };
  });
}

/** Whether it is the scheduler's to find a node for it. */
function isDecided({ spec }: Pod): boolean {
  return (
    (spec?.nodeName ?? '') === '' &&
    (spec?.schedulingGates ?? []).length === 0 &&
    (spec?.schedulerName ?? schedulerName) === schedulerName &&
    (spec?.resourceClaims ?? []).length === 0
  );
}

function isOfGang({ pod, refusal }: WantedPod, key: string): boolean {
  return refusal === undefined && podGroupKeyOf(pod) === key && isDecided(pod);
}

const waits = (reason: string): Outcome => ({ result: 'waits', reason });

/** What becomes of each of its pods, by name. Who goes for it is told with its first. */
function landGang(key: string, wanted: readonly WantedPod[], state: State): ReadonlyMap<string, Outcome> {
  const members = wanted.map(({ pod }) => pod);
  const all = (outcome: (pod: Pod) => Outcome): ReadonlyMap<string, Outcome> =>
    new Map(members.map((pod) => [objectKey(pod), outcome(pod)]));
  const group = state.groupOf(key);
  if (group === undefined)
    return all(() =>
      waits(`waiting for pod's pod group "${key.slice(key.indexOf('/') + 1)}" to appear in scheduling queue`),
    );
  const context = { group, members, scheduledCount: onNodes(key, state).length, budgets: state.budgets };
  const plan = planGang({ ...context, snapshot: snapshotNow(state), groupOf: state.groupOf });
  const placed = new Map(plan.placed.map(({ pod, nodeName }) => [objectKey(pod), nodeName]));
  if (plan.kind === 'waits') {
    const own = placed.size > 0 ? `${plan.why}; it finds one itself` : plan.why;
    return all((pod) => waits(placed.has(objectKey(pod)) ? own : plan.why));
  }
  const evicted = evict(plan.victims, state);
  return all((pod) => {
    const nodeName = placed.get(objectKey(pod));
    if (nodeName === undefined) return land(pod, state);
    return place(pod, nodeName, state, evicted.splice(0));
  });
}

/** Pods of a group that are on nodes, or were put there. */
function onNodes(key: string, { cache }: State): readonly Pod[] {
  return cache.nodes().flatMap(({ pods }) => [...pods.values()].filter((pod) => podGroupKeyOf(pod) === key));
}

/** They are gone then. */
function evict(victims: readonly Pod[], state: State): Evicted[] {
  const allowed = new Budgets(state.budgets);
  const broken = groupsBroken(victims, { groupOf: state.groupOf, podsOf: (key) => onNodes(key, state) });
  for (const victim of victims) state.cache.setPod(objectKey(victim), undefined);
  return victims.map((victim) => {
    const key = podGroupKeyOf(victim);
    return {
      pod: objectKey(victim),
      breaksBudget: !allowed.allow(victim),
      ...(key !== undefined && broken.has(key) ? { breaksGroup: key } : {}),
    };
  });
}

interface State {
  readonly cache: ClusterCache;
  readonly snapshot: Snapshot;
  readonly budgets: Observed['budgets'];
  readonly quotas: Quotas;
  readonly groupOf: (key: string) => PodGroup | undefined;
  readonly taken: Map<string, string>;
  readonly chosen: Map<string, string>;
  start: number;
}

type Outcome = Landing extends infer L ? (L extends Landing ? Omit<L, 'pod' | 'of'> : never) : never;

function land(pod: Pod, state: State): Outcome {
  const { spec } = pod;
  if (spec?.nodeName !== undefined && spec.nodeName !== '') return place(pod, spec.nodeName, state, []);
  if ((spec?.schedulingGates ?? []).length > 0)
    return waits('Scheduling is blocked due to non-empty scheduling gates');
  if ((spec?.schedulerName ?? schedulerName) !== schedulerName)
    return waits(`scheduler ${JSON.stringify(spec?.schedulerName)} decides, which is not asked`);
  if ((spec?.resourceClaims ?? []).length > 0)
    return waits('it has claims of devices, which are not looked at here');
  const { cache } = state;
  const decision = decide({ pod, snapshot: snapshotNow(state) }, state.start);
  state.start = (state.start + decision.examined) % Math.max(1, cache.nodes().length);
  if (decision.kind === 'node') return place(pod, decision.nodeName, state, []);
  return preempt(pod, decision, state);
}

/** With the pods that were decided so far. */
function snapshotNow({ snapshot, cache }: State): Snapshot {
  return {
    ...snapshot,
    nodes: cache.nodes(),
    antiAffineNodes: cache.antiAffineNodes(),
    affineNodes: cache.affineNodes(),
    nodesWithImage: cache.nodesWithImage,
    nodesBelow: cache.nodesBelow,
  };
}

function preempt(pod: Pod, decision: Extract<Decision, { kind: 'unschedulable' }>, state: State): Outcome {
  const { budgets } = state;
  const waitsFor = (why: string | ReadonlyMap<string, number>): Outcome =>
    waits(decision.message + preemptionNote(pod, decision, why));
  const ineligible = ineligibility(pod, false);
  if (ineligible !== '') return waitsFor(ineligible);
  const nodes = decision.helpedByEviction;
  if (!nodes.some(({ lowestPriority }) => lowestPriority < priorityOf(pod))) {
    const noVictims: [string, number] = ['No preemption victims found for incoming pod', nodes.length];
    return waitsFor(new Map(nodes.length === 0 ? [] : [noVictims]));
  }
  const steps = planPreemption({ pod, snapshot: snapshotNow(state), nodes, budgets });
  let step = steps.next();
  while (step.done !== true) step = steps.next();
  const plan = step.value;
  if (plan.kind === 'none') return waitsFor(plan.reasons);
  return place(pod, plan.nodeName, state, evict(plan.victims, state));
}

/** Takes the room of the pod, and its volumes. */
function place(pod: Pod, nodeName: string, state: State, evicts: readonly Evicted[]): Outcome {
  const { cache, snapshot } = state;
  const node = cache.node(nodeName)?.node;
  if (node === undefined) return { result: 'waits', reason: `there is no node ${JSON.stringify(nodeName)}` };
  const claims: ClaimOutcome[] = [];
  const look = snapshot.volumes;
  const found = look === undefined ? undefined : claimsFor(pod, look);
  if (look !== undefined && found !== undefined && typeof found !== 'string' && found.waiting.length > 0) {
    const plan = planVolumes(found, node, look);
    if (!('reasons' in plan)) {
      for (const { claim, volume } of plan.bind) {
        const volumeName = volume.metadata?.name ?? '';
        state.taken.set(volumeName, objectKey(claim));
        claims.push({ claim: objectKey(claim), volume: volumeName });
      }
      for (const claim of plan.provision) claims.push({ claim: objectKey(claim) });
      for (const { claim } of claims) state.chosen.set(claim, nodeName);
    }
  }
  cache.assume({ ...pod, spec: { containers: [], ...pod.spec, nodeName } }, nodeName);
  state.quotas.take(pod);
  return { result: 'lands', node: nodeName, evicts, claims };
}

function createState(observed: Observed): State {
  const cache = createClusterCache();
  for (const node of observed.nodes) cache.setNode(objectKey(node), node);
  for (const pod of observed.pods)
    if ((pod.spec?.nodeName ?? '') !== '' && !isTerminal(pod)) cache.setPod(objectKey(pod), pod);
  const [taken, chosen] = [new Map<string, string>(), new Map<string, string>()];
  const labels = new Map(
    observed.namespaces.map((one: Namespace) => [one.metadata?.name, one.metadata?.labels]),
  );
  const services = Map.groupBy(observed.services, ({ metadata }) => metadata?.namespace ?? '');
  const snapshot: Snapshot = {
    nodes: [],
    nodeNamed: cache.node,
    services: (namespace) => services.get(namespace) ?? [],
    volumes: lookUp(observed, { cache, taken, chosen }),
    namespaceLabels: (namespace) => labels.get(namespace) ?? {},
  };
  return {
    cache,
    snapshot,
    budgets: observed.budgets,
    quotas: new Quotas(observed.quotas),
    groupOf: (key) => observed.podGroups.find((group) => objectKey(group) === key),
    taken,
    chosen,
    start: 0,
  };
}

function lookUp(
  { claims, volumes, classes, csiNodes, csiDrivers, capacities }: Observed,
  { cache, taken, chosen }: Pick<State, 'cache' | 'taken' | 'chosen'>,
): VolumeLookUp {
  const byKey = <T extends Parameters<typeof objectKey>[0]>(all: readonly T[]): ReadonlyMap<string, T> =>
    new Map(all.map((one) => [objectKey(one), one]));
  const [claimOf, volumeOf, classOf] = [byKey(claims), byKey(volumes), byKey(classes)];
  const [csiNodeOf, driverOf] = [byKey(csiNodes), byKey(csiDrivers)];
  const offered = Map.groupBy(volumes, offeredTo);
  return {
    claim: (key) => claimOf.get(key),
    volume: (name) => volumeOf.get(name),
    storageClass: (name) => classOf.get(name),
    offered: (className, key) => [
      ...(offered.get(`claim/${key}`) ?? []),
      ...(offered.get(`class/${className}`) ?? []),
    ],
    isTaken: (volume, key) => (taken.get(volume.metadata?.name ?? '') ?? key) !== key,
    chosenNode: (key) => chosen.get(key),
    usedOn: cache.claimUsedOn,
    csiNode: (name) => csiNodeOf.get(name),
    csiDriver: (name) => driverOf.get(name),
    capacities: (className) => capacities.filter(({ storageClassName }) => storageClassName === className),
  };
}

const podName = { group: '', resource: 'pods' } as const;

/** What quotas have left for pods: the server was asked of each kind of pod once, and they come by the number. */
class Quotas {
  readonly #quotas: readonly ResourceQuota[];
  /** By quota and resource: what pods before took. */
  readonly #taken = new Map<string, Quantity>();

  constructor(quotas: readonly ResourceQuota[]) {
    this.#quotas = quotas;
  }

  /** In the server's words; undefined: there is room. */
  refuse(pod: Pod): string | undefined {
    for (const quota of this.#of(pod)) {
      const over = this.#resources(quota, pod).filter(
        ({ used, asked, limit }) => compareQuantity(addQuantity(used, asked), limit) > 0,
      );
      if (over.length === 0) continue;
      const list = (which: 'asked' | 'used' | 'limit'): string =>
        over.map((one) => `${one.name}=${formatQuantity(one[which])}`).join(',');
      const name = quota.metadata?.name ?? '';
      return `exceeded quota: ${name}, requested: ${list('asked')}, used: ${list('used')}, limited: ${list('limit')}`;
    }
    return undefined;
  }

  take(pod: Pod): void {
    for (const quota of this.#of(pod))
      for (const { name, asked } of this.#resources(quota, pod)) {
        const key = `${objectKey(quota)}/${name}`;
        this.#taken.set(key, addQuantity(this.#taken.get(key) ?? zeroQuantity, asked));
      }
  }

  #of(pod: Pod): readonly ResourceQuota[] {
    return this.#quotas.filter(
      (quota) =>
        quota.metadata?.namespace === pod.metadata?.namespace &&
        isInScope(objectOf(quota), podName, objectOf(pod)),
    );
  }

  #resources(
    quota: ResourceQuota,
    pod: Pod,
  ): readonly {
    readonly name: string;
    readonly used: Quantity;
    readonly asked: Quantity;
    readonly limit: Quantity;
  }[] {
    const usage = usageOf(podName, objectOf(pod), -Infinity);
    return Object.entries(quota.spec?.hard ?? {})
      .filter(([name]) => isCountedBy(podName, name))
      .map(([name, limit]) => ({
        name,
        asked: usageIn(usage, name),
        used: addQuantity(
          parseQuantity(quota.status?.used?.[name] ?? '0'),
          this.#taken.get(`${objectKey(quota)}/${name}`) ?? zeroQuantity,
        ),
        limit: parseQuantity(limit),
      }))
      .filter(({ asked }) => compareQuantity(asked, zeroQuantity) > 0);
  }
}
