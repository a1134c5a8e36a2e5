import type { Clock } from '#base/clock.ts';

/** Whether the kernel's rules follow the API, as kube-proxy's health server defines it (KEP-3836). */
export interface ProxyHealth {
  /** Something changed that is not in the kernel yet. */
  noteQueued(): void;
  /** All that is known is in the kernel. */
  noteUpdated(): void;
  state(): ProxyHealthState;
}

export interface ProxyHealthState {
  readonly isHealthy: boolean;
  /** Milliseconds since the epoch; 0 before the first update. */
  readonly lastUpdatedMs: number;
}

/** A change may wait so long before the proxy counts as unhealthy: two sync periods of kube-proxy. */
const pendingMaxMs = 60_000;

export function createProxyHealth(clock: Clock): ProxyHealth {
  let pendingSinceMs: number | undefined;
  let lastUpdatedMs = 0;
  return {
    noteQueued: () => {
      pendingSinceMs ??= clock.monotonic();
    },
    noteUpdated: () => {
      pendingSinceMs = undefined;
      lastUpdatedMs = clock.now();
    },
    state: () => ({
      isHealthy: pendingSinceMs === undefined || clock.monotonic() - pendingSinceMs < pendingMaxMs,
      lastUpdatedMs,
    }),
  };
}
