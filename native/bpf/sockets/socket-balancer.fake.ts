import { PodwrightError } from '#base/errors.ts';
import { encodeFrontend, flowsOfSocketMax, writeAddress } from './socket-layout.ts';
import {
  backendsMax,
  type BalancedFrontend,
  type Moved,
  type SocketEnd,
  type SocketBalancer,
} from './socket-balancer.ts';

const wordsOf = ({ ip, port }: SocketEnd): string => `${ip} ${port}`;

const textOf = ({ protocol, frontend }: Pick<BalancedFrontend, 'protocol' | 'frontend'>): string =>
  `${wordsOf(frontend)} ${protocol}`;

/** A socket of UDP that is not connected: where its datagrams go, and under which name answers come. */
export interface FakeDatagramSocket {
  send(to: SocketEnd): SocketEnd;
  nameOf(from: SocketEnd): SocketEnd;
}

interface FakeFlow {
  readonly frontend: SocketEnd;
  readonly backend: SocketEnd;
  isLed: boolean;
}

/** Where a socket of a process of the cgroup may be led to; what was attached stays when it is disposed of. */
export class FakeSocketBalancer implements SocketBalancer {
  /** By `ip port protocol`. */
  readonly frontends: Map<string, readonly SocketEnd[]> = new Map();
  readonly connected: Set<{ readonly frontend: SocketEnd; backend: SocketEnd }> = new Set();
  /** Set: this kernel cannot. */
  refusal: string | undefined;
  /** Set: the next call fails so, when half of it is done. */
  nextError: Error | undefined;
  /** Calls that came through. */
  readonly counts: { replace: number; change: number } = { replace: 0, change: 0 };
  #isOpen = false;
  #turns = 0;

  async replace(frontends: readonly BalancedFrontend[]): Promise<Moved> {
    this.#support();
    this.#check(frontends);
    this.#fail(); // Before anything holds.
    this.frontends.clear();
    this.#put(frontends);
    this.#isOpen = true;
    this.counts.replace += 1;
    return this.#move();
  }

  async change(frontends: readonly BalancedFrontend[]): Promise<Moved> {
    if (!this.#isOpen) throw new PodwrightError('E_INTERNAL', 'balance connections: replace() is first');
    this.#check(frontends);
    if (this.nextError !== undefined) this.#put(frontends.slice(0, frontends.length / 2));
    this.#fail();
    this.#put(frontends);
    this.counts.change += 1;
    return this.#move();
  }

  openDatagrams(): FakeDatagramSocket {
    const flows = new Map<string, FakeFlow>();
    const isBackend = (end: SocketEnd, { backend, isLed }: FakeFlow): boolean =>
      isLed && wordsOf(backend) === wordsOf(end);
    return {
      send: (to) => {
        const backends = this.frontends.get(textOf({ protocol: 'udp', frontend: to }));
        if (backends === undefined) {
          for (const flow of flows.values()) if (isBackend(to, flow)) flow.isLed = false;
          return to;
        }
        const key = wordsOf(to);
        const old = flows.get(key);
        if (old?.isLed === false || (old === undefined && flows.size >= flowsOfSocketMax)) return to;
        if (old !== undefined && backends.some((each) => isBackend(each, old))) return old.backend;
        const backend = backends[this.#turns++ % backends.length] ?? to;
        flows.delete(key);
        const isLed = ![...flows.values()].some((each) => isBackend(backend, each));
        flows.set(key, { frontend: to, backend, isLed });
        return isLed ? backend : to;
      },
      nameOf: (from) => [...flows.values()].find((each) => isBackend(from, each))?.frontend ?? from,
    };
  }

  async remove(): Promise<Moved> {
    this.#support();
    this.frontends.clear();
    this.#isOpen = false;
    return this.#move();
  }

  /** A socket of UDP that is connected: where it leads changes with what is there. */
  connectDatagrams(frontend: SocketEnd): { readonly peer: () => SocketEnd } {
    const connected = { frontend, backend: this.#choose(frontend) };
    this.connected.add(connected);
    return { peer: () => connected.backend };
  }

  #choose(frontend: SocketEnd): SocketEnd {
    const backends = this.frontends.get(textOf({ protocol: 'udp', frontend })) ?? [];
    return backends[this.#turns++ % backends.length] ?? frontend;
  }

  #move(): Moved {
    let count = 0;
    for (const each of this.connected) {
      const { frontend, backend } = each;
      const backends = this.frontends.get(textOf({ protocol: 'udp', frontend })) ?? [frontend];
      // What came to the rules stays with them.
      if ([frontend, ...backends].some((end) => wordsOf(end) === wordsOf(backend))) continue;
      each.backend = this.#choose(frontend);
      count += 1;
    }
    return { count, failures: [] };
  }

  [Symbol.dispose](): void {
    this.#isOpen = false;
  }

  #support(): void {
    if (this.refusal !== undefined)
      throw new PodwrightError('E_UNSUPPORTED', `balance connections: ${this.refusal}`);
  }

  #fail(): void {
    const error = this.nextError;
    this.nextError = undefined;
    if (error !== undefined) throw error;
  }

  #check(frontends: readonly BalancedFrontend[]): void {
    const target = Buffer.alloc(20);
    for (const balanced of frontends) {
      encodeFrontend(balanced);
      for (const backend of balanced.backends) writeAddress(target, backend);
    }
    if (frontends.reduce((sum, { backends }) => sum + backends.length, 0) > backendsMax)
      throw new PodwrightError('E_LIMIT', 'put entries into a map: E2BIG');
  }

  #put(frontends: readonly BalancedFrontend[]): void {
    for (const balanced of frontends) {
      if (balanced.backends.length === 0) this.frontends.delete(textOf(balanced));
      else this.frontends.set(textOf(balanced), balanced.backends);
    }
  }
}
