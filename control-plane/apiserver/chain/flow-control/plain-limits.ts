import { isLongRunning } from '#control-plane/apiserver/chain/route.ts';
import { noteShare } from '#control-plane/apiserver/serve/connection-share.ts';
import { isMutating } from './estimate.ts';
import { refusal, type Entered, type Entering, type FlowControl } from './flow-control.ts';
import { Seat, type StreamedSeats } from './seat.ts';
import { WatchCounts } from './watch-counts.ts';

export interface PlainLimit {
  /** Requests at once that only read; 0: any number. */
  readonly readOnly: number;
  /** The others. */
  readonly mutating: number;
}

const privileged = 'system:masters';

/** Without fair shares: so many requests at once, whoever's they are (apiserver, WithMaxInFlightLimit). Nobody waits. */
export class PlainLimits implements FlowControl {
  readonly watches: WatchCounts = new WatchCounts();
  readonly shared: undefined;
  readonly #limit: PlainLimit;
  readonly #streamed: StreamedSeats;
  readonly #taken = { readOnly: 0, mutating: 0 };

  constructor(limit: PlainLimit, streamed: StreamedSeats) {
    this.#limit = limit;
    this.#streamed = streamed;
  }

  enter({ request, route, attributes }: Entering): Entered {
    noteShare(request.caller, 'known', attributes.user.name);
    if (route !== undefined && isLongRunning(route)) return Seat.none;
    const kind = isMutating(attributes) ? 'mutating' : 'readOnly';
    const limit = this.#limit[kind];
    const isFull = limit > 0 && this.#taken[kind] >= limit;
    if (isFull && !attributes.user.groups.includes(privileged)) return refusal(1);
    this.#taken[kind]++;
    return new Seat({}, this.#streamed, () => void this.#taken[kind]--);
  }
}
