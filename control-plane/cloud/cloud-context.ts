import type { Clock } from '#base/clock.ts';
import type { Logger } from '#base/log.ts';
import type { ApiClient } from '#client/client.ts';
import type { EventRecorder } from '#client/event-recorder.ts';
import type { Informers } from '#client/informers.ts';
import type { Cloud } from './cloud.ts';

/** What every loop of a cloud is given. */
export interface CloudContext {
  readonly cloud: Cloud;
  readonly client: ApiClient;
  readonly informers: Informers;
  readonly clock: Clock;
  readonly logger: Logger;
  /** A recorder that speaks in the name of the component; owned by who makes the loops. */
  readonly recorder: (component: string) => EventRecorder;
}

/** A question to the cloud about an instance ends after so long, one that makes or removes something after the other. */
export const askMsMax = 60_000;
export const makeMsMax = 600_000;
