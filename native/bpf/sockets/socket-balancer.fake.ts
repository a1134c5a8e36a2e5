import { PodwrightError } from '#base/errors.ts';
import { encodeFrontend, writeAddress } from './socket-layout.ts';
import {
  backendsMax,
  type BalancedFrontend,
  type SocketEnd,
  type SocketBalancer,
} from './socket-balancer.ts';

const textOf = ({ ip, port }: SocketEnd): string => `${ip} ${port}`;

/** Where a socket of a process of the cgroup may be led to; what was attached stays when it is disposed of. */
export class FakeSocketBalancer implements SocketBalancer {
  readonly frontends: Map<string, readonly SocketEnd[]> = new Map();
  /** Set: this kernel cannot. */
  refusal: string | undefined;
  /** Set: the next call fails so, when half of it is done. */
  nextError: Error | undefined;
  /** Calls that came through. */
  readonly counts: { replace: number; change: number } = { replace: 0, change: 0 };
  #isOpen = false;

  async replace(frontends: readonly BalancedFrontend[]): Promise<void> {
    this.#support();
    this.#check(frontends);
    this.#fail(); // Before anything holds.
    this.frontends.clear();
    this.#put(frontends);
    this.#isOpen = true;
    this.counts.replace += 1;
  }

  async change(frontends: readonly BalancedFrontend[]): Promise<void> {
    if (!this.#isOpen) throw new PodwrightError('E_INTERNAL', 'balance connections: replace() is first');
    this.#check(frontends);
    if (this.nextError !== undefined) this.#put(frontends.slice(0, frontends.length / 2));
    this.#fail();
    this.#put(frontends);
    this.counts.change += 1;
  }

  remove(): void {
    this.#support();
    this.frontends.clear();
    this.#isOpen = false;
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
    for (const { frontend, backends } of frontends) {
      encodeFrontend(frontend);
      for (const backend of backends) writeAddress(target, backend);
    }
    if (frontends.reduce((sum, { backends }) => sum + backends.length, 0) > backendsMax)
      throw new PodwrightError('E_LIMIT', 'put entries into a map: E2BIG');
  }

  #put(frontends: readonly BalancedFrontend[]): void {
    for (const { frontend, backends } of frontends) {
      if (backends.length === 0) this.frontends.delete(textOf(frontend));
      else this.frontends.set(textOf(frontend), backends);
    }
  }
}
