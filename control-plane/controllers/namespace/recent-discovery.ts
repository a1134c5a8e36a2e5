import type { Clock } from '#base/clock.ts';
import type { ApiClient } from '#client/client.ts';
import { discoverKinds, type Discovery } from '#client/discover-kinds.ts';

/** One discovery for all who can do with it. */
export interface RecentDiscovery {
  /** What the server had after that time (monotonic). */
  since(ms: number): Promise<Discovery>;
}

export function createRecentDiscovery(client: ApiClient, clock: Clock): RecentDiscovery {
  let asked: { readonly atMs: number; readonly found: Promise<Discovery> } | undefined;
  return {
    since: async (ms) => {
      if (asked === undefined || asked.atMs <= ms)
        asked = { atMs: clock.monotonic(), found: discoverKinds(client) };
      const { found } = asked;
      const forget = (): void => {
        if (asked?.found === found) asked = undefined;
      };
      try {
        const discovery = await found;
        // Who did not answer is asked again.
        if (discovery.failed.length > 0) forget();
        return discovery;
      } catch (error) {
        forget();
        throw error;
      }
    },
  };
}
