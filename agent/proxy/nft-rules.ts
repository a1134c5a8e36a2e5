import type { Clock } from '#base/clock.ts';
import type { IpFamily } from '#base/ip.ts';
import type { Logger } from '#base/log.ts';
import { nftFamilies, type ClusterNetwork } from '#agent/network/cluster-network.ts';
import { watchTable } from '#agent/network/watch-table.ts';
import { ownNetns } from '#native/netlink/netlink.ts';
import type { Nft, NftOp } from '#native/nft/nft.ts';
import { renderContribution, type Contribution } from './contribution.ts';
import { createRuleset, type Ruleset } from './ruleset.ts';
import { ServedFlows } from './served-flows.ts';
import type { ProxyPort } from './service-map.ts';
import type { ServiceRules } from './service-rules.ts';
import type { ProxyCounts } from './status/proxy-counts.ts';
import { familyFacts, tableRef, type FamilyFacts } from './table-layout.ts';

export interface NftRulesOptions {
  /** Each family has a table of its own. */
  readonly networks: readonly ClusterNetwork[];
  /** Addresses that node ports are reached by (for conntrack; the rules ask the kernel). */
  readonly nodeIps: readonly string[];
  readonly nft: Nft;
  readonly counts?: ProxyCounts;
  readonly clock: Clock;
  readonly log: Logger;
  /** See TableOptions. */
  readonly masqueradesAll?: boolean;
  readonly nodePortCidrs?: readonly string[];
  /** Absent: packets are led to backends. */
  readonly listeners?: ListenerRules;
}

/** What the rules are where backends are sockets of this process. */
export interface ListenerRules {
  readonly render: (ports: readonly ProxyPort[], facts: FamilyFacts) => Contribution;
}

/** Services as elements of sets: changes go out in one transaction, after one that the kernel refuses the whole tables in another. */
export function createNftRules(options: NftRulesOptions): ServiceRules {
  const { networks, nft, clock, log, listeners, masqueradesAll = false, nodePortCidrs = [] } = options;
  const always = { hasListeners: listeners !== undefined, masqueradesAll, nodePortCidrs };
  const render = listeners?.render ?? renderContribution;
  const rulesets = new Map<IpFamily, Ruleset>(
    networks.map(({ family, ...cidrs }) => [
      family,
      createRuleset({ family: nftFamilies[family], ...cidrs, ...always }),
    ]),
  );
  const flows = new ServedFlows(options);
  let needsWhole = true;

  return {
    set: (service) => {
      const { key, family, ports } = service;
      const facts = familyFacts[nftFamilies[family]];
      rulesets.get(family)?.set(key, ports.length === 0 ? undefined : render(ports, facts));
      flows.note(service);
    },
    commit: async () => {
      if (!needsWhole) {
        const changes = [...rulesets.values()].flatMap((ruleset) => ruleset.takeChanges());
        needsWhole = true; // Until the kernel has said yes.
        if (await tryCommit(options, changes)) needsWhole = false;
      }
      if (needsWhole) {
        const whole = [...rulesets.values()].map((ruleset) => ruleset.takeTable());
        await countedCommit(
          options,
          whole.map((table) => ({ op: 'replaceTable', table })),
        );
        needsWhole = false;
      }
      await flows.flush();
    },
    relayout: (changed) => {
      for (const { family, ...cidrs } of changed)
        rulesets.get(family)?.relayout({ family: nftFamilies[family], ...cidrs, ...always });
      needsWhole = true;
    },
    isWhole: () => !needsWhole,
    isStaleLeft: () => flows.isLeft,
    tables: () =>
      Promise.all(
        [...rulesets].map(async ([family, ruleset]) => {
          const ref = tableRef(nftFamilies[family]);
          const rulesWanted = ruleset.ruleCount();
          const rulesFound = await nft.ruleCount(ownNetns, ref);
          return { name: ref.name, family: nftFamilies[family], rulesWanted, rulesFound };
        }),
      ),
    watch: (onLost) => {
      using stack = new DisposableStack();
      for (const [family, ruleset] of rulesets) {
        const watched = { table: tableRef(nftFamilies[family]), ruleCount: () => ruleset.ruleCount() };
        const lose = (): void => {
          needsWhole = true;
          onLost();
        };
        stack.use(watchTable({ nft, clock, log, ...watched, onLost: lose }));
      }
      return stack.move();
    },
    [Symbol.asyncDispose]: async () => undefined, // Rules outlive the agent: pods go on.
  };
}

/** Failures are counted. */
async function countedCommit({ nft, counts }: NftRulesOptions, ops: readonly NftOp[]): Promise<void> {
  try {
    await nft.commit(ownNetns, ops);
  } catch (error) {
    counts?.noteFailure();
    throw error;
  }
}

async function tryCommit(options: NftRulesOptions, ops: readonly NftOp[]): Promise<boolean> {
  try {
    if (ops.length > 0) await countedCommit(options, ops);
    return true;
  } catch (error) {
    options.log.warn({ error, ops: ops.length }, 'Service rules refused; the whole table follows');
    return false;
  }
}

/** Takes away the tables of this mode, of both families. Safe to repeat. */
export async function removeNftTables(nft: Nft): Promise<void> {
  await nft.commit(
    ownNetns,
    (['ip', 'ip6'] as const).map((family) => ({ op: 'removeTable', table: tableRef(family) })),
  );
}
