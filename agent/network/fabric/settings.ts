/** By what packets of pods go from node to node, as it is said on a command line and in the cluster's ConfigMap. Pure. */

export type FabricKind = 'host-gw' | 'vxlan' | 'udp' | 'wireguard';

export interface FabricSettings {
  readonly kind: FabricKind;
  /** UDP, where the node listens. */
  readonly port: number;
  /** VXLAN network identifier. */
  readonly vni: number;
  /** Of pods' packets, in bytes; undefined: what the nodes' link has room for. */
  readonly mtu?: number;
  /** Whether nodes on one link do without the tunnel. */
  readonly isDirect: boolean;
}

/** The ports that flannel's backends of these names take, which firewalls may know; host-gw has none. */
const portDefaults: Readonly<Record<FabricKind, number>> = {
  'host-gw': 0,
  vxlan: 8472,
  udp: 8285,
  wireguard: 51_820,
};

export const fabricKinds: readonly FabricKind[] = Object.keys(portDefaults).filter(isFabricKind);

const settingsOf: Readonly<Record<FabricKind, readonly string[]>> = {
  'host-gw': ['mtu'],
  vxlan: ['port', 'vni', 'mtu', 'direct-routing'],
  udp: ['port', 'mtu', 'direct-routing'],
  wireguard: ['port', 'mtu'],
};

/** Of the numbers: least and most. An IPv6 link has at least 1280 bytes (RFC 8200), an IPv4 one 68, which nobody means. */
const ranges: Readonly<Record<string, readonly [number, number]>> = {
  port: [1, 65_535],
  vni: [1, 16_777_215],
  mtu: [576, 65_535],
};

/** Plain routes, as they are written. */
export const plainFabricText = 'host-gw';

export const defaultFabric: FabricSettings = { kind: 'host-gw', port: 0, vni: 1, isDirect: false };

export type ParsedFabric = { readonly settings: FabricSettings } | { readonly problem: string };

/** `vxlan`, `vxlan,port=4789,vni=7,mtu=1400,direct-routing=true`. */
export function parseFabric(text: string): ParsedFabric {
  const [kind = '', ...words] = text.split(',').map((word) => word.trim());
  if (!isFabricKind(kind)) return { problem: `${kind} is none of ${fabricKinds.join(', ')}` };
  const given: Record<string, number | boolean> = {};
  for (const word of words) {
    const [name = '', value = ''] = word.split('=', 2);
    if (!settingsOf[kind].includes(name))
      return { problem: `${word}: ${kind} takes ${settingsOf[kind].map((each) => `${each}=…`).join(', ')}` };
    if (name in given) return { problem: `${name} is said twice` };
    const read = readValue(name, value);
    if (read === undefined) return { problem: `${word}: ${expected(name)}` };
    given[name] = read;
  }
  const number = (name: string): number | undefined => {
    const value = given[name];
    return typeof value === 'number' ? value : undefined;
  };
  const mtu = number('mtu');
  return {
    settings: {
      kind,
      port: number('port') ?? portDefaults[kind],
      vni: number('vni') ?? 1,
      isDirect: given['direct-routing'] === true,
      ...(mtu === undefined ? {} : { mtu }),
    },
  };
}

function readValue(name: string, value: string): number | boolean | undefined {
  const range = ranges[name];
  if (range === undefined) return value === 'true' ? true : value === 'false' ? false : undefined;
  const number = /^\d{1,8}$/.test(value) ? Number(value) : Number.NaN;
  return number >= range[0] && number <= range[1] ? number : undefined;
}

function expected(name: string): string {
  const range = ranges[name];
  return range === undefined ? 'true or false' : `from ${range[0]} to ${range[1]}`;
}

export function isFabricKind(text: string): text is FabricKind {
  return Object.hasOwn(portDefaults, text);
}
