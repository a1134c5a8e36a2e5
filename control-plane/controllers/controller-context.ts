import type { Clock } from '#base/clock.ts';
import type { Logger } from '#base/log.ts';
import type { Presence } from '#base/presence.ts';
import type { ApiClient } from '#client/client.ts';
import type { EventRecorder } from '#client/event-recorder.ts';
import type { KindRef } from '#api/schema/kind-ref.ts';
import type { Informers } from '#client/informers.ts';
import type { LoopCounts } from './metrics/loop-counts.ts';
import type { VolumeLoopCounts } from './metrics/volume-counts.ts';

/** Whether there may be objects of the kind in the namespace now. Whoever is not sure says yes: then they are asked for. */
export type MayHold = (kind: KindRef<unknown>, namespace: string) => Promise<boolean>;

/** What every control loop is given. */
export interface ControllerContext {
  /** As the controller's own account. */
  readonly client: ApiClient;
  /** As somebody who may read everything; of all controllers together. */
  readonly informers: Informers;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Keys that the loop works on at once (`--concurrent-…-syncs`); undefined: as many as is usual for it. */
  readonly syncsMax?: number | undefined;
  /** Whether the silence of others may be our own. */
  readonly presence: Presence;
  /** Of a server in this process; others are asked kind by kind. */
  readonly mayHold?: MayHold | undefined;
  /** Told what becomes of volumes; undefined: nobody asks. */
  readonly volumeCounts?: VolumeLoopCounts | undefined;
  /** Told what else loops do; undefined: nobody asks. */
  readonly loopCounts?: LoopCounts | undefined;
  /** A recorder that speaks in the name of the component; owned by the caller of the controllers. */
  readonly recorder: (component: string) => EventRecorder;
}
