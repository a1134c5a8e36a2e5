import type { Clock } from '#base/clock.ts';
import { familyOfIp, type IpFamily } from '#base/ip.ts';
import type { Logger } from '#base/log.ts';
import { ownNetns } from '#native/netlink/netlink.ts';
import type { ConntrackMatch, Nft } from '#native/nft/nft.ts';
import type { ProxyPort } from './service-map.ts';
import type { ServedService } from './service-rules.ts';
import { computeStaleFlows } from './stale-flows.ts';
import type { ProxyCounts } from './status/proxy-counts.ts';

export interface ServedFlowsOptions {
  readonly nodeIps: readonly string[];
  readonly nft: Nft;
  readonly counts?: ProxyCounts;
  readonly clock: Pick<Clock, 'monotonic'>;
  readonly log: Logger;
}

/** Tries in a row to remove stale flows. */
const flushTriesMax = 5;

interface StaleFlow {
  readonly family: IpFamily;
  readonly match: ConntrackMatch;
}

/** Flows of connectionless protocols that the kernel would go on sending to where they went, as Services change. */
export class ServedFlows {
  readonly #options: ServedFlowsOptions;
  readonly #portsOf = new Map<`${IpFamily} ${string}`, readonly ProxyPort[]>();
  readonly #flows = new Map<string, StaleFlow>();
  #failures = 0;

  constructor(options: ServedFlowsOptions) {
    this.#options = options;
  }

  /** A Service's ports are others from the next flush on. What is to be kept at an address is what was last said of it. */
  note({ key, family, ports }: ServedService): void {
    const old = this.#portsOf.get(`${family} ${key}`) ?? [];
    if (ports.length === 0) this.#portsOf.delete(`${family} ${key}`);
    else this.#portsOf.set(`${family} ${key}`, ports);
    const nodeIps = this.#options.nodeIps.filter((ip) => familyOfIp(ip) === family);
    for (const match of computeStaleFlows(old, ports, nodeIps)) {
      const { originalDestination, port, replies } = match;
      const place = originalDestination === undefined ? JSON.stringify(replies) : originalDestination;
      this.#flows.set(`${place} ${port}`, { family, match });
    }
  }

  /** Some are still there, and the next flush tries again. */
  get isLeft(): boolean {
    return this.#flows.size > 0;
  }

  /** After the rules: before, a packet in between would make the old entry again. */
  async flush(): Promise<void> {
    const { log } = this.#options;
    const noted = [...this.#flows];
    this.#flows.clear();
    try {
      for (const [family, flows] of Map.groupBy(noted, ([, flow]) => flow.family))
        await this.#remove(
          family,
          flows.map(([, { match }]) => match),
        );
      this.#failures = 0;
    } catch (error) {
      this.#failures += 1;
      log.warn({ error, flows: noted.length, failures: this.#failures }, 'stale UDP flows not removed');
      // A client that keeps its port stays with the old backend until the entry times out: worse, but no reason to stop.
      if (this.#failures >= flushTriesMax) return;
      // What was noted of a place meanwhile is newer.
      for (const [place, flow] of noted) if (!this.#flows.has(place)) this.#flows.set(place, flow);
    }
  }

  async #remove(family: IpFamily, flows: readonly ConntrackMatch[]): Promise<void> {
    const { nft, counts, clock } = this.#options;
    const startMs = clock.monotonic();
    const deleted = await nft.flushConntrack(ownNetns, flows);
    counts?.noteFlush(family, { ms: clock.monotonic() - startMs, deleted });
  }
}
