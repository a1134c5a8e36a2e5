/** The ports of the pod network with nothing behind them: what plugins ask of the kernel is written down. */
import { createCniNetwork } from '#agent/network/cni-network.ts';
import { attachPod, toAttachment } from '#agent/network/cni-pod-network.ts';
import { renderDefaultConflist } from '#agent/network/conflist-dir.ts';
import { ipsOf } from '#agent/network/pod-link.ts';
import type { PodNetworkRequest } from '#agent/network/pod-network.ts';
import { parseNetworkConfigList, type CniAttachment } from '#api/cni/network-config.ts';
import { PodwrightError } from '#base/errors.ts';
import { formatIp, type Ip } from '#base/ip.ts';
import type { Leases, LeaseStore } from '#cni-plugins/host-local/lease-store.ts';
import { createInvoker, createPluginRegistry } from '#cni-plugins/registry.ts';
import type { Netlink, NetnsRef } from '#native/netlink/netlink.ts';
import { renderNetOp } from '#native/netlink/render.ts';
import type { Nft, NftOp } from '#native/nft/nft.ts';
import { renderNftOp } from '#native/nft/render.ts';
import { leaseDirectory, podCidr } from './assumed-node.ts';

/** A node's network on which no pod is yet; each pod planned finds what those before it left. */
export interface PlannedNetwork {
  /** The lines of a pod's ADD, in order, and the addresses that it gives. */
  add(
    request: PodNetworkRequest,
    signal: AbortSignal,
  ): Promise<{ readonly lines: readonly string[]; readonly ips: readonly string[] }>;
}

export function createPlannedNetwork(): PlannedNetwork {
  let lines: string[] = [];
  const say = (netns: NetnsRef, what: readonly string[]): void => {
    if (what.length === 0) return;
    lines.push(netns.kind === 'own' ? "in the node's network namespace" : `in ${netns.path}`);
    lines.push(...what.map((line) => `  ${line.replaceAll('\n', '\n  ')}`));
  };
  const leases = createPlannedLeases((line) => void lines.push(line));
  const cni = createCniNetwork(
    createInvoker({
      netlink: recordNetlink(say),
      nft: recordNft(say),
      registry: createPluginRegistry(() => leases),
    }),
    [],
  );
  const list = parseNetworkConfigList(
    renderDefaultConflist({ podCidrs: [podCidr], leaseDir: leaseDirectory }),
  );
  return {
    add: async (request, signal) => {
      lines = [];
      const result = await attachPod(cni, { list, attachment: toAttachment(request) }, signal);
      return { lines, ips: ipsOf(result) };
    },
  };
}

type Say = (netns: NetnsRef, lines: readonly string[]) => void;

/** Reading finds an empty namespace. */
function recordNetlink(say: Say): Netlink {
  return {
    createNetns: async (path) => say({ kind: 'own' }, [`create network namespace ${path}`]),
    removeNetns: async (path) => say({ kind: 'own' }, [`remove network namespace ${path}`]),
    apply: async (netns, ops) => say(netns, ops.map(renderNetOp)),
    applyAll: async (changes) => changes.forEach(({ netns, ops }) => say(netns, ops.map(renderNetOp))),
    policy: async () => ({ rules: [], routes: [] }),
    sysctls: async (_netns, keys) => keys.map(() => undefined),
    state: async () => ({ links: [], addresses: [], routes: [] }),
    neighbours: async () => ({ neighbours: [], forwarding: [] }),
    watch: async () => ({ [Symbol.asyncDispose]: async () => {} }),
  };
}

/** Refuses a table that nobody has made, as the kernel does: so the plan shows how it comes to be. */
function recordNft(say: Say): Nft {
  const tables = new Set<string>();
  const keyOf = ({ table }: NftOp): string => `${table.family} ${table.name}`;
  return {
    commit: async (netns, ops) => {
      const made = new Set(ops.filter(({ op }) => op === 'ensureTable' || op === 'replaceTable').map(keyOf));
      const missing = ops.map(keyOf).find((key) => !tables.has(key) && !made.has(key));
      if (missing !== undefined) throw new PodwrightError('E_NOT_FOUND', `change table ${missing}: none`);
      for (const key of made) tables.add(key);
      say(netns, ['one nftables transaction', ...ops.map((op) => `  ${renderNftOp(op)}`)]);
    },
    hasTable: async (_netns, table) => tables.has(`${table.family} ${table.name}`),
    ruleCount: async () => 0,
    generation: async () => 0,
    counters: async () => [],
    flows: async () => [],
    removeFlows: async () => 0,
    flushConntrack: async () => 0,
  };
}

function createPlannedLeases(say: (line: string) => void): LeaseStore {
  const owners = new Map<string, { readonly ip: Ip; readonly owner: CniAttachment }>();
  let last: Ip | undefined;
  const isSame = (a: CniAttachment, b: CniAttachment): boolean =>
    a.containerID === b.containerID && a.ifname === b.ifname;
  const leasesOf = (network: string): Leases => ({
    reserve: async (ip, owner) => {
      const text = formatIp(ip);
      if (owners.has(text)) return false;
      owners.set(text, { ip, owner });
      last = ip;
      say(`reserve ${leaseDirectory}/${network}/${text} for ${owner.containerID} ${owner.ifname}`);
      return true;
    },
    lastReserved: async () => last,
    isTaken: async (ip) => owners.has(formatIp(ip)),
    ownedBy: async (owner) =>
      [...owners.values()].filter((each) => isSame(each.owner, owner)).map(({ ip }) => ip),
    release: async (ips) => ips.forEach((ip) => owners.delete(formatIp(ip))),
    retain: async (isKept) => {
      for (const [text, { owner }] of owners) if (!isKept(owner)) owners.delete(text);
    },
    list: async () => [...owners.values()].map(({ ip }) => ip),
  });
  return { withLock: (network, _signal, work) => work(leasesOf(network)) };
}
