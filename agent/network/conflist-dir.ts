import { readdirSync, readFileSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { removeDrafts, writeDurably } from '#base/durable-file.ts';
import { errnoOf, isPodwrightError, PodwrightError } from '#base/errors.ts';
import { parseJsonObject } from '#api/cni/json-field.ts';
import type { JsonObject } from '#api/meta/object.ts';
import { isObject } from '#api/wire/json.ts';
import { parseNetworkConfigList, type NetworkConfigList } from '#api/cni/network-config.ts';

/**
 * The first network configuration of a directory, by file name; undefined if there is none. One that cannot be read is an
 * error and not skipped: the next file would put pods into another network than the one meant. The reads are synchronous:
 * every pod asks, so both are in the page cache (0.05 ms), where two trips through libuv's pool hold up a pod for 2.
 */
export function loadConflist(dir: string): NetworkConfigList | undefined {
  const [name] = conflistsIn(dir);
  if (name === undefined) return undefined;
  const path = join(dir, name);
  try {
    return parseNetworkConfigList(readFileSync(path, 'utf8'), (network) => pluginsIn(join(dir, network)));
  } catch (cause) {
    throw new PodwrightError('E_INVALID', `read network configuration ${path}`, { cause });
  }
}

/** All network configurations of a directory that can be read, by file name: each may have been a node's own once. */
export function loadConflists(dir: string): readonly NetworkConfigList[] {
  return conflistsIn(dir).flatMap((name) => {
    try {
      return parseNetworkConfigList(readFileSync(join(dir, name), 'utf8'), (network) =>
        pluginsIn(join(dir, network)),
      );
    } catch (error) {
      if (isPodwrightError(error) || errnoOf(error) !== undefined) return [];
      throw error;
    }
  });
}

const conflistsIn = (dir: string): readonly string[] =>
  namesIn(dir)
    .filter((entry) => /\.(conflist|conf|json)$/.test(entry))
    .toSorted();

/** The plugins that files `*.conf` of a directory add, by their names. */
function pluginsIn(dir: string): readonly JsonObject[] {
  return namesIn(dir)
    .filter((entry) => entry.endsWith('.conf'))
    .toSorted()
    .map((entry) => parseJsonObject(readFileSync(join(dir, entry), 'utf8'), join(dir, entry)));
}

function namesIn(dir: string): readonly string[] {
  try {
    return readdirSync(dir);
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return [];
    throw error;
  }
}

export interface DefaultConflist {
  /** The node's part of the cluster's pod addresses; IPv4, IPv6 or both. */
  readonly podCidrs: readonly string[];
  readonly mtu?: number | undefined;
  /** Where host-local keeps its leases. */
  readonly leaseDir: string;
  readonly bridge?: string;
}

/** The document of the network that a node makes for itself: a bridge with the node as gateway. Pure. */
export function renderDefaultConflist(options: DefaultConflist): string {
  const document = {
    cniVersion: '1.1.0',
    name: 'podwright',
    plugins: [
      {
        type: 'bridge',
        bridge: options.bridge ?? 'cni0',
        isDefaultGateway: true,
        // Packets between pods of this node pass the node's netfilter without the module br_netfilter.
        routed: true,
        hairpinMode: true,
        ...(options.mtu === undefined ? {} : { mtu: options.mtu }),
        ipam: {
          type: 'host-local',
          dataDir: options.leaseDir,
          ranges: options.podCidrs.map((subnet) => [{ subnet }]),
        },
      },
      { type: 'portmap', capabilities: { portMappings: true } },
      { type: 'bandwidth', capabilities: { bandwidth: true } },
    ],
  };
  return `${JSON.stringify(document, undefined, 2)}\n`;
}

/** Writes the default network, whole or not at all. A network of somebody else's whose name sorts first is used instead. */
export async function writeDefaultConflist(dir: string, options: DefaultConflist): Promise<void> {
  await mkdir(dir, { recursive: true });
  removeDrafts(dir);
  await writeDurably(join(dir, defaultName), renderDefaultConflist(options), { mode: 0o644 });
}

const defaultName = '90-podwright.conflist';

/** The ranges of the network that a node made for itself; none where it made none. */
export function defaultPodCidrs(dir: string): readonly string[] {
  try {
    const { plugins } = parseNetworkConfigList(readFileSync(join(dir, defaultName), 'utf8'), () => []);
    const ipam: unknown = plugins[0]?.['ipam'];
    const ranges = isObject(ipam) && Array.isArray(ipam['ranges']) ? ipam['ranges'].flat() : [];
    return ranges.flatMap((range) =>
      isObject(range) && typeof range['subnet'] === 'string' ? [range['subnet']] : [],
    );
  } catch (error) {
    if (errnoOf(error) === 'ENOENT' || isPodwrightError(error, 'E_INVALID')) return [];
    throw error;
  }
}
