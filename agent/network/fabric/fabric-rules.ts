import { familyOfNetwork, type IpFamily } from '#base/ip.ts';
import { ownNetns } from '#native/netlink/netlink.ts';
import type { NftTable } from '#native/nft/nft.ts';
import { renderTable } from '#native/nft/render.ts';
import type { ClusterNetwork } from '#agent/network/cluster-network.ts';
import { watchTable } from '#agent/network/watch-table.ts';
import type { FabricOptions, TunnelFacts } from './fabric-options.ts';
import { masqueradeTableOf, podCidrsOf, renderMasquerade } from './fabric-plan.ts';

/** Which pod packets leave with the node's address: a table of each family. */
export interface FabricRules {
  /** Nodes behind tunnels, and the port that vxlan takes, by family. Whether anything is another now. */
  setTunnels(tunnels: TunnelFacts): boolean;
  /** Nodes have changed. */
  forget(): void;
  commit(): Promise<void>;
  watch(family: IpFamily, onLost: () => void): Disposable;
}

const noTunnels: TunnelFacts = { nodes: new Set(), vxlanPort: undefined, outerFamily: 4 };

export function createRules(options: FabricOptions): FabricRules {
  const { nft, clock, log, networks, nodes, nodeName, linkCidrs = [], hasEgress } = options;
  const rendered = new Map<IpFamily, { readonly table: NftTable; readonly text: string }>();
  let committed: readonly NftTable[] = [];
  let tunnels = noTunnels;
  let isStale = true;
  const render = (network: ClusterNetwork): void => {
    const { family } = network;
    const ofSame = (cidr: string): boolean => familyOfNetwork(cidr) === family;
    const podCidr = podCidrsOf(nodes.get(nodeName) ?? {}).find(ofSame);
    if (podCidr === undefined) return;
    const kept = { ...network, podCidr, linkCidr: linkCidrs.find(ofSame), hasEgress };
    const vxlanPort = family === tunnels.outerFamily ? tunnels.vxlanPort : undefined;
    const table = renderMasquerade({ ...kept, tunnelNodes: tunnels.nodes, vxlanPort }, nodes.list());
    const text = renderTable(table);
    if (text !== rendered.get(family)?.text) rendered.set(family, { table, text });
  };
  const isOf = (family: IpFamily): ((table: NftTable) => boolean) => {
    const own = masqueradeTableOf(family);
    return (table) => table.family === own.family;
  };
  return {
    setTunnels: (facts) => {
      const textOf = (each: TunnelFacts): string => JSON.stringify([[...each.nodes], each.vxlanPort]);
      if (textOf(facts) === textOf(tunnels)) return false;
      tunnels = facts;
      isStale = true;
      return true;
    },
    forget: () => {
      isStale = true;
    },
    commit: async () => {
      if (isStale) (options.serviceNetworks?.current() ?? networks).forEach(render);
      isStale = false;
      const tables = [...rendered.values()].map(({ table }) => table);
      const changed = tables.filter((table) => !committed.includes(table));
      if (changed.length === 0) return;
      const ops = changed.map((table) => ({ op: 'replaceTable', table }) as const);
      await nft.commit(ownNetns, ops);
      committed = tables;
    },
    watch: (family, onLost) => {
      const isOwn = isOf(family);
      const lost = (): void => {
        committed = committed.filter((each) => !isOwn(each));
        onLost();
      };
      const ruleCount = (): number => countRules(committed.find(isOwn));
      return watchTable({ nft, clock, log, table: masqueradeTableOf(family), ruleCount, onLost: lost });
    },
  };
}

function countRules(table: NftTable | undefined): number {
  return (table?.chains ?? []).reduce((count, chain) => count + chain.rules.length, 0);
}
