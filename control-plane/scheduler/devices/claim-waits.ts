import type { Clock } from '#base/clock.ts';
import type { ResourceV1ResourceClaim as ResourceClaim } from '#api/generated/objects.ts';
import { readinessOf } from './binding-conditions.ts';

/** How long a pod waits for devices that are made ready for it (bindingTimeout of DynamicResourcesArgs). */
const readyMsMax = 600_000;

/** Pods that wait for devices of their claims to be ready. */
export interface ClaimWaits {
  /** A claim changed: whoever waits for it looks. */
  note(key: string): void;
  /** Resolves when all are ready; else with those that are to give their devices back, and why. @throws the signal's reason */
  untilReady(
    keys: readonly string[],
    signal: AbortSignal,
    msMax?: number,
  ): Promise<{ readonly keys: readonly string[]; readonly why: string } | undefined>;
}

export interface ClaimWaitsOptions {
  readonly clock: Clock;
  readonly claim: (key: string) => ResourceClaim | undefined;
}

export function createClaimWaits({ clock, claim }: ClaimWaitsOptions): ClaimWaits {
  const looks = new Map<string, Set<() => void>>();
  return {
    note: (key) => {
      for (const look of looks.get(key) ?? []) look();
    },
    untilReady: async (keys, signal, msMax = readyMsMax) => {
      const end = Promise.withResolvers<Awaited<ReturnType<ClaimWaits['untilReady']>>>();
      const states = () =>
        keys.map((key) => {
          const found = claim(key);
          return { key, state: found === undefined ? lost : readinessOf(found) };
        });
      const waiting = () => states().filter(({ state }) => state.kind !== 'ready');
      const look = (): void => {
        const left = waiting();
        const failed = left.find(({ state }) => state.kind === 'failed');
        if (failed?.state.kind === 'failed') end.resolve({ keys: [failed.key], why: failed.state.why });
        else if (left.length === 0) end.resolve(undefined);
      };
      if (waiting().length === 0) return undefined;
      using stack = new DisposableStack();

      for (const key of keys) {
        const own = looks.get(key) ?? new Set();
        looks.set(key, own.add(look));
        stack.defer(() => {
          if (own.delete(look) && own.size === 0) looks.delete(key);
        });
      }
      const why = `devices are not ready after ${msMax / 1000} s`;
      stack.use(clock.after(msMax, () => end.resolve({ keys: waiting().map(({ key }) => key), why })));
      const stop = (): void => end.reject(signal.reason);
      signal.addEventListener('abort', stop, { once: true });
      stack.defer(() => signal.removeEventListener('abort', stop));
      look();
      return await end.promise;
    },
  };
}

const lost = { kind: 'failed', why: 'a claim is gone' } as const;
