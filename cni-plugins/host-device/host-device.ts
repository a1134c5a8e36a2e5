import { existsSync, readdirSync, realpathSync } from 'node:fs';
import { basename, join } from 'node:path';
import { errnoOf } from '#base/errors.ts';
import { cniError, cniErrorCode } from '#api/cni/cni-error.ts';
import { field } from '#api/cni/json-field.ts';
import type { PluginConfig } from '#api/cni/network-config.ts';
import type { CniResult } from '#api/cni/result.ts';
import { ownNetns, type NetOp, type NetworkState } from '#native/netlink/netlink.ts';
import { parseLinkConfig, type LinkConfig } from '#cni-plugins/skel/link-config.ts';
import { planContainer, planIpv6, toRouteOp, withGateways } from '#cni-plugins/skel/link-plan.ts';
import {
  createLinkPlugin,
  type LinkPlan,
  type PlanInput,
  type RestoreInput,
} from '#cni-plugins/skel/link-plugin.ts';
import type { CniPlugin } from '#cni-plugins/skel/plugin.ts';
import {
  hostNetworkOf,
  noHostNetwork,
  planHostNetwork,
  planHostRules,
  resultOfHost,
  type HostNetwork,
} from './host-network.ts';

export interface HostDeviceConfig extends LinkConfig {
  readonly device: string | undefined;
  readonly hwaddr: string | undefined;
  /** A directory of sysfs whose `net` holds the link. */
  readonly path: string | undefined;
  /** Else it is a program's in the container, and only its addresses are given out. */
  readonly hasLink: boolean;
  /** The container has the addresses, routes and rules that the link has on the host. */
  readonly usesHostNetwork: boolean;
}

/** Gives a link of the host to the container, and takes it back. The link keeps its name as an alias meanwhile. */
export const hostDevice: CniPlugin = createLinkPlugin<HostDeviceConfig>({
  name: 'host-device',
  looks: true,
  looksAtPolicy: true,
  returnsLink: true,
  reachesServers: true,
  parse: parseHostDeviceConfig,
  hasLink: (config) => config.hasLink,
  plan: planHostDevice,
  planRestore: planBack,
  planDel: (config, { ifname }, found) => {
    const link = found === undefined ? undefined : findTaken(config, ifname, found);
    if (link === undefined) return { host: [], container: [] };
    const { name, alias } = link;
    return {
      host: [],
      container: [
        { op: 'setLink', name, up: false },
        { op: 'setLink', name, rename: alias, alias: '', moveTo: ownNetns },
      ],
    };
  },
});

/**
 * The link that a container was given, by its name there. Where the container has renamed it (containernetworking/plugins#766): the one whose
 * alias is the device that the configuration names; of a configuration that says it otherwise, the one that has the hardware address
 * that it had after ADD, too. Of two that could be it neither is taken. Pure.
 */
export function findTaken(
  { device, path, hwaddr }: Pick<HostDeviceConfig, 'device' | 'path' | 'hwaddr'>,
  ifname: string,
  { container, previous }: { readonly container: NetworkState; readonly previous: CniResult | undefined },
): { readonly name: string; readonly alias: string } | undefined {
  const taken = container.links.flatMap(({ name, alias = '', mac }) =>
    alias === '' ? [] : [{ name, alias, mac }],
  );
  const byName = taken.find(({ name }) => name === ifname);
  if (byName !== undefined) return byName;
  // By its path a device has no name any more once it is the container's: sysfs shows those of the host.
  const named = path === undefined ? device : undefined;
  const mac = hwaddr ?? previous?.interfaces.find((each) => each.name === ifname && each.sandbox)?.mac;
  const renamed = taken.filter((link) =>
    named === undefined ? mac !== undefined && link.mac === mac : link.alias === named,
  );
  return renamed.length === 1 ? renamed[0] : undefined;
}

/** Pure. */
export function planHostDevice({
  config,
  request,
  ipam,
  host,
  policy,
}: PlanInput<HostDeviceConfig>): LinkPlan {
  const netns = { kind: 'path', path: request.netns } as const;
  const found = config.hasLink ? findDevice(config, host) : undefined;
  const taken =
    config.usesHostNetwork && found !== undefined ? hostNetworkOf(found.index, host, policy) : noHostNetwork;
  const own = resultOfHost(taken);
  const result = {
    ...ipam,
    interfaces: [{ name: request.ifname, sandbox: request.netns }],
    ips: [...own.ips, ...ipam.ips].map((ip) => ({ ...ip, interface: 0 })),
    routes: [...own.routes, ...ipam.routes],
  };
  if (found === undefined) return { changes: [], result };
  const { name } = found;
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
          ...planAddresses(config, request.ifname, taken, ipam),
        ],
      },
    ],
    result,
  };
}

/** What the host had first. A router that told the host of itself shall tell the container. */
function planAddresses(
  { usesHostNetwork }: HostDeviceConfig,
  name: string,
  taken: HostNetwork,
  ipam: CniResult,
): readonly NetOp[] {
  if (!usesHostNetwork) return planContainer(name, ipam);
  return [
    ...planIpv6(name, [...taken.addresses.map((address) => ({ address })), ...ipam.ips]),
    { op: 'setLink', name, up: true },
    ...planHostNetwork(name, taken),
    ...ipam.ips.map(({ address }): NetOp => ({ op: 'ensureAddress', name, address })),
    ...withGateways(ipam.ips, ipam.routes).map((route): NetOp => toRouteOp(route, name)),
    ...planHostRules(taken),
  ];
}

/** Of an ADD that failed: the link is the host's again, as it was. What the kernel makes anew is not told it. Pure. */
function planBack({ config, host, policy }: RestoreInput<HostDeviceConfig>): readonly NetOp[] {
  const link = config.hasLink ? findDevice(config, host) : undefined;
  if (link === undefined) return [];
  const { name, mtu, mac, isUp, alias = '' } = link;
  const { addresses, routes, rules } = hostNetworkOf(link.index, host, policy);
  return [
    {
      op: 'setLink',
      name,
      alias,
      ...(config.mtu === undefined ? {} : { mtu }),
      ...(config.mac === undefined || mac === undefined ? {} : { mac }),
      up: isUp,
    },
    ...planHostNetwork(name, { addresses, routes: isUp ? routes : [], rules }),
  ];
}

function findDevice({ device, hwaddr }: HostDeviceConfig, host: NetworkState): NetworkState['links'][number] {
  const link = host.links.find(({ name, mac }) => (device === undefined ? mac === hwaddr : name === device));
  if (link === undefined)
    throw cniError(cniErrorCode.invalidNetworkConfig, `host-device: ${device ?? hwaddr} is not there`);
  if (link.name === 'lo')
    throw cniError(cniErrorCode.invalidNetworkConfig, 'host-device: lo cannot be moved');
  return link;
}

/** One of device, hwaddr, kernelpath, pciBusID; the capability deviceID, given by a device plugin, is in place of the last. */
function parseHostDeviceConfig(
  config: PluginConfig,
  args?: Readonly<Record<string, string>>,
): HostDeviceConfig {
  const common = parseLinkConfig(config, args);
  const runtime = field.object(config, 'runtimeConfig') ?? {};
  const said = (name: string): string | undefined => field.string(config, name) || undefined;
  const id = field.string(runtime, 'deviceID') || undefined;
  const hwaddr = said('hwaddr')?.toLowerCase();
  const path = id === undefined ? parsePath(said('kernelpath'), said('pciBusID')) : pathOfDevice(id);
  const device =
    said('device') ?? (hwaddr === undefined && path !== undefined ? linkOfPath(path) : undefined);
  const hasLink = path === undefined || !path.startsWith(sysfs.pci) || !isOfProgram(path);
  const usesHostNetwork = field.boolean(config, 'useInterfaceNetwork') ?? false;
  if (usesHostNetwork && !hasLink)
    throw cniError(
      cniErrorCode.invalidNetworkConfig,
      'host-device: useInterfaceNetwork is of a link, and a program has this device',
    );
  if (device !== undefined || hwaddr !== undefined)
    return { ...common, device, hwaddr, path, hasLink, usesHostNetwork };
  throw cniError(
    cniErrorCode.invalidNetworkConfig,
    'host-device: one of device, hwaddr, kernelpath, pciBusID and the capability deviceID is needed',
  );
}

/** The first that is said. */
function parsePath(kernelPath: string | undefined, pci: string | undefined): string | undefined {
  if (kernelPath === undefined) return pci === undefined ? undefined : join(sysfs.pci, checkedId(pci));
  if (kernelPath.startsWith('/sys/devices/') && !kernelPath.includes('..')) return kernelPath;
  throw cniError(
    cniErrorCode.invalidNetworkConfig,
    `host-device: kernelpath ${JSON.stringify(kernelPath)} does not begin with /sys/devices/`,
  );
}

/** Of a device plugin: on the PCI bus, or a part of such a device that has a name of its own (`mlx5_core.sf.4`). */
function pathOfDevice(id: string): string {
  const paths = [sysfs.pci, sysfs.auxiliary].map((bus) => join(bus, checkedId(id)));
  return paths.find((path) => existsSync(path)) ?? join(sysfs.pci, id);
}

const sysfs = { pci: '/sys/bus/pci/devices', auxiliary: '/sys/bus/auxiliary/devices' } as const;

function checkedId(id: string): string {
  if (/^[\w.:-]+$/.test(id) && !/^\.+$/.test(id)) return id;
  throw cniError(
    cniErrorCode.invalidNetworkConfig,
    `host-device: ${JSON.stringify(id)} is not the name of a device`,
  );
}

/** Undefined once the link is the container's: sysfs shows those of the host. */
function linkOfPath(path: string): string {
  // A device of virtio is one of its own below that of the bus. Of DEL the name in the container is enough.
  const parents = [
    path,
    ...namesIn(path)
      .filter((name) => name.startsWith('virtio'))
      .map((name) => join(path, name)),
  ];
  return parents.flatMap((parent) => namesIn(join(parent, 'net')))[0] ?? path;
}

function namesIn(directory: string): readonly string[] {
  try {
    return readdirSync(directory);
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return [];
    throw error;
  }
}

/** Drivers that give a device to a program (DPDK): the kernel has no link of it. */
const drivers: ReadonlySet<string> = new Set(['vfio-pci', 'uio_pci_generic', 'igb_uio']);

function isOfProgram(path: string): boolean {
  const driver = join(path, 'driver');
  return existsSync(driver) && drivers.has(basename(realpathSync(driver)));
}
