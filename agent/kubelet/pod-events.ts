import { pods } from '#api/kind-ref.ts';
import type { Pod } from '#api/objects.ts';
import type { EventRecorder } from '#client/event-recorder.ts';
import { containersOf } from './pod-input.ts';

/** Events about pods. They are held until `release`, so that none goes out before the status that matters more. */
export interface PodEvents {
  normal(pod: Pod, reason: string, message: string, container?: string): void;
  warning(pod: Pod, reason: string, message: string, container?: string): void;
  release(): void;
}

export function createPodEvents(recorder: Pick<EventRecorder, 'record'>): PodEvents {
  const held: (() => void)[] = [];
  const add =
    (type: 'Normal' | 'Warning') => (pod: Pod, reason: string, message: string, container?: string) =>
      void held.push(() =>
        recorder.record(
          { kind: pods, object: pod, fieldPath: fieldPathOf(pod, container) },
          type,
          reason,
          message,
        ),
      );
  return {
    normal: add('Normal'),
    warning: add('Warning'),
    release: () => {
      for (const record of held.splice(0)) record();
    },
  };
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
