/** What is wrong with addresses and networks of `server` and `agent`, each beginning with the option's name. Pure. */
import { classOfIp } from '#base/ip-class.ts';
import {
  cidrContains,
  cidrsOverlap,
  familyOfIp,
  familyOfNetwork,
  indexOfIp,
  isIpv4Mapped,
  isNetwork,
  parseCidr,
  parseIp,
  type IpFamily,
} from '#base/ip.ts';
import { nodePrefixBitsMax } from '#control-plane/controllers/node-ipam/node-ranges.ts';
import type { AgentCommandOptions, ServerCommandOptions } from './command-options.ts';
import { nodePrefixLengthsOf, type NodePrefixOptions } from './network-options.ts';

const familyNames: Readonly<Record<IpFamily, string>> = { 4: 'IPv4', 6: 'IPv6' };

/** Of the address of a host. */
export function addressProblems(option: string, text: string): readonly string[] {
  const ip = parseIp(text);
  if (ip === undefined) return [`${option} ${text}: not an IP address`];
  if (['0.0.0.0', '255.255.255.255', '::'].includes(text))
    return [`${option} ${text}: names no host; give an address that others reach`];
  if (ip.family === 4)
    return ip.w3 >>> 24 >= 224 ? [`${option} ${text}: a multicast or reserved address`] : [];
  if (isIpv4Mapped(ip)) return [`${option} ${text}: write it as IPv4`];
  const ipClass = classOfIp(text);
  return ipClass === 'ordinary' || ipClass === 'loopback'
    ? []
    : [`${option} ${text}: a ${ipClass} address; give one that others reach`];
}

/** `--node NAME=IP` or `NAME=IPv4,IPv6`. `nameProblems`: what is wrong with a name. */
export function nodeProblems(
  nodes: readonly string[],
  nameProblems: (option: string, name: string) => readonly string[],
): readonly string[] {
  const seen = new Map<string, string>();
  return nodes.flatMap((text) => {
    const match = /^([^=]+)=([^=]+)$/.exec(text);
    const [, name = '', list = ''] = match ?? [];
    if (match === null) return [`--node ${text}: write NAME=IP`];
    const ips = list.split(',');
    const twice = [name, ...ips]
      .filter((word) => seen.has(word))
      .map((word) => `--node ${text}: ${word} is that of --node ${seen.get(word) ?? ''}`);
    for (const word of [name, ...ips]) seen.set(word, text);
    const option = `--node ${text}:`;
    return [
      ...nameProblems(option, name),
      ...ips.flatMap((ip) => addressProblems(option, ip)),
      ...pairProblems(`--node ${text}`, ips.map(familyOfIp)),
      ...twice,
    ];
  });
}

/** A list has one of each family at most. */
function pairProblems(what: string, families: readonly (IpFamily | undefined)[]): readonly string[] {
  const known = families.filter((family) => family !== undefined);
  return new Set(known).size === known.length ? [] : [`${what}: more than one of a family`];
}

/** Of a list of networks. */
function cidrProblems(option: string, texts: readonly string[]): readonly string[] {
  const each = texts.flatMap((text) => {
    const cidr = parseCidr(text);
    if (cidr === undefined)
      return [`${option} ${text}: not a network; write ADDRESS/PREFIX, as 10.96.0.0/16 or fd00:10:96::/112`];
    return isNetwork(cidr) ? [] : [`${option} ${text}: bits behind the prefix are set`];
  });
  return [...each, ...pairProblems(`${option} ${texts.join(',')}`, texts.map(familyOfNetwork))];
}

export function linkProblems(linkCidrs: readonly string[], nodeIps: readonly string[]): readonly string[] {
  const broken = cidrProblems('--link-cidr', linkCidrs);
  if (broken.length > 0) return broken;
  return linkCidrs.flatMap((text) => {
    const cidr = parseCidr(text);
    const strange = nodeIps
      .flatMap((node) => parseIp(node) ?? [])
      .filter(({ family }) => family === cidr?.ip.family);
    return cidr === undefined || strange.every((ip) => cidrContains(cidr, ip))
      ? []
      : [`--link-cidr ${text}: --node-ip ${nodeIps.join(',')} is not in it`];
  });
}

type Networks = Pick<ServerCommandOptions, 'serviceCidr' | 'clusterCidr' | 'clusterDns' | 'loadBalancerCidr'>;

/** The longest prefix of Service networks: fewer than 16 addresses are no network; IPv6's shortest is kube-apiserver's. */
const servicePrefixMax: Readonly<Record<IpFamily, number>> = { 4: 28, 6: 124 };
const servicePrefixMin: Readonly<Record<IpFamily, number>> = { 4: 8, 6: 108 };

/** The shortest prefix of load balancers' addresses: 65,536 of them, each of which is looked at when all others are taken. */
const poolPrefixMin: Readonly<Record<IpFamily, number>> = { 4: 16, 6: 112 };

export function networkProblems(networks: Networks): readonly string[] {
  const { serviceCidr, clusterCidr, clusterDns, loadBalancerCidr = [] } = networks;
  const broken = [
    ...cidrProblems('--service-cidr', serviceCidr),
    ...cidrProblems('--cluster-cidr', clusterCidr),
    ...cidrProblems('--load-balancer-cidr', loadBalancerCidr),
  ];
  if (broken.length > 0) return broken;
  const [services, pods] = [serviceCidr, clusterCidr].map((texts) => new Set(texts.map(familyOfNetwork)));
  if (services?.symmetricDifference(pods ?? new Set()).size !== 0)
    return [
      `--service-cidr ${serviceCidr.join(',')}: not of the families of --cluster-cidr ${clusterCidr.join(',')}`,
    ];
  return [
    ...serviceCidr.flatMap((text) => serviceProblems(text, clusterCidr)),
    ...loadBalancerCidr.flatMap((text) => poolProblems(text, networks)),
    ...clusterDns.flatMap((text) => dnsProblems(text, serviceCidr)),
    ...pairProblems(`--cluster-dns ${clusterDns.join(',')}`, clusterDns.map(familyOfIp)),
  ];
}

function serviceProblems(text: string, clusterCidr: readonly string[]): readonly string[] {
  const services = parseCidr(text);
  if (services === undefined) return [];
  const { family } = services.ip;
  const [least, most] = [servicePrefixMin[family], servicePrefixMax[family]];
  const pods = clusterCidr.find((each) => familyOfNetwork(each) === family) ?? '';
  const cidr = parseCidr(pods);
  return [
    ...(cidr !== undefined && cidrsOverlap(services, cidr)
      ? [`--service-cidr ${text}: overlaps --cluster-cidr ${pods}`]
      : []),
    ...(services.prefix > most ? [`--service-cidr ${text}: too small; a /${most} at least`] : []),
    ...(services.prefix < least ? [`--service-cidr ${text}: too large; a /${least} at most`] : []),
  ];
}

/** Of a network of load balancers' addresses. */
function poolProblems(text: string, { serviceCidr, clusterCidr }: Networks): readonly string[] {
  const option = `--load-balancer-cidr ${text}`;
  const pool = parseCidr(text);
  if (pool === undefined) return [];
  const { family } = pool.ip;
  const others = [
    ...serviceCidr.map((cidr) => ['--service-cidr', cidr] as const),
    ...clusterCidr.map((cidr) => ['--cluster-cidr', cidr] as const),
  ];
  return [
    ...(clusterCidr.some((cidr) => familyOfNetwork(cidr) === family)
      ? []
      : [`${option}: the cluster has no ${familyNames[family]} addresses`]),
    ...(pool.prefix < poolPrefixMin[family]
      ? [`${option}: too large; a /${poolPrefixMin[family]} at most`]
      : []),
    ...others.flatMap(([name, cidr]) => {
      const other = parseCidr(cidr);
      return other !== undefined && cidrsOverlap(pool, other) ? [`${option}: overlaps ${name} ${cidr}`] : [];
    }),
  ];
}

function dnsProblems(text: string, serviceCidr: readonly string[]): readonly string[] {
  const dns = parseIp(text);
  if (dns === undefined) return [`--cluster-dns ${text}: not an IP address`];
  const of = serviceCidr.join(',');
  const services = serviceCidr
    .flatMap((each) => parseCidr(each) ?? [])
    .find((each) => cidrContains(each, dns));
  if (services === undefined) return [`--cluster-dns ${text}: not in --service-cidr ${of}`];
  return (indexOfIp(services, dns) ?? 0) <= 1
    ? [`--cluster-dns ${text}: that is the API server's own Service; take another of ${of}`]
    : [];
}

/** The kubernetes Service leads to it, and is of the first family. */
export function advertisedFamilyProblems({
  advertiseAddress,
  serviceCidr,
}: Pick<ServerCommandOptions, 'advertiseAddress' | 'serviceCidr'>): readonly string[] {
  const [own, first] = [familyOfIp(advertiseAddress), familyOfNetwork(serviceCidr[0] ?? '')];
  if (own === undefined || first === undefined || own === first) return [];
  return [
    `--advertise-address ${advertiseAddress}: not ${familyNames[first]}, as the first of --service-cidr ${serviceCidr.join(',')}`,
  ];
}

export function nodePrefixProblems(
  options: Pick<ServerCommandOptions, 'clusterCidr'> & NodePrefixOptions,
): readonly string[] {
  const { clusterCidr, nodeCidrMaskSize } = options;
  if (nodeCidrMaskSize !== undefined && clusterCidr.length > 1)
    return [
      `--node-cidr-mask-size ${nodeCidrMaskSize}: of a cluster of both families say --node-cidr-mask-size-ipv4 and --node-cidr-mask-size-ipv6`,
    ];
  const lengths = nodePrefixLengthsOf(options);
  return clusterCidr.flatMap((text) => {
    const cluster = parseCidr(text);
    if (cluster === undefined) return [];
    const { prefix, ip } = cluster;
    const bits = lengths[ip.family];
    if (ip.family === 4 && bits > 30)
      return [`--node-cidr-mask-size ${bits}: too small a part of ${text}; at most 30`];
    if (prefix > bits) return [`--cluster-cidr ${text}: too small; each node gets a /${bits}`];
    return bits - prefix > nodePrefixBitsMax
      ? [
          `--node-cidr-mask-size ${bits}: divides --cluster-cidr ${text} into too many; ` +
            `at most ${prefix + nodePrefixBitsMax}`,
        ]
      : [];
  });
}

/** A node has an address of each family of pods, and none that pods or Services have. */
export function nodeAddressProblems({
  nodeIp,
  serviceCidr,
  clusterCidr,
  loadBalancerCidr = [],
}: Pick<
  AgentCommandOptions,
  'nodeIp' | 'serviceCidr' | 'clusterCidr' | 'loadBalancerCidr'
>): readonly string[] {
  const text = nodeIp.join(',');
  const broken = [
    ...nodeIp.flatMap((ip) => addressProblems('--node-ip', ip)),
    ...pairProblems(`--node-ip ${text}`, nodeIp.map(familyOfIp)),
  ];
  if (broken.length > 0) return broken;
  const lacking = clusterCidr.flatMap((cidr) => {
    const family = familyOfNetwork(cidr);
    return family === undefined || nodeIp.some((ip) => familyOfIp(ip) === family)
      ? []
      : [
          `--node-ip ${text}: no ${familyNames[family]} address, which pods of --cluster-cidr ${cidr} are reached by`,
        ];
  });
  const inside = [
    ...serviceCidr.map((cidr) => ['--service-cidr', cidr] as const),
    ...clusterCidr.map((cidr) => ['--cluster-cidr', cidr] as const),
    ...loadBalancerCidr.map((cidr) => ['--load-balancer-cidr', cidr] as const),
  ].flatMap(([option, cidr]) =>
    nodeIp.filter((ip) => isWithin(ip, cidr)).map((ip) => `--node-ip ${ip}: lies in ${option} ${cidr}`),
  );
  return [...lacking, ...inside];
}

function isWithin(address: string, network: string): boolean {
  const [ip, cidr] = [parseIp(address), parseCidr(network)];
  return ip !== undefined && cidr !== undefined && cidrContains(cidr, ip);
}
