import type { Clock } from '#base/clock.ts';
import type { Backend } from '#agent/proxy/service-map.ts';
import type { Balancer } from './balancer.ts';
import type { Sessions } from './sessions.ts';

/** What accepts what a Service's packets were led to. */
export interface Listener extends AsyncDisposable {
  /** Of the node's address. */
  readonly port: number;
  /** Of all backends these alone serve: what goes to another ends, where the protocol has no end of its own. */
  noteBackends(serving: readonly Backend[]): void;
}

export interface ListenerOptions {
  /** The node's address. */
  readonly host: string;
  readonly balancer: Balancer;
  readonly sessions: Sessions;
  readonly clock: Clock;
  /** How long each backend may take to accept, one after the other, milliseconds; default: kube-proxy's EndpointDialTimeouts. */
  readonly dialMs?: readonly number[];
}
