import type { Logger } from '#base/log.ts';
import { pods } from '#api/schema/kind-ref.ts';
import type { Pod } from '#api/generated/objects.ts';
import type { EventRecorder } from '#client/event-recorder.ts';
import { containersOf } from './pod-input.ts';
import { remedyFor } from './remedies.ts';

/** What an event is about besides the pod, and what the node's own log says of it. */
export interface EventPlace {
  readonly container?: string;
  /** What failed, more exactly than the event's reason; `undefined`: another line says it. */
  readonly failure?: string | undefined;
  /** The message ends with what a container wrote, which may hold anything: it stays out of the log. */
  readonly isQuoting?: boolean;
  /** Of the event itself. */
  readonly annotations?: Readonly<Record<string, string>>;
}

/**
 * Events about pods. They are held until `release`, so that none goes out before the status that matters more. Each failure is
 * a line of the node's log, too, with what to do.
 */
export interface PodEvents {
  normal(pod: Pod, reason: string, message: string, container?: string): void;
  warning(pod: Pod, reason: string, message: string, place?: string | EventPlace): void;
  release(): void;
}

export function createPodEvents(recorder: Pick<EventRecorder, 'record'>, logger: Logger): PodEvents {
  const held: (() => void)[] = [];
  const hold = (
    type: 'Normal' | 'Warning',
    pod: Pod,
    [reason, message, container, annotations]: Said,
  ): void => {
    const regarding = { kind: pods, object: pod, fieldPath: fieldPathOf(pod, container), annotations };
    held.push(() => recorder.record(regarding, type, reason, message));
  };
  return {
    normal: (pod, reason, message, container) => {
      hold('Normal', pod, [reason, message, container]);
      if (reason === 'Killing' && / probe, /.test(message))
        tell(logger, pod, { reason, container, error: message });
    },
    warning: (pod, reason, message, place) => {
      const where: EventPlace = typeof place === 'string' ? { container: place } : (place ?? {});
      const { container, isQuoting = false } = where;
      hold('Warning', pod, [reason, message, container, where.annotations]);
      const failure = 'failure' in where ? where.failure : reason;
      const error = isQuoting ? `${message.split(': ', 1)[0] ?? ''}: its output is in the event` : message;
      if (failure !== undefined) tell(logger, pod, { reason: failure, container, error });
    },
    release: () => {
      for (const record of held.splice(0)) record();
    },
  };
}

type Said = readonly [
  reason: string,
  message: string,
  container: string | undefined,
  annotations?: Readonly<Record<string, string>> | undefined,
];

/** What went wrong with a pod, as all lines of the log say it. */
export interface PodFailure {
  readonly reason: string;
  readonly container: string | undefined;
  readonly error?: string;
  readonly [fact: string]: unknown;
}

export function tell(logger: Logger, pod: Pod, failure: PodFailure): void {
  logger.warn({ ...podNames(pod), ...failure, remedy: remedyFor(failure.reason) }, 'pod failure');
}

/** By what a line of the log names a pod; `uid` for one that is known by nothing else. */
export function podNames(
  pod: Pod | undefined,
  uid?: string,
): { readonly pod?: string; readonly uid: string } {
  const { metadata } = pod ?? {};
  if (metadata?.name === undefined) return { uid: uid ?? metadata?.uid ?? '' };
  return { pod: `${metadata.namespace ?? ''}/${metadata.name}`, uid: metadata.uid ?? uid ?? '' };
}

function fieldPathOf(pod: Pod, name: string | undefined): string | undefined {
  const container = containersOf(pod).find(({ spec }) => spec.name === name);
  if (container === undefined) return undefined;
  const list = {
    init: 'initContainers',
    sidecar: 'initContainers',
    main: 'containers',
    ephemeral: 'ephemeralContainers',
  };
  return `spec.${list[container.kind]}{${container.spec.name}}`;
}
