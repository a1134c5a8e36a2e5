/** What is wrong with the options of `server` and `agent`, before anything is written or started. Pure. */
import { parseDurationMs } from '#api/meta/duration.ts';
import { quantityToInteger, tryParseQuantity } from '#api/meta/quantity.ts';
import { dnsSubdomain } from '#api/validation/format.ts';
import { describeError, PodwrightError } from '#base/errors.ts';
import {
  cidrContains,
  cidrsOverlap,
  familyOfIp,
  indexOfIp,
  isNetwork,
  parseCidr,
  parseIp,
  withoutZone,
} from '#base/ip.ts';
import { nodePrefixBitsMax } from '#control-plane/controllers/node-ipam/node-ranges.ts';
import { parseEndpoints } from '#control-plane/store/etcd/endpoints.ts';
import type { AgentCommandOptions, ServerCommandOptions } from './command-options.ts';
import { etcdListenProblems } from '#bin/etcd-listen.ts';
import { readModes } from '#control-plane/apiserver/chain/authz/modes.ts';
import type { Role } from './program.ts';

/** @throws E_USAGE with all that is wrong, in one line */
export function refuseOptions(role: Role, problems: readonly string[]): void {
  if (problems.length > 0) throw new PodwrightError('E_USAGE', `start ${role}: ${problems.join('; ')}`);
}

/** All that is wrong, each beginning with the option's name. */
export function serverOptionProblems(options: ServerCommandOptions): readonly string[] {
  const { advertiseAddress, listen, listenFd, node, adminServer } = options;
  return [
    ...addressProblems('--advertise-address', advertiseAddress),
    ...(listen.length === 0 && listenFd === undefined ? ['--listen: give HOST:PORT at least once'] : []),
    ...listen.flatMap((text) => listenProblems('--listen', text)),
    ...nodeProblems(node),
    ...networkProblems(options),
    ...nodePrefixProblems(options),
    ...(adminServer === undefined || isHttpsUrl(adminServer)
      ? []
      : [`--admin-server ${adminServer}: not an https URL`]),
    ...modeProblems(options),
    ...etcdProblems(options),
    ...etcdListenProblems(options, listenProblems),
  ];
}

function modeProblems({ authorizationMode }: ServerCommandOptions): readonly string[] {
  try {
    readModes(authorizationMode);
    return [];
  } catch (error) {
    return [`--authorization-mode ${authorizationMode}: ${describeError(error)}`];
  }
}

function etcdProblems(options: ServerCommandOptions): readonly string[] {
  const { etcdServers = [], etcdCafile, etcdCertfile, etcdKeyfile } = options;
  const files = {
    '--etcd-cafile': etcdCafile,
    '--etcd-certfile': etcdCertfile,
    '--etcd-keyfile': etcdKeyfile,
  };
  const [file] = Object.entries(files).flatMap(([option, path]) => (path === undefined ? [] : [option]));
  if (etcdServers.length === 0) return file === undefined ? [] : [`${file}: give --etcd-servers too`];
  if ((etcdCertfile === undefined) !== (etcdKeyfile === undefined))
    return ['--etcd-certfile and --etcd-keyfile: give both or neither'];
  try {
    const { isSecure } = parseEndpoints(etcdServers);
    return isSecure || file === undefined ? [] : [`${file}: --etcd-servers are http, without TLS`];
  } catch (error) {
    return [`--etcd-servers: ${describeError(error)}`];
  }
}

export function agentOptionProblems(options: AgentCommandOptions): readonly string[] {
  const { nodeName, nodeIp, clusterDomain, linkCidr, insecureRegistry, containerLogMaxSize } = options;
  return [
    ...(nodeName === undefined ? [] : nameProblems('--node-name', nodeName)),
    ...addressProblems('--node-ip', nodeIp),
    ...networkProblems(options),
    ...insideProblems(options),
    ...nameProblems('--cluster-domain', clusterDomain),
    ...(linkCidr === undefined ? [] : linkProblems(linkCidr, nodeIp)),
    ...insecureRegistry
      .filter((host) => !/^(\[[0-9a-fA-F:]+\]|[A-Za-z0-9.-]+)(:\d{1,5})?$/.test(host))
      .map((host) => `--insecure-registry ${host}: write HOST or HOST:PORT`),
    ...sizeProblems('--container-log-max-size', containerLogMaxSize),
    ...imageGcProblems(options),
  ];
}

function imageGcProblems(options: AgentCommandOptions): readonly string[] {
  const { imageGcHighThreshold: high, imageGcLowThreshold: low } = options;
  const { minimumImageTtlDuration: least, imageMaximumGcAge: most } = options;
  const problems = [
    ...durationProblems('--minimum-image-ttl-duration', least),
    ...durationProblems('--image-maximum-gc-age', most),
  ];
  if (low >= high)
    problems.push(
      `--image-gc-low-threshold ${low}: must be below --image-gc-high-threshold, which is ${high}`,
    );
  if (problems.length > 0) return problems;
  const [leastMs, mostMs] = [parseDurationMs(least), parseDurationMs(most)];
  return mostMs === 0 || leastMs <= mostMs
    ? []
    : [`--image-maximum-gc-age ${most}: must not be below --minimum-image-ttl-duration, which is ${least}`];
}

function durationProblems(option: string, text: string): string[] {
  try {
    return parseDurationMs(text) >= 0 ? [] : [`${option} ${text}: must not be negative`];
  } catch {
    return [`${option} ${text}: not a duration; write 2m, 1h30m`];
  }
}

function addressProblems(option: string, text: string): readonly string[] {
  const ip = parseIp(text);
  if (ip === undefined) return [`${option} ${text}: not an IP address`];
  if (ip.family === 6) return [`${option} ${text}: only IPv4 addresses are supported`];
  if (['0.0.0.0', '255.255.255.255'].includes(text))
    return [`${option} ${text}: names no host; give an address that others reach`];
  return ip.w3 >>> 24 >= 224 ? [`${option} ${text}: a multicast or reserved address`] : [];
}

function listenProblems(option: string, text: string): readonly string[] {
  const match = /^(?:\[([^\]]+)\]|([^:]+)):(\d{1,5})$/.exec(text);
  const port = Number(match?.[3]);
  if (match === null || port < 1 || port > 65_535) return [`${option} ${text}: write HOST:PORT`];
  const [, bracketed, bare = ''] = match;
  const host = bracketed ?? bare;
  const isHost =
    bracketed === undefined
      ? familyOfIp(bare) === 4 || (!/^[\d.]+$/.test(bare) && dnsSubdomain(bare).length === 0)
      : familyOfIp(withoutZone(bracketed)) === 6 && !bracketed.endsWith('%');
  if (!isHost) {
    return [`${option} ${text}: ${host} is neither an IP address nor a host name`];
  }
  return [];
}

function nameProblems(option: string, name: string): readonly string[] {
  return dnsSubdomain(name).length === 0
    ? []
    : [`${option} ${JSON.stringify(name)}: not a name; write lower case letters, digits, '-' and '.'`];
}

function sizeProblems(option: string, text: string): readonly string[] {
  const size = tryParseQuantity(text);
  return size !== undefined && quantityToInteger(size) >= 1
    ? []
    : [`${option} ${text}: not a number of bytes; write as 10Mi`];
}

function nodeProblems(nodes: readonly string[]): readonly string[] {
  const seen = new Map<string, string>();
  return nodes.flatMap((text) => {
    const match = /^([^=]+)=([^=]+)$/.exec(text);
    const [, name = '', ip = ''] = match ?? [];
    if (match === null) return [`--node ${text}: write NAME=IP`];
    const twice = [name, ip]
      .filter((word) => seen.has(word))
      .map((word) => `--node ${text}: ${word} is that of --node ${seen.get(word) ?? ''}`);
    for (const word of [name, ip]) seen.set(word, text);
    return [...nameProblems(`--node ${text}:`, name), ...addressProblems(`--node ${text}:`, ip), ...twice];
  });
}

function cidrProblems(option: string, text: string): readonly string[] {
  const cidr = parseCidr(text);
  if (cidr === undefined) return [`${option} ${text}: not a network; write ADDRESS/PREFIX, as 10.96.0.0/16`];
  if (cidr.ip.family !== 4) return [`${option} ${text}: only IPv4 networks are supported`];
  return isNetwork(cidr) ? [] : [`${option} ${text}: bits behind the prefix are set`];
}

function linkProblems(linkCidr: string, nodeIp: string): readonly string[] {
  const broken = cidrProblems('--link-cidr', linkCidr);
  const [cidr, ip] = [parseCidr(linkCidr), parseIp(nodeIp)];
  if (broken.length > 0 || cidr === undefined || ip === undefined || cidrContains(cidr, ip)) return broken;
  return [`--link-cidr ${linkCidr}: --node-ip ${nodeIp} is not in it`];
}

interface Networks {
  readonly serviceCidr: string;
  readonly clusterCidr: string;
  readonly clusterDns: string;
}

function networkProblems({ serviceCidr, clusterCidr, clusterDns }: Networks): readonly string[] {
  const broken = [
    ...cidrProblems('--service-cidr', serviceCidr),
    ...cidrProblems('--cluster-cidr', clusterCidr),
  ];
  const [services, pods] = [parseCidr(serviceCidr), parseCidr(clusterCidr)];
  if (broken.length > 0 || services === undefined || pods === undefined) return broken;
  const dns = parseIp(clusterDns);
  const problems: string[] = [];
  if (cidrsOverlap(services, pods))
    problems.push(`--service-cidr ${serviceCidr}: overlaps --cluster-cidr ${clusterCidr}`);
  if (services.prefix > 28) problems.push(`--service-cidr ${serviceCidr}: too small; a /28 at least`);
  if (dns === undefined || dns.family !== 4)
    problems.push(`--cluster-dns ${clusterDns}: not an IPv4 address`);
  else if (!cidrContains(services, dns))
    problems.push(`--cluster-dns ${clusterDns}: not in --service-cidr ${serviceCidr}`);
  else if ((indexOfIp(services, dns) ?? 0) <= 1)
    problems.push(
      `--cluster-dns ${clusterDns}: that is the API server's own Service; take another of ${serviceCidr}`,
    );
  return problems;
}

function nodePrefixProblems({ clusterCidr, nodeCidrMaskSize }: ServerCommandOptions): readonly string[] {
  const cluster = parseCidr(clusterCidr);
  if (cluster === undefined) return [];
  if (cluster.prefix > nodeCidrMaskSize)
    return [`--cluster-cidr ${clusterCidr}: too small; each node gets a /${nodeCidrMaskSize}`];
  return nodeCidrMaskSize - cluster.prefix > nodePrefixBitsMax
    ? [
        `--node-cidr-mask-size ${nodeCidrMaskSize}: divides --cluster-cidr ${clusterCidr} into too many; ` +
          `at most ${cluster.prefix + nodePrefixBitsMax}`,
      ]
    : [];
}

/** A host's address is not one that pods or Services have. */
function insideProblems({ nodeIp, serviceCidr, clusterCidr }: AgentCommandOptions): readonly string[] {
  const ip = parseIp(nodeIp);
  if (ip === undefined) return [];
  return [
    { option: '--service-cidr', text: serviceCidr },
    { option: '--cluster-cidr', text: clusterCidr },
  ].flatMap(({ option, text }) => {
    const cidr = parseCidr(text);
    return cidr !== undefined && cidrContains(cidr, ip)
      ? [`--node-ip ${nodeIp}: lies in ${option} ${text}`]
      : [];
  });
}

function isHttpsUrl(text: string): boolean {
  return URL.canParse(text) && new URL(text).protocol === 'https:';
}
