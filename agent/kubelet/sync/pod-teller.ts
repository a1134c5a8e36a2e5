/** What events and the node's log have been told of a pod, so that each thing is told once. */
import type { Logger } from '#base/log.ts';
import type { Pod, PodStatus } from '#api/generated/objects.ts';
import type { PodObservation } from '#agent/runtime/runtime.ts';
import { isRestarted, restartWait, viewContainers, type ContainerView } from './container-view.ts';
import { isEnding } from './plan.ts';
import { tell, type PodEvents } from './pod-events.ts';
import type { PodDesired, PodFacts } from './pod-input.ts';

/** A pod as the worker sees it. */
export interface PodSight {
  readonly desired: PodDesired;
  readonly actual: PodObservation;
  readonly now: number;
  readonly facts: PodFacts;
}

interface TellPorts {
  readonly events: PodEvents;
  readonly logger: Logger;
}

export interface PodTeller {
  /** Of runs that failed, and of containers that wait for their next one. */
  tellRuns(sight: PodSight, ports: TellPorts): void;
  /** Of images that are not even tried to be pulled now. */
  tellImages(pod: Pod, current: PodStatus, events: PodEvents): void;
}

export function createPodTeller(): PodTeller {
  // By container, the run whose end, or whose back-off, was told.
  const [ends, backoffs] = [new Map<string, string>(), new Map<string, string>()];
  const images = new Set<string>();
  return {
    tellRuns: (sight, ports) => {
      for (const view of viewContainers(sight.desired.pod, sight.actual)) {
        const run = view.current;
        if (run?.state.state !== 'exited') continue;
        if (ends.get(view.name) !== run.id) tellEnd(view, sight, ports.logger);
        ends.set(view.name, run.id);
        if (backoffs.get(view.name) !== run.id && tellBackoff(view, sight, ports.events))
          backoffs.set(view.name, run.id);
      }
    },
    tellImages: (pod, current, events) => {
      const { initContainerStatuses = [], containerStatuses = [], ephemeralContainerStatuses = [] } = current;
      const all = [...initContainerStatuses, ...containerStatuses, ...ephemeralContainerStatuses];
      for (const { name, image, state } of all) {
        const { reason = '', message = '' } = state?.waiting ?? {};
        const event = imageEvents.get(reason);
        const key = `${name} ${reason} ${image}`;
        if (event === undefined || images.has(key)) continue;
        images.add(key);
        events[event.type](pod, event.reason, message, name);
        events.warning(pod, 'Failed', `Error: ${reason}`, { container: name, failure: undefined });
      }
    },
  };
}

/** Each run that failed is a line of the node's log, with when the next one is due. */
function tellEnd(view: ContainerView, { desired, facts, now }: PodSight, logger: Logger): void {
  const run = view.current;
  if (run?.state.state !== 'exited') return;
  const { exitCode, signal, reason } = run.state;
  // One that could not be started was told of; one that was stopped is no failure.
  const isStopped = isEnding(desired) || facts.resize.restarts.has(run.id);
  if (exitCode === 0 || reason === 'StartError' || isStopped) return;
  const isAgain = isRestarted(view, desired.pod, facts);
  const retryMs = isAgain ? Math.max(0, Math.round(restartWait(view, facts).dueMs - now)) : undefined;
  const failure = { reason, container: view.name, exitCode, signal, restarts: run.attempt, retryMs };
  tell(logger, desired.pod, { ...failure, isStartedAgain: isAgain });
}

/** Whether there was a back-off to tell of. */
function tellBackoff(view: ContainerView, { desired, facts, now }: PodSight, events: PodEvents): boolean {
  if (isEnding(desired)) return false;
  const { ms, dueMs } = restartWait(view, facts);
  if (ms === 0 || now >= dueMs) return false;
  const { namespace = '', name = '', uid = '' } = desired.pod.metadata ?? {};
  const message = `Back-off restarting failed container ${view.name} in pod ${name}_${namespace}(${uid})`;
  events.warning(desired.pod, 'BackOff', message, { container: view.name, failure: undefined });
  return true;
}

interface ImageEvent {
  readonly type: 'normal' | 'warning';
  readonly reason: string;
}

/** The event of an image that is not pulled now, by what the container waits for (kubelet/images of 1.36). */
const imageEvents: ReadonlyMap<string, ImageEvent> = new Map([
  ['InvalidImageName', { type: 'warning', reason: 'InspectFailed' }],
  ['ErrImageNeverPull', { type: 'warning', reason: 'ErrImageNeverPull' }],
  ['ImagePullBackOff', { type: 'normal', reason: 'BackOff' }],
]);
