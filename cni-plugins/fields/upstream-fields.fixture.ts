/**
 * Every field of every plugin of containernetworking/plugins (main, autumn of 2026: `NetConf` and its like of each, with the capabilities,
 * `args.cni` and CNI_ARGS that it reads) and of flannel-io/cni-plugin, and what shows that ours goes by it. What is not here is unknown to
 * upstream, and passed over.
 */
import type { JsonObject } from '#api/meta/object.ts';

export type FieldProof =
  /** ADD and DEL do something else with `to` there than with `from`, or with nothing: of directories with `from`, as else they are the host's. */
  | { readonly kind: 'acted'; readonly to: unknown; readonly from?: unknown; readonly on?: JsonObject }
  /** A test shows it, by its name or that of its row. */
  | { readonly kind: 'named'; readonly file: string; readonly name: string }
  /** ADD fails by code 2, and the message has the field. */
  | { readonly kind: 'refused'; readonly to: unknown; readonly because: string }
  /** It says how upstream does what ours does otherwise. */
  | { readonly kind: 'needless'; readonly to: unknown; readonly because: string };

export interface PluginFields {
  /** The plugin that is called, if not the one by whose name this is. */
  readonly through?: string;
  readonly base: JsonObject;
  /** By path: of the configuration; `CNI_ARGS.X` is an argument. */
  readonly fields: Readonly<Record<string, FieldProof>>;
}

const acted = (to: unknown, on?: JsonObject, from?: unknown): FieldProof => ({
  kind: 'acted',
  to,
  ...(on === undefined ? {} : { on }),
  ...(from === undefined ? {} : { from }),
});
const named = (file: string, name: string): FieldProof => ({
  kind: 'named',
  file: `cni-plugins/${file}`,
  name,
});
const refused = (to: unknown, because: string): FieldProof => ({ kind: 'refused', to, because });
const needless = (to: unknown, because: string): FieldProof => ({ kind: 'needless', to, because });

const mac = '02:00:00:00:00:77';
const addresses = [{ address: '10.1.0.2/24', gateway: '10.1.0.1' }];
const ipam = { type: 'static', addresses, routes: [{ dst: '0.0.0.0/0' }] };
const dns = acted({ nameservers: ['192.0.2.53'], search: ['example.com'] });
const inNftables = refused('iptables', 'rules are in nftables, which the kernel has either way');
/** What every main plugin passes on. */
const common = { ipam: acted(ipam, { ipam: undefined }), dns } satisfies Record<string, FieldProof>;
const macs = { 'runtimeConfig.mac': acted(mac), 'CNI_ARGS.MAC': acted(mac) };
const lease = { type: 'host-local', subnet: '10.1.0.0/24', dataDir: 'DIR' };
const mapped = {
  runtimeConfig: { portMappings: [{ hostPort: 8080, containerPort: 80, protocol: 'tcp' }] },
};
const mapping = (changes: object): unknown => [
  { hostPort: 8080, containerPort: 80, protocol: 'tcp', ...changes },
];
const bounded = { ingressRate: 8000, ingressBurst: 8000, egressRate: 8000, egressBurst: 8000 };
const ofRules = 'upstream tells packets of its rules from each other by a mark; ours need none';

export const upstreamFields: Readonly<Record<string, PluginFields>> = {
  bridge: {
    base: { ipam },
    fields: {
      ...common,
      ...macs,
      bridge: acted('br7'),
      isGateway: acted(true),
      isDefaultGateway: acted(true, { isGateway: true, ipam: { type: 'static', addresses } }),
      forceAddress: acted(true, { bridge: 'ens3', isGateway: true }),
      ipMasq: acted(true),
      ipMasqBackend: inNftables,
      mtu: acted(1400),
      hairpinMode: acted(true),
      promiscMode: acted(true),
      vlan: acted(7),
      vlanTrunk: acted([{ id: 3 }, { minID: 5, maxID: 9 }]),
      'vlanTrunk.0.id': acted(4, { vlanTrunk: [{ id: 3 }] }, 3),
      'vlanTrunk.0.minID': acted(4, { vlanTrunk: [{ minID: 3, maxID: 9, id: 11 }] }, 3),
      'vlanTrunk.0.maxID': acted(8, { vlanTrunk: [{ minID: 3, maxID: 9, id: 11 }] }, 9),
      preserveDefaultVlan: acted(false, { vlan: 7 }),
      macspoofchk: acted(true),
      enabledad: acted(true),
      disableContainerInterface: acted(true, { ipam: undefined }),
      portIsolation: acted(true),
      'args.cni.mac': acted(mac),
    },
  },
  ptp: {
    base: { ipam },
    fields: {
      dns,
      ipMasq: acted(true),
      ipMasqBackend: inNftables,
      mtu: acted(1400),
      ipam: acted({ ...ipam, routes: [] }),
    },
  },
  macvlan: {
    base: { ipam },
    fields: {
      ...common,
      ...macs,
      master: acted('ens4'),
      mode: acted('private'),
      mtu: acted(1400),
      mac: acted(mac),
      linkInContainer: acted(true, { master: 'eth0' }),
      bcqueuelen: acted(5000),
    },
  },
  ipvlan: {
    base: { ipam },
    fields: {
      ...common,
      master: acted('ens4'),
      mode: acted('l3'),
      mtu: acted(1400),
      linkInContainer: acted(true, { master: 'eth0' }),
      prevResult: acted(
        { cniVersion: '1.1.0', interfaces: [{ name: 'ens4' }], ips: [{ address: '10.9.0.2/24' }] },
        { ipam: undefined },
      ),
    },
  },
  vlan: {
    base: { master: 'ens3', vlanId: 5, ipam },
    fields: {
      ...common,
      master: acted('ens4'),
      vlanId: acted(6),
      mtu: acted(1400),
      linkInContainer: acted(true, { master: 'eth0' }),
    },
  },
  'host-device': {
    base: { device: 'ens4', ipam },
    fields: {
      ...common,
      device: acted('ens3'),
      hwaddr: acted('02:00:00:00:00:04', { device: undefined }, '0a:58:0a:01:00:02'),
      kernelpath: named('refusals.test.ts', "kernelpath: '/tmp/x'"),
      pciBusID: named('refusals.test.ts', "pciBusID: '../x'"),
      'runtimeConfig.deviceID': named('refusals.test.ts', "deviceID: '0000:ff:1f.7'"),
      useInterfaceNetwork: acted(true, { device: 'ens3' }),
    },
  },
  dummy: { base: { ipam }, fields: { ipam: acted({ ...ipam, routes: [] }) } },
  tap: {
    base: { ipam },
    fields: {
      ...common,
      ...macs,
      multiQueue: acted(true),
      mtu: acted(1400),
      mac: acted(mac),
      owner: acted(1000),
      group: acted(1000),
      selinuxContext: refused(
        'system_u:system_r:container_t:s0',
        'a device has the label of the process that makes it, which here is the agent',
      ),
      bridge: acted('br0'),
    },
  },
  bandwidth: {
    base: { ...bounded },
    fields: {
      ingressRate: acted(16_000),
      ingressBurst: acted(16_000),
      egressRate: acted(16_000),
      egressBurst: acted(16_000),
      unshapedSubnets: acted(['10.0.0.0/8']),
      shapedSubnets: acted(['10.0.0.0/8']),
      'runtimeConfig.bandwidth': acted(bounded, {
        ingressRate: undefined,
        ingressBurst: undefined,
        egressRate: undefined,
        egressBurst: undefined,
      }),
    },
  },
  firewall: {
    base: {},
    fields: {
      backend: named('firewall/firewalld.test.ts', "backend: 'firewalld'"),
      firewalldZone: named('firewall/firewalld.test.ts', 'firewalldZone'),
      iptablesAdminChainName: acted('SOME-CHAIN'),
      ingressPolicy: acted('isolated', {}, 'same-bridge'),
    },
  },
  portmap: {
    base: mapped,
    fields: {
      backend: refused('iptables', 'rules are in nftables, which the kernel has either way'),
      snat: acted(false),
      masqAll: acted(true),
      conditionsV4: acted(['!', '-d', '192.0.2.0/24']),
      conditionsV6: acted(['ip6 daddr != fc00::/7']),
      markMasqBit: needless(7, ofRules),
      externalSetMarkChain: needless('KUBE-MARK-MASQ', ofRules),
      'runtimeConfig.portMappings': acted(mapping({}), { runtimeConfig: {} }),
      'runtimeConfig.portMappings.0.hostPort': acted(8081),
      'runtimeConfig.portMappings.0.containerPort': acted(81),
      'runtimeConfig.portMappings.0.protocol': acted('udp'),
      'runtimeConfig.portMappings.0.hostIP': acted('192.0.2.1'),
    },
  },
  sbr: {
    base: {},
    fields: { table: acted(200), gateways: acted(['10.1.0.254']), addSourceHints: acted(true) },
  },
  tuning: {
    base: { dataDir: 'DIR' },
    fields: {
      ...macs,
      dataDir: acted('DIR/other', { mtu: 1400 }, 'DIR'),
      sysctl: acted({ 'net.ipv4.conf.IFNAME.arp_filter': '1' }),
      mac: acted(mac),
      promisc: acted(true),
      mtu: acted(1400),
      allmulti: acted(true),
      txQLen: acted(5),
      'args.cni.sysctl': acted({ 'net.core.somaxconn': '500' }),
      'args.cni.mac': acted(mac),
      'args.cni.promisc': acted(true),
      'args.cni.mtu': acted(1400),
      'args.cni.allmulti': acted(true),
      'args.cni.txQLen': acted(5),
    },
  },
  vrf: { base: { vrfname: 'blue' }, fields: { vrfname: acted('red'), table: acted(77) } },
  loopback: { base: {}, fields: {} },
  'host-local': {
    base: { ipam: lease },
    fields: {
      'ipam.subnet': acted('10.2.0.0/24'),
      'ipam.rangeStart': acted('10.1.0.50'),
      'ipam.rangeEnd': named('host-local/ranges.test.ts', 'keeps to start and end'),
      'ipam.gateway': acted('10.1.0.254'),
      'ipam.ranges': acted([[{ subnet: '10.3.0.0/24' }]]),
      'ipam.routes': acted([{ dst: '10.8.0.0/16' }]),
      'ipam.dataDir': acted('DIR/other', {}, 'DIR'),
      'ipam.resolvConf': acted('DIR/resolv.conf'),
      'runtimeConfig.ipRanges': acted([[{ subnet: '10.4.0.0/24' }]]),
      'runtimeConfig.ips': acted(['10.1.0.9/24']),
      'args.cni.ips': acted(['10.1.0.9']),
      'CNI_ARGS.IP': acted('10.1.0.9'),
    },
  },
  static: {
    base: { ipam },
    fields: {
      'ipam.addresses': acted([{ address: '10.1.0.3/24' }]),
      'ipam.addresses.0.address': acted('10.1.0.3/24'),
      'ipam.addresses.0.gateway': acted('10.1.0.254'),
      'ipam.routes': acted([{ dst: '10.8.0.0/16' }]),
      'ipam.dns': acted({ nameservers: ['192.0.2.53'], domain: 'example.com' }),
      'runtimeConfig.ips': acted(['10.1.0.9/24']),
      'args.cni.ips': acted(['10.1.0.9/24']),
      'CNI_ARGS.IP': acted('10.1.0.9/24'),
      'CNI_ARGS.GATEWAY': named('kinds.linux.test.ts', 'GATEWAY'),
    },
  },
  routes: {
    through: 'ptp',
    base: { ipam: { ...ipam, routes: [{ dst: '10.8.0.0/16', gw: '10.1.0.9' }] } },
    fields: {
      'ipam.routes.0.dst': acted('10.9.0.0/16'),
      'ipam.routes.0.gw': acted('10.1.0.10'),
      'ipam.routes.0.mtu': acted(1300),
      'ipam.routes.0.advmss': acted(1200),
      'ipam.routes.0.priority': acted(7),
      'ipam.routes.0.table': acted(9),
      'ipam.routes.0.scope': acted(253, { ipam: { ...ipam, routes: [{ dst: '10.8.0.0/16' }] } }),
    },
  },
  dhcp: {
    base: { ipam: { type: 'dhcp' } },
    fields: {
      'ipam.daemonSocketPath': named('refusals.test.ts', "daemonSocketPath: '/none'"),
      'ipam.provide': acted([{ option: 'host-name', value: 'c1' }]),
      'ipam.provide.0.fromArg': acted('NAME', {
        ipam: { type: 'dhcp', provide: [{ option: 'host-name', value: 'c1' }] },
        args: { NAME: 'c2' },
      }),
      'ipam.request': acted([{ option: 119 }]),
      'ipam.request.0.skipDefault': acted(true, { ipam: { type: 'dhcp', request: [{ option: 119 }] } }),
      'ipam.priority': acted(7),
      'ipam.suppress': acted(['gateway']),
    },
  },
  flannel: {
    base: { subnetFile: 'DIR/subnet.env', dataDir: 'DIR/flannel', ipam: { dataDir: 'DIR' } },
    fields: {
      subnetFile: acted('DIR/second.env', {}, 'DIR/subnet.env'),
      dataDir: acted('DIR/other', {}, 'DIR/flannel'),
      delegate: acted({ type: 'bridge', bridge: 'br9' }),
      ipam: acted({ dataDir: 'DIR/other' }, {}, { dataDir: 'DIR' }),
      runtimeConfig: acted({ mac }),
    },
  },
};
