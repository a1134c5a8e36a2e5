import { PodwrightError } from '#base/errors.ts';
import type { PacketRedirector, PodLink, PodRoute } from './packet-redirector.ts';
import { encodeAddress, encodePod, encodeRoute } from './redirect-layout.ts';

/** Who is let in at which cables, and where routes lead. A connection is known to the redirectors of both its ends, and passes if they are one. */
export class FakePacketRedirector implements PacketRedirector {
  /** Interfaces that there are, and whose programs are on them: shared by redirectors of one machine. */
  readonly interfaces: Map<string, FakePacketRedirector | undefined>;
  /** By address. */
  readonly pods: Map<string, { readonly pod: PodLink; readonly generation: number }> = new Map();
  routes: readonly PodRoute[] = [];
  /** Set: this kernel cannot. */
  refusal: string | undefined;
  /** Set: the next call fails so. */
  nextError: Error | undefined;
  #generation = 0;

  constructor(interfaces: Map<string, FakePacketRedirector | undefined> = new Map()) {
    this.interfaces = interfaces;
  }

  admit(pod: PodLink): void {
    this.#begin();
    if (!this.interfaces.has(pod.ifname))
      throw new PodwrightError('E_NOT_FOUND', `redirect packets: no interface ${pod.ifname}`);
    encodePod({ ifindex: 1, generation: 1, mac: pod.mac });
    for (const ip of pod.ips) encodeAddress(ip);
    this.interfaces.set(pod.ifname, this);
    this.#generation += 1;
    for (const ip of pod.ips) this.pods.set(ip, { pod, generation: this.#generation });
  }

  withdraw(pod: PodLink): void {
    this.#begin();
    for (const ip of pod.ips) this.pods.delete(ip);
    if (this.interfaces.has(pod.ifname)) this.interfaces.set(pod.ifname, undefined);
  }

  setRoutes(routes: readonly PodRoute[]): void {
    this.#begin();
    routes.forEach(encodeRoute);
    this.routes = routes;
  }

  /** A connection between pods begins; what is given back says whether its packets pass by the node's stack. */
  connect(source: PodLink, target: PodLink): () => boolean {
    const generationsOf = (): readonly (number | undefined)[] =>
      [source, target].map(({ ips }) => owner?.pods.get(ips[0] ?? '')?.generation);
    const owner = this.interfaces.get(source.ifname);
    const first = generationsOf();
    return () =>
      owner !== undefined &&
      [source, target].every(({ ifname }) => this.interfaces.get(ifname) === owner) &&
      generationsOf().every((generation, index) => generation !== undefined && generation === first[index]);
  }

  [Symbol.dispose](): void {
    // Programs stay with their cables.
  }

  #begin(): void {
    if (this.refusal !== undefined)
      throw new PodwrightError('E_UNSUPPORTED', `redirect packets: ${this.refusal}`);
    const error = this.nextError;
    this.nextError = undefined;
    if (error !== undefined) throw error;
  }
}
