import { isConditionTrue } from '#api/meta/condition.ts';
import type { ContainerStateTerminated, ContainerStatus, Pod } from '#api/generated/objects.ts';
import { isSidecar } from '#api/pod/requests.ts';
import { isTerminal } from '#api/pod/state.ts';
import { age, none } from './text.ts';

/** Cells of a pod, as printers/internalversion printPod makes them. */
export function podCells(pod: Pod, now: number): readonly unknown[] {
  const { metadata, spec, status } = pod;
  const summary = summarize(pod);
  const { restarts, lastRestart } = summary;
  const gates = spec?.readinessGates ?? [];
  const passed = gates.filter(({ conditionType }) => isConditionTrue(status?.conditions, conditionType));
  return [
    metadata?.name ?? '',
    `${summary.ready}/${summary.total}`,
    summary.reason,
    restarts > 0 && lastRestart !== undefined ? `${restarts} (${age(lastRestart, now)} ago)` : `${restarts}`,
    age(metadata?.creationTimestamp, now),
    status?.podIPs?.[0]?.ip ?? status?.podIP ?? none,
    spec?.nodeName ?? none,
    status?.nominatedNodeName ?? none,
    gates.length === 0 ? none : `${passed.length}/${gates.length}`,
  ];
}

/** Finished pods carry a row condition, by which `kubectl get` hides or colours them. */
export function podRowConditions(pod: Pod): readonly { readonly [field: string]: string }[] | undefined {
  const phase = pod.status?.phase;
  const messages = { Succeeded: 'The pod has completed successfully.', Failed: 'The pod failed.' };
  if (phase !== 'Succeeded' && phase !== 'Failed') return undefined;
  return [{ type: 'Completed', status: 'True', reason: phase, message: messages[phase] }];
}

interface Summary {
  readonly reason: string;
  readonly ready: number;
  readonly total: number;
  readonly restarts: number;
  readonly lastRestart: string | undefined;
}

function summarize(pod: Pod): Summary {
  const init = summarizeInit(pod);
  const isInitialized = init.reason === undefined || isConditionTrue(pod.status?.conditions, 'Initialized');
  const main = isInitialized ? summarizeMain(pod, init.reason ?? plainReason(pod)) : undefined;
  const counted = isInitialized
    ? [...init.sidecars, ...(pod.status?.containerStatuses ?? [])]
    : init.statuses;
  return {
    reason: deletionReason(pod) ?? main?.reason ?? init.reason ?? plainReason(pod),
    ready: init.readySidecars + (main?.ready ?? 0),
    total: (pod.spec?.containers.length ?? 0) + (pod.spec?.initContainers ?? []).filter(isSidecar).length,
    restarts: counted.reduce((sum, { restartCount }) => sum + restartCount, 0),
    lastRestart: counted
      .map(({ lastState }) => lastState?.terminated?.finishedAt ?? '')
      .toSorted()
      .findLast((time) => time !== ''),
  };
}

function plainReason({ status }: Pod): string {
  const gated = status?.conditions?.find(
    ({ type, reason }) => type === 'PodScheduled' && reason === 'SchedulingGated',
  );
  return gated?.reason ?? (status?.reason || status?.phase || '');
}

function deletionReason(pod: Pod): string | undefined {
  if (pod.metadata?.deletionTimestamp === undefined) return undefined;
  if (pod.status?.reason === 'NodeLost') return 'Unknown';
  return isTerminal(pod) ? undefined : 'Terminating';
}

interface InitSummary {
  /** Set while initialisation is under way or has failed. */
  readonly reason: string | undefined;
  readonly readySidecars: number;
  readonly sidecars: readonly ContainerStatus[];
  /** Those looked at: up to the one that is not done. */
  readonly statuses: readonly ContainerStatus[];
}

function summarizeInit({ spec, status }: Pod): InitSummary {
  const containers = spec?.initContainers ?? [];
  const sidecarNames = new Set(containers.filter(isSidecar).map(({ name }) => name));
  const statuses = status?.initContainerStatuses ?? [];
  const isDone = (container: ContainerStatus): boolean =>
    container.state?.terminated?.exitCode === 0 ||
    (sidecarNames.has(container.name) && container.started === true);
  const stuck = statuses.findIndex((container) => !isDone(container));
  const seen = stuck < 0 ? statuses : statuses.slice(0, stuck + 1);
  const sidecars = seen.filter(({ name }) => sidecarNames.has(name));
  const current = statuses[stuck];
  return {
    reason: current && `Init:${initReason(current) ?? `${stuck}/${containers.length}`}`,
    readySidecars: sidecars.filter(
      (sidecar) => sidecar.ready && sidecar.state?.terminated === undefined && isDone(sidecar),
    ).length,
    sidecars,
    statuses: seen,
  };
}

function initReason({ state }: ContainerStatus): string | undefined {
  if (state?.terminated !== undefined) return terminatedReason(state.terminated);
  const waiting = state?.waiting?.reason ?? '';
  return waiting === '' || waiting === 'PodInitializing' ? undefined : waiting;
}

function terminatedReason({ reason = '', signal = 0, exitCode }: ContainerStateTerminated): string {
  if (reason !== '') return reason;
  return signal === 0 ? `ExitCode:${exitCode}` : `Signal:${signal}`;
}

/** The reason of the first container that has one counts, but for "done" where another failed; running and ready ones only count. */
function summarizeMain(pod: Pod, initial: string): { readonly reason: string; readonly ready: number } {
  let reason = initial;
  let failure: string | undefined;
  let ready = 0;
  for (const { state, ready: isReady } of (pod.status?.containerStatuses ?? []).toReversed()) {
    const waiting = state?.waiting?.reason ?? '';
    if (waiting !== '') reason = waiting;
    else if (state?.terminated !== undefined) {
      reason = terminatedReason(state.terminated);
      if (state.terminated.exitCode !== 0) failure = reason;
    } else if (isReady && state?.running !== undefined) ready += 1;
  }
  if (reason === 'Completed') {
    const isRunning = ready > 0 && isConditionTrue(pod.status?.conditions, 'Ready');
    reason = isRunning ? 'Running' : (failure ?? (ready > 0 ? 'NotReady' : reason));
  }
  return { reason, ready };
}
