import type { Pod, PodCondition, PodStatus } from '#api/generated/objects.ts';
import { formatTime } from '#api/meta/time.ts';
import type { PodObservation } from '#agent/runtime/runtime.ts';
import { podResources } from './pod-resources.ts';
import { containerStatus, type StatusContext } from './container-status.ts';
import {
  exitOf,
  hasStarted,
  isReady,
  isRunning,
  viewContainers,
  type ContainerView,
} from '#agent/kubelet/sync/container-view.ts';
import { podEndOf, startTimeMs, type PodEnd } from '#agent/kubelet/sync/pod-end.ts';
import { isEnding } from '#agent/kubelet/sync/plan.ts';
import type { PodDesired, KnownFacts } from '#agent/kubelet/sync/pod-input.ts';
import { isResizing } from '#agent/kubelet/render/resize.ts';
import { qosClassOf } from '#agent/kubelet/render/resources.ts';

/** The status that a pod should have. Pure; times of transitions are kept from the reported conditions that did not change. */
export function status(
  desired: PodDesired,
  actual: PodObservation,
  now: number,
  facts: KnownFacts,
): PodStatus {
  const { pod } = desired;
  const views = viewContainers(pod, actual);
  const end = podEndOf(pod, views, now, facts);
  const isInitialized = initializedOf(views, facts);
  const isOver = end !== undefined || isEnding(desired);
  const hasRecursiveReadOnly = actual.sandbox?.handler?.features.recursiveReadOnlyMounts;
  const context: StatusContext = { pod, now, facts, isOver, isInitialized, hasRecursiveReadOnly };
  const phase = phaseOf({ pod, views, end, isInitialized, isEnding: isEnding(desired) });
  const ips = addressesOf(pod, actual, facts);
  const ofKind = (...kinds: readonly string[]): PodStatus['containerStatuses'] =>
    views.filter((view) => kinds.includes(view.kind)).map((view) => containerStatus(view, context));
  const initStatuses = ofKind('init', 'sidecar') ?? [];
  const ephemeralStatuses = ofKind('ephemeral') ?? [];
  const [hostIp] = facts.hostIps;
  return {
    phase,
    ...(end?.phase === phase ? reasonOf(end) : {}),
    conditions: conditionsOf({ context, views, actual, phase }),
    ...(hostIp === undefined ? {} : { hostIP: hostIp, hostIPs: facts.hostIps.map((ip) => ({ ip })) }),
    ...(ips[0] === undefined ? {} : { podIP: ips[0], podIPs: ips.map((ip) => ({ ip })) }),
    startTime: formatTime(startTimeMs(pod, facts)),
    qosClass: pod.status?.qosClass ?? qosClassOf(pod),
    ...(initStatuses.length === 0 ? {} : { initContainerStatuses: initStatuses }),
    // None for a refused pod: clients show a waiting container rather than the reason of the pod.
    ...(facts.rejection === undefined ? { containerStatuses: ofKind('main') } : {}),
    ...(ephemeralStatuses.length === 0 ? {} : { ephemeralContainerStatuses: ephemeralStatuses }),
    ...podResources(pod, views, facts),
    ...(pod.metadata?.generation === undefined ? {} : { observedGeneration: pod.metadata.generation }),
  };
}

function reasonOf({ reason, message }: PodEnd): Pick<PodStatus, 'reason' | 'message'> {
  return { ...(reason === undefined ? {} : { reason }), ...(message === undefined ? {} : { message }) };
}

/** All init containers are done and all sidecars have started; once the main containers ran, it stays so. */
function initializedOf(views: readonly ContainerView[], facts: KnownFacts): boolean {
  if (views.some((view) => view.kind === 'main' && view.current !== undefined)) return true;
  return views.every((view) => {
    if (view.kind === 'sidecar')
      return hasStarted(view, facts) || (!view.isOutdated && view.reported?.started === true);
    if (view.kind !== 'init') return true;
    if (view.isOutdated) return false; // It is to run again.
    const run = view.current ?? view.latest;
    if (run === undefined) return view.reported?.state?.terminated?.exitCode === 0;
    return run.state.state === 'exited' && run.state.exitCode === 0;
  });
}

interface PhaseInput {
  readonly pod: Pod;
  readonly views: readonly ContainerView[];
  readonly end: PodEnd | undefined;
  readonly isInitialized: boolean;
  readonly isEnding: boolean;
}

/** The rules of the kubelet's getPhase. A pod is over only when nothing of it runs any more. */
function phaseOf({ pod, views, end, isInitialized, isEnding }: PhaseInput): NonNullable<PodStatus['phase']> {
  const reported = pod.status?.phase;
  if (reported === 'Succeeded' || reported === 'Failed') return reported;
  const runs = views.filter((view) => view.kind !== 'ephemeral');
  const isQuiet = !runs.some(isRunning);
  if (end !== undefined && isQuiet) return end.phase;
  const mains = views.filter((view) => view.kind === 'main');
  // What has not run by then never will: it counts as failed, and a Job learns that its pod is over.
  if (isEnding && isQuiet) {
    return mains.every((view) => exitOf(view)?.exitCode === 0) ? 'Succeeded' : 'Failed';
  }
  if (!isInitialized) return reported === 'Running' ? 'Running' : 'Pending';
  return mains.every((view) => view.latest !== undefined || view.reported?.containerID !== undefined)
    ? 'Running'
    : 'Pending';
}

/** The sandbox's addresses, the node's with hostNetwork; what was reported last once the sandbox is gone. */
function addressesOf(pod: Pod, actual: PodObservation, facts: KnownFacts): readonly string[] {
  const reported = (pod.status?.podIPs ?? []).map(({ ip }) => ip);
  if (actual.sandbox === undefined) return reported;
  if (pod.spec?.hostNetwork === true) return facts.hostIps;
  return actual.sandbox.ips.length > 0 ? actual.sandbox.ips : reported;
}

interface ConditionInput {
  readonly context: StatusContext;
  readonly views: readonly ContainerView[];
  readonly actual: PodObservation;
  readonly phase: NonNullable<PodStatus['phase']>;
}

interface Verdict {
  readonly type: string;
  readonly isTrue: boolean;
  readonly reason?: string | undefined;
  readonly message?: string | undefined;
  /** Of the spec that it is about; the newest unless said. */
  readonly generation?: number | undefined;
}

/** While all containers are restarted in place (KEP-5532). */
const restartingAll = 'AllContainersRestarting';

/** Conditions that are there while they are true, and go. */
export function isResizeCondition(type: string): boolean {
  return type === 'PodResizePending' || type === 'PodResizeInProgress' || type === restartingAll;
}

/** A resize that is not given (yet); and one that was given and is not in the cgroups yet (KEP-1287, Resize Status). */
function resizeVerdicts({ context, views, actual }: ConditionInput): readonly Verdict[] {
  const { resize } = context.facts;
  const { pending, failure, generation } = resize;
  const isUnderWay = actual.sandbox?.state === 'ready' && isResizing(context.pod, views, resize);
  const error = failure === undefined ? {} : { reason: 'Error', message: failure.message };
  return [
    ...(pending === undefined ? [] : [{ type: 'PodResizePending', isTrue: true, ...pending }]),
    ...(isUnderWay ? [{ type: 'PodResizeInProgress', isTrue: true, generation, ...error }] : []),
  ];
}

function conditionsOf(input: ConditionInput): readonly PodCondition[] {
  const { pod, now } = input.context;
  const reported = pod.status?.conditions ?? [];
  const isOver = input.phase === 'Succeeded' || input.phase === 'Failed';
  const containers = isOver ? overVerdict(input, 'ContainersReady') : containersReady(input);
  const own: readonly Verdict[] = [
    { type: 'PodReadyToStartContainers', isTrue: input.actual.sandbox?.state === 'ready' },
    isOver && input.phase === 'Succeeded' ? overVerdict(input, 'Initialized') : initialized(input),
    isOver ? overVerdict(input, 'Ready') : ready(input, containers),
    containers,
    { type: 'PodScheduled', isTrue: true },
    ...(isOver ? [] : resizeVerdicts(input)),
    ...disruption(input),
    ...(isOver || !input.views.some(({ isOutdated }) => isOutdated)
      ? []
      : [{ type: restartingAll, isTrue: true, reason: 'RestartAllContainersStarted' }]),
  ];
  const others = reported.filter(
    ({ type }) => !own.some((verdict) => verdict.type === type) && !isResizeCondition(type),
  );
  return [
    ...own.map((verdict) =>
      condition(
        verdict,
        reported.find(({ type }) => type === verdict.type),
        pod,
        now,
      ),
    ),
    ...others,
  ];
}

function condition(verdict: Verdict, old: PodCondition | undefined, pod: Pod, now: number): PodCondition {
  const state = verdict.isTrue ? 'True' : 'False';
  const generation = verdict.generation ?? pod.metadata?.generation;
  return {
    type: verdict.type,
    status: state,
    lastProbeTime: old?.lastProbeTime,
    lastTransitionTime: old?.status === state ? (old.lastTransitionTime ?? formatTime(now)) : formatTime(now),
    ...(verdict.reason === undefined ? {} : { reason: verdict.reason }),
    ...(verdict.message === undefined ? {} : { message: verdict.message }),
    ...(generation === undefined ? {} : { observedGeneration: generation }),
  };
}

/** The node ended it. */
function disruption({ context: { facts } }: ConditionInput): readonly Verdict[] {
  const { rejection } = facts;
  if (rejection?.isDisruption !== true) return [];
  return [
    { type: 'DisruptionTarget', isTrue: true, reason: 'TerminationByKubelet', message: rejection.message },
  ];
}

function overVerdict(input: ConditionInput, type: string): Verdict {
  if (input.phase === 'Failed') return { type, isTrue: false, reason: 'PodFailed' };
  return { type, isTrue: type === 'Initialized', reason: 'PodCompleted' };
}

function initialized({ context, views }: ConditionInput): Verdict {
  const type = 'Initialized';
  if (context.isInitialized) return { type, isTrue: true };
  const missing = views.filter(
    (view) =>
      (view.kind === 'init' && !(exitOf(view)?.exitCode === 0)) ||
      (view.kind === 'sidecar' && !hasStarted(view, context.facts)),
  );
  const names = missing.map(({ name }) => name).join(' ');
  const message = `containers with incomplete status: [${names}]`;
  return { type, isTrue: false, reason: 'ContainersNotInitialized', message };
}

function containersReady({ context, views }: ConditionInput): Verdict {
  const type = 'ContainersReady';
  const wanted = views.filter((view) => view.kind === 'main' || view.kind === 'sidecar');
  const unready = wanted.filter((view) => !isReady(view, context.facts)).map(({ name }) => name);
  if (unready.length === 0) return { type, isTrue: true };
  const message = `containers with unready status: [${unready.join(' ')}]`;
  return { type, isTrue: false, reason: 'ContainersNotReady', message };
}

/** Ready is ContainersReady and every readiness gate. */
function ready({ context }: ConditionInput, containers: Verdict): Verdict {
  const type = 'Ready';
  if (!containers.isTrue) return { ...containers, type };
  const { pod } = context;
  const messages = (pod.spec?.readinessGates ?? []).flatMap(({ conditionType }) => {
    const found = pod.status?.conditions?.find((c) => c.type === conditionType);
    if (found === undefined)
      return [`corresponding condition of pod readiness gate "${conditionType}" does not exist.`];
    if (found.status === 'True') return [];
    return [`the status of pod readiness gate "${conditionType}" is not "True", but ${found.status}`];
  });
  if (messages.length === 0) return { type, isTrue: true };
  return { type, isTrue: false, reason: 'ReadinessGatesNotReady', message: messages.join(', ') };
}
