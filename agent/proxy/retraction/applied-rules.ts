import type { Clock } from '#base/clock.ts';
import type { TableFact } from '#agent/network/facts/table-fact.ts';
import type { ProxyMode } from '#agent/proxy/service-rules.ts';

/** What a proxy says of itself, each time it is asked. */
export interface RulesSource {
  /** EndpointSlices up to it are in the kernel. */
  readonly revision: () => number;
  readonly mode: () => ProxyMode;
  /** As they are in the kernel now. */
  readonly tables: () => Promise<readonly TableFact[]>;
}

/** How far the Service rules of this node are: for its kubelet, which is there before the proxy, and for other nodes. */
export interface AppliedRules extends RulesSource {
  /** The proxy is there now. */
  follow(source: RulesSource): void;
  /** Told by the proxy after each commit. */
  note(): void;
  /** Resolves with the revision as soon as it is `revision` or later, or with what it is by then after `timeoutMs`. */
  reach(revision: number, timeoutMs: number): Promise<number>;
}

/** Who waits at once; more are told at once how far it is. */
export const waitersMax = 1024;

export function createAppliedRules(clock: Clock): AppliedRules {
  let source: RulesSource = { revision: () => 0, mode: () => 'nftables', tables: async () => [] };
  const waiters = new Set<() => void>();
  return {
    revision: () => source.revision(),
    mode: () => source.mode(),
    tables: () => source.tables(),
    note: () => waiters.forEach((look) => look()),
    follow: (followed) => {
      source = followed;
    },
    reach: (revision, timeoutMs) => {
      if (source.revision() >= revision || waiters.size >= waitersMax)
        return Promise.resolve(source.revision());
      const { promise, resolve } = Promise.withResolvers<number>();
      const end = (): void => {
        waiters.delete(look);
        timer[Symbol.dispose]();
        resolve(source.revision());
      };
      const timer = clock.after(timeoutMs, end);
      function look(): void {
        if (source.revision() >= revision) end();
      }
      waiters.add(look);
      return promise;
    },
  };
}
