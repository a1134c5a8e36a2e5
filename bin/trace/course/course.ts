import type { Leg } from '#bin/trace/find-way.ts';
import type { Destination } from '#bin/trace/find-service.ts';
import type { Hop } from '#bin/trace/observed.ts';

/** What a packet comes to before an endpoint is known: hops, and where it may go from there. */
export interface Course {
  readonly hops: readonly Hop[];
  readonly destinations: readonly Destination[];
  /** The node where it comes in. */
  readonly entry?: string | undefined;
  readonly headlessPort?: number | undefined;
  readonly via?: Leg['via'];
  /** It leaves the cluster: what is there nobody says. */
  readonly leaves?: boolean;
}

/** It comes no farther, for what the hop says. */
export function endsAt(last: Hop): Course {
  return { hops: [last], destinations: [] };
}

export function leavesBy(last: Hop): Course {
  return { hops: [last], destinations: [], leaves: true };
}
