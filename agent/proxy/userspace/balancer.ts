import type { Backend } from '#agent/proxy/service-map.ts';

/** Chooses backends in turn, each as often as any other; with session affinity a client stays where it was. */
export interface Balancer {
  /** In order of their keys. Turns go on after the backend that had the last one, be it there or not. */
  setBackends(backends: readonly Backend[], affinitySeconds: number | undefined): void;
  readonly backends: readonly Backend[];
  /** The backend whose turn it is, or the client's own; undefined: there is none. `nowMs` is monotonic. */
  next(client: string, nowMs: number): Backend | undefined;
  /** The client's backend did not answer: its next one is whose turn it is. */
  forget(client: string): void;
}

/** Clients that a port keeps in mind; the one that was away longest goes for another. */
export const clientsMax = 10_000;

interface Kept {
  readonly backend: Backend;
  readonly sinceMs: number;
}

export const backendKey = ({ ip, port }: Pick<Backend, 'ip' | 'port'>): string => `${ip} ${port}`;

export function createBalancer(): Balancer {
  let backends: readonly Backend[] = [];
  let affinityMs: number | undefined;
  let turn = 0;
  let last = '';
  const kept = new Map<string, Kept>();

  const ownOf = (client: string, nowMs: number): Backend | undefined => {
    const own = kept.get(client);
    if (own === undefined || affinityMs === undefined || nowMs - own.sinceMs >= affinityMs) return undefined;
    return backends.find((each) => backendKey(each) === backendKey(own.backend));
  };
  const keep = (client: string, backend: Backend, nowMs: number): void => {
    kept.delete(client);
    kept.set(client, { backend, sinceMs: nowMs });
    const [longest] = kept.keys();
    if (kept.size > clientsMax && longest !== undefined) kept.delete(longest);
  };
  return {
    get backends() {
      return backends;
    },
    setBackends: (given, affinitySeconds) => {
      turn = Math.max(
        0,
        given.findIndex((each) => backendKey(each) > last),
      );
      backends = given;
      affinityMs = affinitySeconds === undefined ? undefined : affinitySeconds * 1_000;
      if (affinityMs === undefined) kept.clear();
    },
    next: (client, nowMs) => {
      const own = ownOf(client, nowMs);
      const chosen = own ?? backends[turn];
      if (chosen === undefined) return undefined;
      if (own === undefined) {
        turn = (turn + 1) % backends.length;
        last = backendKey(chosen);
      }
      if (affinityMs !== undefined) keep(client, chosen, nowMs);
      return chosen;
    },
    forget: (client) => void kept.delete(client),
  };
}
