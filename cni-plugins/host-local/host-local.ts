import { readFile } from 'node:fs/promises';
import type { JsonObject } from '#api/meta/object.ts';
import { cniError, cniErrorCode } from '#api/cni/cni-error.ts';
import { field } from '#api/cni/json-field.ts';
import type { CniAttachment } from '#api/cni/network-config.ts';
import {
  parseDns,
  parseRoute,
  type CniDns,
  type CniIp,
  type CniResult,
  type CniRoute,
} from '#api/cni/result.ts';
import { compareIps, formatCidr, formatIp, parseCidr, parseIp, type Ip } from '#base/ip.ts';
import {
  attachmentKey,
  type CniPlugin,
  type NetworkCall,
  type PluginCall,
} from '#cni-plugins/skel/plugin.ts';
import { createDiskStore, defaultDataDir } from './disk-store.ts';
import type { Leases, LeaseStore } from './lease-store.ts';
import { candidates, capacityOf, parseRangeSets, rangeOf, type Range, type RangeSet } from './ranges.ts';

interface HostLocalConfig {
  readonly network: string;
  readonly rangeSets: readonly RangeSet[];
  readonly routes: readonly CniRoute[];
  readonly requested: readonly Ip[];
  readonly resolvConf: string | undefined;
  readonly dataDir: string;
}

/** IP addresses for containers from ranges that this host owns, kept on this host's disk. */
export function createHostLocal(openStore: (dataDir: string) => LeaseStore = memoizedDiskStore()): CniPlugin {
  const withLeases = <T>(
    config: HostLocalConfig,
    signal: AbortSignal,
    work: (leases: Leases) => Promise<T>,
  ): Promise<T> => openStore(config.dataDir).withLock(config.network, signal, work);
  return {
    name: 'host-local',
    async add(call, _host, signal) {
      const config = parseHostLocal(call, call.args);
      const dns =
        config.resolvConf === undefined ? {} : parseResolvConf(await readFile(config.resolvConf, 'utf8'));
      const ips = await withLeases(config, signal, (leases) => allocate(config, ownerOf(call), leases));
      return { interfaces: [], ips, routes: config.routes, dns } satisfies CniResult;
    },
    async del(call, _host, signal) {
      const config = parseHostLocal(call, {});
      const owner = ownerOf(call);
      await withLeases(config, signal, async (leases) => leases.release(await leases.ownedBy(owner)));
    },
    async check(call, _host, signal) {
      const config = parseHostLocal(call, {});
      const owned = await withLeases(config, signal, (leases) => leases.ownedBy(ownerOf(call)));
      if (owned.length > 0) return;
      throw cniError(
        cniErrorCode.unknownContainer,
        `check ${call.containerId} ${call.ifname}: no address reserved`,
      );
    },
    async gc(call, valid, _host, signal) {
      const kept = new Set(valid.map((item) => attachmentKey(item.containerID, item.ifname)));
      const ids = new Set(valid.map((item) => item.containerID));
      await withLeases(parseHostLocal(call, {}), signal, (leases) =>
        leases.retain((owner) =>
          owner.ifname === ''
            ? ids.has(owner.containerID)
            : kept.has(attachmentKey(owner.containerID, owner.ifname)),
        ),
      );
    },
    async status(call, _host, signal) {
      const config = parseHostLocal(call, {});
      const taken = await withLeases(config, signal, (leases) => leases.list());
      for (const [i, set] of config.rangeSets.entries()) {
        const used = BigInt(taken.filter((ip) => rangeOf(set, ip) !== undefined).length);
        if (used >= capacityOf(set))
          throw cniError(
            cniErrorCode.pluginNotAvailable,
            `${call.config['name']}: range set ${i} has no free address`,
          );
      }
    },
  };
}

/** One store per directory, so that calls in this process stand in one line. */
function memoizedDiskStore(): (dataDir: string) => LeaseStore {
  const stores = new Map<string, LeaseStore>();
  return (dataDir) => {
    const store = stores.get(dataDir) ?? createDiskStore(dataDir);
    stores.set(dataDir, store);
    return store;
  };
}

async function allocate(
  config: HostLocalConfig,
  owner: CniAttachment,
  leases: Leases,
): Promise<readonly CniIp[]> {
  const existing = await leases.ownedBy(owner);
  const has = existing[0];
  if (has !== undefined) {
    throw cniError(
      cniErrorCode.invalidNetworkConfig,
      `${owner.containerID} ${owner.ifname} has ${formatIp(has)} already`,
    );
  }
  const taken: Ip[] = [];
  try {
    const ips: CniIp[] = [];
    for (const [i, set] of config.rangeSets.entries()) {
      const { ip, range } = await allocateOne({ set, index: i }, config.requested, owner, leases);
      taken.push(ip);
      ips.push({
        address: formatCidr({ ip, prefix: range.subnet.prefix }),
        gateway: formatIp(range.gateway),
      });
    }
    const stranger = config.requested.find((ip) => !taken.some((own) => compareIps(own, ip) === 0));
    if (stranger !== undefined)
      throw cniError(cniErrorCode.invalidNetworkConfig, `requested ${formatIp(stranger)} is in no range`);
    return ips;
  } catch (error) {
    // All or nothing: a container that got one address of two would keep it for ever.
    await leases.release(taken);
    throw error;
  }
}

async function allocateOne(
  { set, index }: { readonly set: RangeSet; readonly index: number },
  requested: readonly Ip[],
  owner: CniAttachment,
  leases: Leases,
): Promise<{ readonly ip: Ip; readonly range: Range }> {
  for (const ip of requested) {
    const range = rangeOf(set, ip);
    if (range === undefined) continue;
    if (compareIps(ip, range.gateway) === 0 || !(await leases.reserve(ip, owner, index))) {
      throw cniError(cniErrorCode.invalidNetworkConfig, `requested ${formatIp(ip)} is taken`);
    }
    return { ip, range };
  }
  for (const candidate of candidates(set, await leases.lastReserved(index))) {
    if (await leases.isTaken(candidate.ip)) continue;
    if (await leases.reserve(candidate.ip, owner, index)) return candidate;
  }
  throw cniError(cniErrorCode.tryAgainLater, `range set ${index}: no free address`);
}

function ownerOf(call: PluginCall): CniAttachment {
  return { containerID: call.containerId, ifname: call.ifname };
}

function parseHostLocal(call: NetworkCall, args: Readonly<Record<string, string>>): HostLocalConfig {
  const ipam = field.object(call.config, 'ipam');
  if (ipam === undefined) throw cniError(cniErrorCode.invalidNetworkConfig, 'host-local: ipam is missing');
  const runtime = field.object(call.config, 'runtimeConfig') ?? {};
  return {
    network: field.string(call.config, 'name') ?? '',
    rangeSets: parseRangeSets(ipam, field.array(runtime, 'ipRanges')),
    routes: field.objects(ipam, 'routes').map(parseRoute),
    requested: parseRequested(call.config, runtime, args),
    resolvConf: field.string(ipam, 'resolvConf'),
    dataDir: field.string(ipam, 'dataDir') ?? defaultDataDir,
  };
}

/** Addresses asked for: by CNI_ARGS (`IP=`), by `args.cni.ips` and by the capability `ips`; a prefix is allowed. */
function parseRequested(
  config: JsonObject,
  runtime: JsonObject,
  args: Readonly<Record<string, string>>,
): readonly Ip[] {
  const cniArgs = field.object(field.object(config, 'args') ?? {}, 'cni') ?? {};
  const fromArgs = args['IP'] === undefined ? [] : [args['IP']];
  return [...fromArgs, ...field.strings(cniArgs, 'ips'), ...field.strings(runtime, 'ips')].map((text) => {
    const ip = parseIp(text) ?? parseCidr(text)?.ip;
    if (ip === undefined)
      throw cniError(
        cniErrorCode.invalidNetworkConfig,
        `requested address ${JSON.stringify(text)} is not one`,
      );
    return ip;
  });
}

/** resolv.conf(5) as CNI's `dns`. */
export function parseResolvConf(text: string): CniDns {
  const words = text.split('\n').map((line) => line.trim().split(/\s+/));
  const all = (keyword: string): readonly string[] =>
    words.filter(([first]) => first === keyword).flatMap(([, ...rest]) => rest);
  const [domain] = all('domain');
  return parseDns({
    nameservers: all('nameserver'),
    ...(domain === undefined ? {} : { domain }),
    search: all('search'),
    options: all('options'),
  });
}
