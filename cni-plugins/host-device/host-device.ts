import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { errnoOf } from '#base/errors.ts';
import { cniError, cniErrorCode } from '#api/cni/cni-error.ts';
import { field } from '#api/cni/json-field.ts';
import type { PluginConfig } from '#api/cni/network-config.ts';
import { ownNetns, type NetworkState } from '#native/netlink/netlink.ts';
import { parseLinkConfig, type LinkConfig } from '#cni-plugins/skel/link-config.ts';
import { planContainer } from '#cni-plugins/skel/link-plan.ts';
import { createLinkPlugin, type LinkPlan, type PlanInput } from '#cni-plugins/skel/link-plugin.ts';
import type { CniPlugin } from '#cni-plugins/skel/plugin.ts';

export interface HostDeviceConfig extends LinkConfig {
  readonly device: string | undefined;
  readonly hwaddr: string | undefined;
  /** A directory of sysfs whose `net` holds the link. */
  readonly path: string | undefined;
}

/** Gives a link of the host to the container, and takes it back. The link keeps its name as an alias meanwhile. */
export const hostDevice: CniPlugin = createLinkPlugin<HostDeviceConfig>({
  name: 'host-device',
  looks: true,
  returnsLink: true,
  reachesServers: true,
  parse: parseHostDeviceConfig,
  plan: planHostDevice,
  planDel: (_config, { ifname }, container) => {
    const link = container?.links.find(({ name }) => name === ifname);
    const name = link?.alias ?? '';
    if (link === undefined || name === '') return { host: [], container: [] };
    return {
      host: [],
      container: [
        { op: 'setLink', name: ifname, up: false },
        { op: 'setLink', name: ifname, rename: name, alias: '', moveTo: ownNetns },
      ],
    };
  },
});

/** Pure. */
export function planHostDevice({ config, request, ipam, host }: PlanInput<HostDeviceConfig>): LinkPlan {
  const { name } = findDevice(config, host);
  const netns = { kind: 'path', path: request.netns } as const;
  const settings = {
    ...(config.mtu === undefined ? {} : { mtu: config.mtu }),
    ...(config.mac === undefined ? {} : { mac: config.mac }),
  };
  return {
    changes: [
      {
        netns: ownNetns,
        ops: [
          { op: 'setLink', name, up: false, alias: name },
          { op: 'setLink', name, rename: request.ifname, moveTo: netns },
        ],
      },
      {
        netns,
        ops: [
          ...(Object.keys(settings).length === 0
            ? []
            : [{ op: 'setLink', name: request.ifname, ...settings } as const]),
          ...planContainer(request.ifname, ipam),
        ],
      },
    ],
    result: {
      ...ipam,
      interfaces: [{ name: request.ifname, sandbox: request.netns }],
      ips: ipam.ips.map((ip) => ({ ...ip, interface: 0 })),
    },
  };
}

function findDevice({ device, hwaddr }: HostDeviceConfig, host: NetworkState): NetworkState['links'][number] {
  const link = host.links.find(({ name, mac }) => (device === undefined ? mac === hwaddr : name === device));
  if (link === undefined)
    throw cniError(cniErrorCode.invalidNetworkConfig, `host-device: ${device ?? hwaddr} is not there`);
  if (link.name === 'lo')
    throw cniError(cniErrorCode.invalidNetworkConfig, 'host-device: lo cannot be moved');
  return link;
}

/** One of device, hwaddr, kernelpath, pciBusID; the capability deviceID is the latter, given by a device plugin. */
function parseHostDeviceConfig(
  config: PluginConfig,
  args?: Readonly<Record<string, string>>,
): HostDeviceConfig {
  const common = parseLinkConfig(config, args);
  const runtime = field.object(config, 'runtimeConfig') ?? {};
  const pci = field.string(runtime, 'deviceID') ?? field.string(config, 'pciBusID');
  const path = pci === undefined ? field.string(config, 'kernelpath') : `/sys/bus/pci/devices/${pci}`;
  const device = field.string(config, 'device') ?? (path === undefined ? undefined : linkOfPath(path));
  const hwaddr = field.string(config, 'hwaddr')?.toLowerCase();
  if (device !== undefined || hwaddr !== undefined) return { ...common, device, hwaddr, path };
  throw cniError(
    cniErrorCode.invalidNetworkConfig,
    'host-device: one of device, hwaddr, kernelpath, pciBusID and the capability deviceID is needed',
  );
}

/** Undefined once the link is the container's: sysfs shows those of the host. */
function linkOfPath(path: string): string {
  if (path.includes('..')) throw cniError(cniErrorCode.invalidNetworkConfig, `host-device: path ${path}`);
  try {
    return readdirSync(join(path, 'net'))[0] ?? path;
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return path; // Of DEL the name in the container is enough.
    throw error;
  }
}
