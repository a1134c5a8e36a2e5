import type { Clock } from '#base/clock.ts';
import { isPodwrightError, PodwrightError } from '#base/errors.ts';
import type { IpFamily } from '#base/ip.ts';
import type { Logger } from '#base/log.ts';
import { nftFamilies, type ClusterNetwork } from '#agent/network/cluster-network.ts';
import { ServedFlows, type ServedFlowsOptions } from '#agent/proxy/served-flows.ts';
import type { TableFact } from '#agent/network/facts/table-fact.ts';
import type { ServiceRules } from '#agent/proxy/service-rules.ts';
import { ownNetns, type Netlink, type NetOp } from '#native/netlink/netlink.ts';
import type { ProxyCounts } from '#agent/proxy/status/proxy-counts.ts';
import type { TableOptions } from '#agent/proxy/table-layout.ts';
import { countAppended } from '#native/xtables/render.ts';
import type { Xtables } from '#native/xtables/xtables.ts';
import { renderIptables } from './contribution.ts';
import { renderProbe } from './layout.ts';
import { createIptablesRuleset, type IptablesRuleset } from './ruleset.ts';

export interface IptablesRulesOptions extends ServedFlowsOptions {
  readonly networks: readonly ClusterNetwork[];
  readonly xtables: Xtables;
  readonly hasLocalhostNodePorts?: boolean;
  readonly masqueradesAll?: boolean;
  readonly nodePortCidrs?: readonly string[];
  readonly netlink?: Pick<Netlink, 'apply'>;
  readonly counts?: ProxyCounts;
  readonly clock: Clock;
  readonly log: Logger;
}

/** Longest time until rules that somebody removed are back. */
const lookIntervalMs = 1_000;

/** Where nobody says whether anything changed (legacy tables), everything is read each so many looks. */
const looksUnasked = 30;

/** What is known of the kernel's rules without reading them. */
interface Seen {
  commits: number;
  /** Of the newer packet filter, when all chains were as they should be. */
  soundGeneration: number | undefined;
}

interface FamilyRules {
  readonly family: IpFamily;
  readonly options: TableOptions;
  readonly ruleset: IptablesRuleset;
  needsWhole: boolean;
}

/**
 * Services as chains in kube-proxy's names, by iptables-restore: chains that changed, or after a refusal all of them.
 * @throws E_BUSY when another Service proxy has its rules there; E_UNSUPPORTED without the programs
 */
export async function createIptablesRules(options: IptablesRulesOptions): Promise<ServiceRules> {
  const { networks, xtables, nft, netlink } = options;
  const hasLocalhostNodePorts = options.hasLocalhostNodePorts === true && netlink !== undefined;
  const tableOf = (network: ClusterNetwork): TableOptions =>
    tableOptionsOf(network, { ...options, hasLocalhostNodePorts });
  const families = networks.map((network): FamilyRules => {
    const table = tableOf(network);
    return {
      family: network.family,
      options: table,
      ruleset: createIptablesRuleset(table),
      needsWhole: true,
    };
  });
  // Said at once, rather than by warnings for ever.
  for (const { family, ruleset } of families) {
    ruleset.takeWhole(await xtables.save(family));
    await probe(xtables, family);
  }
  const flows = new ServedFlows(options);
  const seen: Seen = { commits: 0, soundGeneration: undefined };
  const writer = createWriter(options);
  return {
    set: (service) => {
      const { key, family, ports } = service;
      const own = families.find((each) => each.family === family);
      own?.ruleset.set(key, ports.length === 0 ? undefined : renderIptables(ports, own.options));
      flows.note(service);
    },
    commit: async () => {
      seen.commits += 1;
      const generation = (): Promise<number | undefined> => nft.generation(ownNetns).catch(() => undefined);
      const before = await generation();
      const writtenBefore = writer.tables;
      for (const own of families) await writer.commit(own);
      // After the rules that keep such packets from coming in by the wire (kube-proxy's localhostNodePorts, CVE-2020-8558).
      if (hasLocalhostNodePorts && seen.commits === 1) await netlink?.apply(ownNetns, [routeLoopback]);
      await flows.flush();
      const written = { before, after: await generation(), tablesWritten: writer.tables - writtenBefore };
      seen.soundGeneration = soundAfter(seen.soundGeneration, written);
    },
    relayout: (changed) => {
      for (const network of changed)
        families.find((own) => own.family === network.family)?.ruleset.relayout(tableOf(network));
    },
    isWhole: () => families.every((own) => !own.needsWhole),
    isStaleLeft: () => flows.isLeft,
    tables: () => readTables(xtables, families),
    watch: (onLost) => watchChains(options, { families, seen }, onLost),
    [Symbol.asyncDispose]: async () => undefined, // Rules outlive the agent: pods go on.
  };
}

interface Writer {
  /** That were written so far. */
  readonly tables: number;
  commit(own: FamilyRules): Promise<void>;
}

/** Changes go out by themselves; after a refusal all chains do. */
function createWriter({ xtables, counts, clock, log }: IptablesRulesOptions): Writer {
  let tables = 0;
  const restore = async ({ family, ruleset }: FamilyRules, text: string, isWhole: boolean): Promise<void> => {
    const startMs = clock.monotonic();
    const note = (isRefused: boolean): void =>
      counts?.noteRestore(family, {
        ...{ isWhole, isRefused, ms: clock.monotonic() - startMs },
        written: countAppended(text),
        total: ruleset.ruleCounts(),
      });
    try {
      await xtables.restore(family, text);
    } catch (error) {
      note(true);
      throw error;
    }
    note(false);
    tables += text.split('\n').filter((line) => line === 'COMMIT').length; // iptables-restore(8)
  };
  const tryRestore = async (own: FamilyRules, text: string): Promise<boolean> => {
    try {
      await restore(own, text, false);
      return true;
    } catch (error) {
      log.warn({ error }, 'Service rules refused; all of them follow');
      return false;
    }
  };
  return {
    get tables() {
      return tables;
    },
    commit: async (own) => {
      if (!own.needsWhole) {
        const changes = own.ruleset.takeChanges();
        own.needsWhole = true; // Until the program has said yes.
        if (await tryRestore(own, changes)) own.needsWhole = false;
      }
      if (own.needsWhole) {
        await restore(own, own.ruleset.takeWhole(await xtables.save(own.family)), true);
        own.needsWhole = false;
      }
    },
  };
}

/**
 * Reading all rules costs a program of each family, more than a change does, so what we wrote ourselves is not read again: each table of a
 * restore is one transaction, and where there was no other, what was sound is sound. Pure.
 */
export function soundAfter(
  sound: number | undefined,
  {
    before,
    after,
    tablesWritten,
  }: {
    readonly before: number | undefined;
    readonly after: number | undefined;
    readonly tablesWritten: number;
  },
): number | undefined {
  return sound !== undefined && sound === before && after === before + tablesWritten ? after : sound;
}

async function readTables(xtables: Xtables, families: readonly FamilyRules[]): Promise<readonly TableFact[]> {
  const all = families.map(async ({ family, ruleset }) => {
    const counts = ruleset.countIn(await xtables.save(family));
    return counts.map((each) => ({ ...each, family: nftFamilies[family] }));
  });
  return (await Promise.all(all)).flat();
}

/** Packets of 127.0.0.0/8 may leave by an interface, with the node's address by then. */
const routeLoopback: NetOp = { op: 'setSysctl', key: 'net/ipv4/conf/all/route_localnet', value: '1' };

/** @throws E_UNSUPPORTED with what the kernel lacks */
async function probe(xtables: Xtables, family: IpFamily): Promise<void> {
  try {
    await xtables.restore(family, renderProbe());
  } catch (error) {
    if (!isPodwrightError(error, 'E_KERNEL')) throw error;
    const message = `write Service rules of iptables: the kernel lacks what they need; take --proxy-mode nftables: ${error.message}`;
    throw new PodwrightError('E_UNSUPPORTED', message, { cause: error });
  }
}

function watchChains(
  { nft, xtables, clock, log }: IptablesRulesOptions,
  { families, seen }: { readonly families: readonly FamilyRules[]; readonly seen: Seen },
  onLost: () => void,
): Disposable {
  let isOpen = true;
  let timer = clock.after(lookIntervalMs, tick);
  let unread = 0;

  const look = async (): Promise<void> => {
    const generation = await nft.generation(ownNetns);
    unread += 1;
    if (generation === seen.soundGeneration && unread < looksUnasked) return;
    unread = 0;
    const before = seen.commits;
    for (const own of families) {
      const saved = await xtables.save(own.family);
      // Of a commit in between, what was read is not what was taken.
      if (seen.commits !== before || !isOpen) return;
      if (own.needsWhole || own.ruleset.isIn(saved)) continue;
      log.warn({ family: own.family }, 'rules were removed by somebody; made again');
      own.needsWhole = true;
      onLost();
    }
    seen.soundGeneration = families.some((own) => own.needsWhole) ? undefined : generation;
  };
  function tick(): void {
    void look()
      .catch((error: unknown) => log.warn({ error }, 'rules cannot be looked at'))
      .then(() => {
        if (isOpen) timer = clock.after(lookIntervalMs, tick);
      });
  }
  return {
    [Symbol.dispose]: () => {
      isOpen = false;
      timer[Symbol.dispose]();
    },
  };
}

/** What of the options is of the tables. */
function tableOptionsOf(
  { family, ...cidrs }: ClusterNetwork,
  {
    hasLocalhostNodePorts = false,
    masqueradesAll = false,
    nodePortCidrs = [],
  }: Pick<IptablesRulesOptions, 'hasLocalhostNodePorts' | 'masqueradesAll' | 'nodePortCidrs'>,
): TableOptions {
  return { family: nftFamilies[family], ...cidrs, hasLocalhostNodePorts, masqueradesAll, nodePortCidrs };
}
