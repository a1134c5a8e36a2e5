import type { Clock } from '#base/clock.ts';
import type { Logger } from '#base/log.ts';
import type { ApiClient } from '#client/client.ts';
import { createEventRecorder, type EventRecorder } from '#client/event-recorder.ts';

/** A recorder of events for each schedulerName, made when it first has something to say. */
export interface Recorders extends AsyncDisposable {
  readonly of: (schedulerName: string) => EventRecorder;
}

export function createRecorders(options: {
  readonly client: ApiClient;
  readonly clock: Clock;
  readonly logger: Logger;
}): Recorders {
  const recorders = new Map<string, EventRecorder & AsyncDisposable>();
  return {
    of: (component) => {
      const recorder = recorders.get(component) ?? createEventRecorder({ ...options, component });
      recorders.set(component, recorder);
      return recorder;
    },
    [Symbol.asyncDispose]: async () => {
      for (const recorder of recorders.values()) await recorder[Symbol.asyncDispose]();
    },
  };
}
