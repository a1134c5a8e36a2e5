import type { Pod, PodCondition, PodDisruptionBudget, PodGroup } from '#api/generated/objects.ts';
import { objectKey } from '#api/meta/object.ts';
import { formatTime } from '#api/meta/time.ts';
import { observedCondition } from '#api/pod/observed-condition.ts';
import { podGroupKeyOf } from '#api/pod/scheduling-group.ts';
import { podDisruptionBudgets, pods } from '#api/schema/kind-ref.ts';
import type { Clock } from '#base/clock.ts';
import { describeError } from '#base/errors.ts';
import type { Logger } from '#base/log.ts';
import { inSlices } from '#base/time-slice.ts';
import { createTurns } from '#base/turns.ts';
import { isConflict, isNotFound } from '#client/api-error.ts';
import type { ApiClient, Informer } from '#client/client.ts';
import type { EventRecorder } from '#client/event-recorder.ts';
import type { Informers } from '#client/informers.ts';
import type { Decision } from '#control-plane/scheduler/decide.ts';
import {
  groupPriority,
  planGangPreemption,
  type GangPreemptionPlan,
} from '#control-plane/scheduler/gang/plan-gang-preemption.ts';
import { writeCondition } from '#control-plane/scheduler/gang/tell-group.ts';
import type { SchedulerMetrics } from '#control-plane/scheduler/metrics/scheduler-metrics.ts';
import type { Outsider, VictimsOn } from '#control-plane/scheduler/outside/outsider.ts';
import type { Profile } from '#control-plane/scheduler/plugin.ts';
import { defaultProfile } from '#control-plane/scheduler/profile.ts';
import { schedulerNameOf } from '#control-plane/scheduler/scheduler-parts.ts';
import { priorityOf, type NodeInfo, type Snapshot } from '#control-plane/scheduler/snapshot.ts';
import { Nominations } from './nominations.ts';
import { findCandidates, pickPlan, type PreemptionPlan } from './plan-preemption.ts';
import { ineligibility, preemptionNote } from './preemption-note.ts';

type Unschedulable = Extract<Decision, { kind: 'unschedulable' }>;

export interface PreemptorParts {
  readonly informers: Informers;
  readonly client: ApiClient;
  readonly recorderFor: (schedulerName: string) => EventRecorder;
  readonly logger: Logger;
  readonly clock: Clock;
  readonly profiles: ReadonlyMap<string, Profile>;
  readonly node: (name: string) => NodeInfo | undefined;
  readonly snapshot: () => Snapshot;
  readonly metrics: SchedulerMetrics;
  /** A PodGroup by `namespace/name`. */
  readonly groupOf: (key: string) => PodGroup | undefined;
  /** Whether the pod still waits for a node. */
  readonly isWaiting: (pod: Pod) => boolean;
  /** Who else is asked from which nodes pods may go. */
  readonly outsiders: readonly Outsider[];
  /** What was kept for the pod on a node is for others again. */
  readonly onFreed: (pod: Pod) => void;
}

/** What becomes of a gang that does not fit: what is said of preemption, and who goes; undefined: nobody. */
export interface GangPreempted {
  readonly why: string;
  readonly plan: Extract<GangPreemptionPlan, { kind: 'victims' }> | undefined;
}

/** What becomes of a pod that no node does for. */
export interface Preempted {
  readonly message: string;
  /** Whom it waits for; undefined: nobody goes for it. */
  readonly plan: Extract<PreemptionPlan, { kind: 'victims' }> | undefined;
}

const preemptionReason = 'PreemptionByScheduler';

/** Evicts pods of lower priority for those that find no node. One pod at a time: two would choose the same victims. */
export class Preemptor {
  readonly nominations: Nominations;
  readonly #parts: PreemptorParts;
  readonly #budgets: Informer<PodDisruptionBudget>;
  readonly #turns = createTurns();
  /** Where the next pod begins to look for victims, so that where there are many nodes each has its turn (kube-scheduler begins anywhere). */
  #nextNode = 0;
  /** Pods whose victims are being chosen or told, and whether another try of them came meanwhile: none is made. */
  readonly #busy = new Map<string, { isMissed: boolean }>();

  constructor(parts: PreemptorParts) {
    this.#parts = parts;
    this.#budgets = parts.informers.for(podDisruptionBudgets);
    this.nominations = new Nominations(parts.onFreed);
  }

  get budgets(): Informer<PodDisruptionBudget> {
    return this.#budgets;
  }

  /** Whether victims of the pod are being chosen or told, so that it is not tried now. */
  isBusy(key: string): boolean {
    return this.#busy.has(key);
  }

  /** The same, of a pod that is to be tried: it will be, once that is done (`during`). */
  putsOff(key: string): boolean {
    const busy = this.#busy.get(key);
    if (busy !== undefined) busy.isMissed = true;
    return busy !== undefined;
  }

  /** What is said to the pod, and who goes for it; at once where nobody can. */
  plan(pod: Pod, decision: Unschedulable): Preempted | Promise<Preempted> {
    const { helpedByEviction: nodes } = decision;
    const noted = (why: string | ReadonlyMap<string, number> | undefined): Preempted => ({
      message: decision.message + preemptionNote(pod, decision, why),
      plan: undefined,
    });
    if (this.#profileOf(pod).preemption === undefined) return noted(undefined);
    // A node that would not do without its pods either is nothing to wait for.
    const nominatedTo = this.nominations.nodeOf(objectKey(pod));
    const mayStillDo = nodes.some(({ name }) => name === nominatedTo);
    const ineligible = ineligibility(pod, mayStillDo && this.#isAwaited(pod));
    if (ineligible !== '') return noted(ineligible);
    const told = (reasons: ReadonlyMap<string, number>): Preempted => {
      this.nominations.remove(objectKey(pod)); // It waits for nobody any more.
      return noted(reasons);
    };
    const isHopeless = !nodes.some(({ lowestPriority }) => lowestPriority < priorityOf(pod));
    return isHopeless ? told(withoutVictims(nodes.length)) : this.#planInTurn(pod, decision, told);
  }

  /** Tells the victims to go. What fails is tried again with the pod. */
  async evict(pod: Pod, { nodeName, victims }: NonNullable<Preempted['plan']>): Promise<void> {
    const recorder = this.#parts.recorderFor(schedulerNameOf(pod));
    for (const other of this.nominations.on(nodeName))
      if (priorityOf(other) < priorityOf(pod)) await this.#denominate(other);
    for (const victim of victims) {
      if (
        victim.metadata?.deletionTimestamp !== undefined ||
        !(await this.#remove(
          victim,
          `${schedulerNameOf(pod)}: preempting to accommodate a higher priority pod`,
        ))
      )
        continue;
      const message = `Preempted by pod ${pod.metadata?.uid ?? ''} on node ${nodeName}`;
      recorder.record({ kind: pods, object: victim }, 'Normal', 'Preempted', message);
    }
  }

  /** All that is done for pods whose victims are chosen. @returns whether a try of one of them came meanwhile */
  async during(waiting: readonly Pod[], work: () => Promise<void>): Promise<boolean> {
    const busy = { isMissed: false };
    const keys = waiting.map(objectKey);
    for (const key of keys) this.#busy.set(key, busy);
    try {
      await work();
    } finally {
      for (const key of keys) this.#busy.delete(key);
    }
    return busy.isMissed;
  }

  /**
   * Whom a gang evicts, as one. `wanted`: how many of its pods have to find nodes. Each of them is nominated to where it goes then.
   */
  async planGang(
    group: PodGroup,
    { members, wanted }: { readonly members: readonly Pod[]; readonly wanted: number },
  ): Promise<GangPreempted> {
    const [first] = members;
    const profile = first === undefined ? defaultProfile : this.#profileOf(first);
    if (profile.preemption === undefined)
      return {
        why: 'default preemption plugin is not registered, workload aware preemption is disabled',
        plan: undefined,
      };
    if (members.some((pod) => pod.spec?.preemptionPolicy === 'Never'))
      return { why: 'not eligible due to preemptionPolicy=Never.', plan: undefined };
    if (members.some((pod) => this.#isAwaited(pod, groupPriority(group))))
      return { why: 'not eligible due to a terminating pod on the nominated node.', plan: undefined };
    using _turn = await this.#turns.take('');

    const { groupOf, snapshot } = this.#parts;
    const budgets = this.#budgets.list();
    const context = { group, members, wanted, snapshot: snapshot(), profile, budgets, groupOf };
    const plan = await inSlices(planGangPreemption(context));
    this.#parts.metrics.preempted(plan.kind === 'none' ? 0 : plan.victims.length);
    const isStale = !members.every((pod) => this.#parts.isWaiting(pod));
    if (plan.kind === 'none' || isStale) {
      for (const pod of members) this.nominations.remove(objectKey(pod));
      return { why: plan.kind === 'none' ? plan.why : 'its pods changed meanwhile', plan: undefined };
    }
    for (const { pod, nodeName } of plan.placed) this.nominations.nominate(pod, nodeName);
    return { why: `found a placement for podgroup, preempting ${plan.victims.length} victims`, plan };
  }

  /** Tells the victims of a gang to go. What fails is tried again with the gang. */
  async evictForGang(group: PodGroup, { victims }: NonNullable<GangPreempted['plan']>): Promise<void> {
    const disrupted = new Map<string, PodGroup>();
    for (const victim of victims) {
      const schedulerName = schedulerNameOf(victim);
      if (victim.metadata?.deletionTimestamp !== undefined) continue;
      const what = 'preempting to accommodate a higher priority pod group';
      if (!(await this.#remove(victim, `${schedulerName}: ${what}`))) continue;
      const by = `Preempted by podgroup ${group.metadata?.uid ?? ''} on node ${victim.spec?.nodeName ?? ''}`;
      this.#parts
        .recorderFor(schedulerName)
        .record({ kind: pods, object: victim }, 'Normal', 'Preempted', by);
      const key = podGroupKeyOf(victim);
      const of = key === undefined ? undefined : this.#parts.groupOf(key);
      if (of?.spec.disruptionMode === 'PodGroup') disrupted.set(objectKey(of), of);
    }
    const lastTransitionTime = formatTime(this.#parts.clock.now());
    for (const of of disrupted.values())
      await writeCondition(this.#parts, of, {
        ...{ type: 'DisruptionTarget', status: 'True', reason: preemptionReason, lastTransitionTime },
        message: 'preempting to accommodate a higher priority pod group',
      });
  }

  async #planInTurn(
    pod: Pod,
    decision: Unschedulable,
    told: (why: ReadonlyMap<string, number>) => Preempted,
  ): Promise<Preempted> {
    using _turn = await this.#turns.take('');

    const nodes = decision.helpedByEviction.flatMap(({ name }) => this.#parts.node(name) ?? []);
    const budgets = this.#budgets.list();
    const profile = this.#profileOf(pod);
    const snapshot = this.#parts.snapshot();
    const start = this.#nextNode % Math.max(1, nodes.length);
    const found = await inSlices(findCandidates({ pod, snapshot, nodes, start, budgets, profile }));
    this.#nextNode = start + found.tried;
    const plan = pickPlan({ ...found, candidates: await this.#allowed(pod, found.candidates) });
    this.#parts.metrics.preempted(plan.kind === 'none' ? 0 : plan.victims.length);
    if (plan.kind === 'none') return told(plan.reasons);
    // The next pod that looks for victims finds this one's place taken.
    if (this.#parts.isWaiting(pod)) this.nominations.nominate(pod, plan.nodeName);
    return { message: decision.message, plan };
  }

  /** Those of the candidates that all who are asked let be. One who does not answer forbids all, unless it is ignorable. */
  async #allowed(pod: Pod, candidates: readonly VictimsOn[]): Promise<readonly VictimsOn[]> {
    let left = candidates;
    for (const { name, isIgnorable, isInterestedIn, preempt } of this.#parts.outsiders) {
      if (left.length === 0 || preempt === undefined || !isInterestedIn(pod)) continue;
      try {
        left = await preempt(pod, left);
      } catch (error) {
        this.#parts.logger.warn({ extender: name, error: describeError(error) }, 'preemption was not asked');
        if (!isIgnorable) return [];
      }
    }
    return left;
  }

  #profileOf(pod: Pod): Profile {
    return this.#parts.profiles.get(schedulerNameOf(pod)) ?? defaultProfile;
  }

  /** Whether victims of it are about to go from the node that it is nominated to. */
  #isAwaited(pod: Pod, priority = priorityOf(pod)): boolean {
    const nodeName = this.nominations.nodeOf(objectKey(pod));
    const node = nodeName === undefined ? undefined : this.#parts.node(nodeName);
    if (node === undefined) return false;
    for (const other of node.pods.values()) {
      if (other.metadata?.deletionTimestamp === undefined || priorityOf(other) >= priority) continue;
      if (other.status?.conditions?.some(isPreempted) === true) return true;
    }
    return false;
  }

  async #denominate(pod: Pod): Promise<void> {
    const key = objectKey(pod);
    this.nominations.remove(key, this.nominations.nodeOf(key)); // Its place is for another, and not free.
    await this.#patchStatus(pod, { nominatedNodeName: null });
  }

  async #remove(victim: Pod, message: string): Promise<boolean> {
    const { client, logger, clock } = this.#parts;
    const { namespace = '', name = '', uid = '' } = victim.metadata ?? {};
    const condition: PodCondition = observedCondition(victim, {
      ...{ type: 'DisruptionTarget', status: 'True', reason: preemptionReason },
      message,
      lastTransitionTime: formatTime(clock.now()),
    });
    if (!(await this.#patchStatus(victim, { conditions: [condition] }))) return false;
    try {
      await client.delete(pods, { namespace, name }, { preconditions: { uid } });
      return true;
    } catch (error) {
      if (!isNotFound(error) && !isConflict(error))
        logger.warn({ pod: objectKey(victim), error: describeError(error) }, 'preempt failed');
      return false;
    }
  }

  async #patchStatus(pod: Pod, status: object): Promise<boolean> {
    const { client, informers, logger } = this.#parts;
    const { namespace = '', name = '', uid } = pod.metadata ?? {};
    try {
      const body = { metadata: { uid }, status };
      const write = { kind: 'strategic', body, subresource: 'status' } as const;
      informers.for(pods).observe(await client.patch(pods, { namespace, name }, write));
      return true;
    } catch (error) {
      if (!isNotFound(error) && !isConflict(error))
        logger.warn(
          { pod: objectKey(pod), error: describeError(error) },
          'write what preemption says failed',
        );
      return false;
    }
  }
}

function isPreempted({ type, status, reason }: PodCondition): boolean {
  return type === 'DisruptionTarget' && status === 'True' && reason === preemptionReason;
}

function withoutVictims(count: number): ReadonlyMap<string, number> {
  return new Map(count === 0 ? [] : [['No preemption victims found for incoming pod', count]]);
}
