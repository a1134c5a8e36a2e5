import { readFile } from 'node:fs/promises';
import { endianness } from 'node:os';
import { describeError } from '#base/errors.ts';
import type { Logger } from '#base/log.ts';
import type { RulesSource } from '#agent/proxy/retraction/applied-rules.ts';
import type { Runtime } from '#agent/runtime/runtime.ts';
import { ownNetns, type LinkInfo, type Netlink } from '#native/netlink/netlink.ts';
import type { WireGuard } from '#native/wireguard/wireguard.ts';
import type { LinkFact, Listener, NetworkFacts, PodNetworkFacts, TunnelFact } from './network-facts.ts';
import { parseSockets } from './parse-sockets.ts';

/** Reads what the kernel says now. */
export type ReadNetworkFacts = (podUids: readonly string[]) => Promise<NetworkFacts>;

export interface NetworkFactsOptions {
  readonly nodeName: string;
  readonly clusterDomain: string;
  readonly clusterDns: readonly string[];
  readonly runtime: Pick<Runtime, 'observe'>;
  readonly netlink: Pick<Netlink, 'state' | 'neighbours'>;
  readonly wireguard: Pick<WireGuard, 'device'>;
  /** Of the proxy. */
  readonly applied: RulesSource;
  readonly log: Logger;
}

export function createNetworkFacts(options: NetworkFactsOptions): ReadNetworkFacts {
  const { nodeName: node, clusterDomain, clusterDns, netlink, applied } = options;
  return async (podUids) => {
    const { links, routes } = await netlink.state(ownNetns);
    const tunnels = links.flatMap((link) => readTunnel(link, options) ?? []);
    const nameOf = new Map(links.map(({ index, name }) => [index, name]));
    return {
      ...{ node, clusterDomain, clusterDns },
      isForwarding: {
        4: (await readText('/proc/sys/net/ipv4/ip_forward')) === '1',
        6: (await readText('/proc/sys/net/ipv6/conf/all/forwarding')) === '1',
      },
      conntrack: await readConntrack(),
      links: links.map(linkFact),
      routes: routes.map(({ destination, gateway, linkIndex, isUnreachable }) => {
        const link = nameOf.get(linkIndex ?? 0);
        const refusal = isUnreachable === undefined ? {} : { isUnreachable };
        return { destination, gateway, ...(link === undefined ? {} : { link }), ...refusal };
      }),
      tunnels: await Promise.all(tunnels),
      proxyMode: applied.mode(),
      tables: await applied.tables(),
      appliedRevision: applied.revision(),
      listeners: await readListeners('self'),
      pods: (await Promise.all(podUids.map((uid) => readPod(uid, options)))).flat(),
    };
  };
}

/** undefined: the link is none that has to be told of other nodes. */
function readTunnel(
  { name: link, kind }: LinkInfo,
  { netlink, wireguard }: NetworkFactsOptions,
): Promise<TunnelFact> | undefined {
  if (kind === 'vxlan')
    return netlink.neighbours(ownNetns, link).then((neighbours) => ({ link, ...neighbours }));
  if (kind !== 'wireguard') return undefined;
  return wireguard
    .device(ownNetns, link)
    .then(({ peers }) => ({ link, neighbours: [], forwarding: [], peers }));
}

/** Nothing of a pod that runs no container, or ends while it is looked at. */
async function readPod(
  uid: string,
  { runtime, netlink, log }: NetworkFactsOptions,
): Promise<readonly PodNetworkFacts[]> {
  const pod = runtime.observe(uid);
  const running = pod?.containers.find(({ state }) => state.state === 'running')?.state;
  if (pod?.sandbox?.state !== 'ready' || running?.state !== 'running') return [];
  try {
    const { netnsPath: path } = pod.sandbox;
    const { links } = path === undefined ? { links: [] } : await netlink.state({ kind: 'path', path });
    return [{ uid, links: links.map(linkFact), listeners: await readListeners(String(running.pid)) }];
  } catch (error) {
    log.debug({ uid, error: describeError(error) }, 'network of a pod not read');
    return [];
  }
}

function linkFact({ name, mtu, isUp, kind }: LinkInfo): LinkFact {
  return { name, mtu, isUp, ...(kind === undefined ? {} : { kind }) };
}

/** @param pid of a process in the network that is meant, or `self` */
async function readListeners(pid: string): Promise<readonly Listener[]> {
  if (endianness() !== 'LE') return [];
  const tables = (['TCP', 'UDP'] as const).flatMap((protocol) =>
    ['', '6'].map(async (family) => {
      const text = await readText(`/proc/${pid}/net/${protocol.toLowerCase()}${family}`);
      return parseSockets(text ?? '', protocol);
    }),
  );
  return (await Promise.all(tables)).flat();
}

async function readConntrack(): Promise<NetworkFacts['conntrack']> {
  const [count, max] = await Promise.all(
    ['count', 'max'].map((name) => readText(`/proc/sys/net/netfilter/nf_conntrack_${name}`)),
  );
  return count === undefined || max === undefined ? undefined : { count: Number(count), max: Number(max) };
}

async function readText(path: string): Promise<string | undefined> {
  try {
    return (await readFile(path, 'utf8')).trimEnd();
  } catch {
    return undefined; // A kernel without it, or a process that has ended.
  }
}
