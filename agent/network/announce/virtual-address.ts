/**
 * Addresses that several API servers have in common (decision 0145): the one that holds the Lease answers for them on its link, as a node does
 * for addresses of load balancers, and its kernel leads what comes for them to the server's own address.
 */
import type { Clock } from '#base/clock.ts';
import { familyOfIp } from '#base/ip.ts';
import { done, KeyedQueue } from '#base/keyed-queue.ts';
import type { Logger } from '#base/log.ts';
import { nftFamilies } from '#agent/network/cluster-network.ts';
import type { ApiClient } from '#client/client.ts';
import { ownNetns } from '#native/netlink/netlink.ts';
import type { Nft, NftRule, NftSet, NftTable, TableRef } from '#native/nft/nft.ts';
import { startAnnouncing, type AnnounceOptions, type LeaseTimes } from './announce.ts';

/** Who holds it has the addresses. */
export const virtualLease = 'podwright-api-servers';

/** What is led here is said again so often, and forgotten by the kernel so long after the last time: with the process it ends. */
const sayMs = 2_000;
const forgetMs = 5_000;
const retryMs = 200;
/** There is one such Lease, and whatever reaches the API does so by its holder: shorter than those of load balancers. */
const times: LeaseTimes = { leaseSeconds: 5, renewMs: 1_000, lookMs: 1_000 };

export interface VirtualAddressOptions {
  /** Of this server among the others. */
  readonly identity: string;
  /** Those in common, of one family each. */
  readonly addresses: readonly string[];
  readonly port: number;
  /** Where this server itself takes connections, by family. */
  readonly own: Readonly<Partial<Record<4 | 6, string>>>;
  readonly client: ApiClient;
  readonly open: AnnounceOptions['open'];
  readonly nft: Pick<Nft, 'commit'>;
  readonly clock: Clock;
  readonly log: Logger;
}

export function virtualTableRef(family: 4 | 6): TableRef {
  return { family: nftFamilies[family], name: 'podwright-virtual' };
}

const setOf = (family: 4 | 6): NftSet => {
  const address = family === 4 ? 'ipv4_addr' : 'ipv6_addr';
  return {
    name: 'servers',
    keyTypes: [address, 'inet_service'],
    dataTypes: [address, 'inet_service'],
    dynamic: { timeoutMs: forgetMs },
  };
};

/** What leads packets for an address to a server of this host, for a while. Before the rules of Services, which may know it, too. Pure. */
export function renderVirtualTable(
  address: string,
  port: number,
  own: { readonly ip: string; readonly port: number },
): NftTable {
  const family = familyOfIp(address) ?? 4;
  const set = setOf(family);
  const target = family === 4 ? 'ip daddr' : 'ip6 daddr';
  const rules: readonly NftRule[] = [
    {
      exprs: [
        { expr: 'match', left: { load: 'meta l4proto' }, op: '==', right: 6 },
        { expr: 'dnat map', key: [{ load: target }, { load: 'th dport' }], map: set.name },
      ],
    },
  ];
  return {
    ...virtualTableRef(family),
    sets: [set],
    chains: (['prerouting', 'output'] as const).map((hook) => ({
      name: hook,
      hook: { type: 'nat', hook, priority: -102 },
      rules,
    })),
    elements: { [set.name]: [{ key: [address, port], data: [own.ip, own.port], timeoutMs: forgetMs }] },
  };
}

/** Until it is disposed this server is one of those that may have the addresses; then another has them at once. */
export function startVirtualAddress(options: VirtualAddressOptions): AsyncDisposable {
  const { addresses, port, own, nft, clock, log } = options;
  let isHeld = false;
  const tables = addresses.flatMap((address) => {
    const ip = own[familyOfIp(address) ?? 4];
    return ip === undefined ? [] : [renderVirtualTable(address, port, { ip, port })];
  });
  const lead = (isLed: boolean): Promise<unknown> =>
    nft.commit(
      ownNetns,
      tables.map((table) => (isLed ? { op: 'replaceTable', table } : { op: 'removeTable', table })),
    );
  const queue = new KeyedQueue<'rules'>({
    clock,
    concurrencyMax: 1,
    backoff: { initialMs: retryMs, factor: 2, maxMs: sayMs },
    work: async () => {
      const wasHeld = isHeld;
      await lead(wasHeld);
      return wasHeld ? { kind: 'again', afterMs: sayMs } : done;
    },
    onError: (_key, error, afterMs) =>
      log.warn({ error, retryMs: afterMs }, 'the addresses of API servers are not led here'),
  });
  const turn = (held: boolean): void => {
    isHeld = held;
    queue.add('rules');
  };
  // What one that was killed here has left.
  queue.add('rules');
  const announcing = startAnnouncing({
    ...options,
    times,
    // A client that is told of the address before would have its first packet dropped, and try again a second later.
    prepare: async () => {
      isHeld = true;
      try {
        await lead(true);
      } catch (error) {
        isHeld = false;
        throw error;
      }
    },
    onHeld: () => turn(true),
    onLost: () => turn(false),
  });
  announcing.set([{ lease: virtualLease, addresses, services: [], isCandidate: true }]);
  return {
    [Symbol.asyncDispose]: async () => {
      await announcing[Symbol.asyncDispose]();
      turn(false);
      await queue.idle();
      await queue[Symbol.asyncDispose]();
    },
  };
}
