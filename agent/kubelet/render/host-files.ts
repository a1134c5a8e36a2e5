import type { Pod } from '#api/generated/objects.ts';
import { PodwrightError } from '#base/errors.ts';
import { isLoopbackServer, parseResolvConf, type ResolvConf } from '#agent/node/resolv-conf.ts';

/** Who the node is to its pods' name resolution. */
export interface DnsSettings {
  /** Address of the cluster DNS; undefined: pods resolve as the node does. */
  readonly clusterDns: readonly string[];
  readonly clusterDomain: string;
  /** What the node itself resolves by, as resolv.conf(5). */
  readonly hostResolvConf: string;
}

// glibc and musl read no more: MAXNS, and the limits that Kubernetes validates.
const nameserversMax = 3;
const searchesMax = 32;

/** What a pod resolves by, after its dnsPolicy and dnsConfig. Pure. */
export function resolvConfOf(pod: Pod, settings: DnsSettings): ResolvConf {
  const base = baseConf(pod, settings);
  const { nameservers: servers = [], searches: ends = [], options: given = [] } = pod.spec?.dnsConfig ?? {};
  const [nameservers, searches] = [servers.filter(isWord), ends.filter(isWord)];
  const options = given.filter(({ name = '', value = 'x' }) => isWord(name) && isWord(value));
  return {
    nameservers: unique([...base.nameservers, ...nameservers]).slice(0, nameserversMax),
    searches: unique([...base.searches, ...searches]).slice(0, searchesMax),
    options: mergeOptions(
      base.options,
      options.map(({ name = '', value }) => (value === undefined ? name : `${name}:${value}`)),
    ),
  };
}

/** resolv.conf of a pod. Pure. */
export function renderResolvConf(pod: Pod, settings: DnsSettings): string {
  const { nameservers, searches, options } = resolvConfOf(pod, settings);
  const lines = [
    ...(searches.length === 0 ? [] : [`search ${searches.join(' ')}`]),
    ...nameservers.map((server) => `nameserver ${server}`),
    ...(options.length === 0 ? [] : [`options ${options.join(' ')}`]),
  ];
  return lines.map((line) => `${line}\n`).join('');
}

/** What has a line break in it would be a line of its own; the API refuses it, and another's may not. */
function isWord(text: string): boolean {
  return text !== '' && !/[\s\0]/.test(text);
}

function baseConf(pod: Pod, { clusterDns, clusterDomain, hostResolvConf }: DnsSettings): ResolvConf {
  const { dnsPolicy = 'ClusterFirst', hostNetwork } = pod.spec ?? {};
  const host = parseResolvConf(hostResolvConf);
  if (dnsPolicy === 'None') return { nameservers: [], searches: [], options: [] };
  const isCluster =
    dnsPolicy === 'ClusterFirstWithHostNet' || (dnsPolicy === 'ClusterFirst' && hostNetwork !== true);
  if (clusterDns.length === 0 || (!isCluster && hostNetwork === true)) return host;
  // The node's own loopback is nobody in a pod: the node's DNS asks it for them.
  if (!isCluster) {
    const nameservers = host.nameservers.flatMap((server) =>
      isLoopbackServer(server) ? clusterDns : [server],
    );
    return { ...host, nameservers };
  }
  const namespace = pod.metadata?.namespace ?? 'default';
  const searches = [`${namespace}.svc.${clusterDomain}`, `svc.${clusterDomain}`, clusterDomain];
  return { nameservers: clusterDns, searches: [...searches, ...host.searches], options: ['ndots:5'] };
}

/** The later value of an option wins. */
function mergeOptions(base: readonly string[], own: readonly string[]): readonly string[] {
  const byName = new Map([...base, ...own].map((option) => [option.split(':')[0] ?? option, option]));
  return [...byName.values()];
}

function unique(list: readonly string[]): readonly string[] {
  return [...new Set(list)];
}

export interface PodHostname {
  /** Of the UTS namespace; at most 63 characters. */
  readonly hostname: string;
  /** With a subdomain: `host.subdomain.namespace.svc.domain`. */
  readonly fqdn: string | undefined;
}

const hostnameMax = 63;

/** Bytes of the host name that the kernel takes (uapi/linux/utsname.h, __NEW_UTS_LEN). */
const kernelHostnameMax = 64;

/** A pod's host name, from its spec or its name. @throws {E_INVALID} when it is asked to be a full name, and that is too long */
export function podHostname(pod: Pod, clusterDomain: string): PodHostname {
  const { hostname: asked, hostnameOverride, subdomain, setHostnameAsFQDN } = pod.spec ?? {};
  const { name = '', namespace = '' } = pod.metadata ?? {};
  if (hostnameOverride !== undefined && hostnameOverride !== '')
    return { hostname: hostnameOverride, fqdn: undefined };
  const short = (asked === undefined || asked === '' ? name : asked)
    .slice(0, hostnameMax)
    .replace(/[-.]+$/, '');
  const hasDomain = subdomain !== undefined && subdomain !== '';
  const fqdn = hasDomain ? `${short}.${subdomain}.${namespace}.svc.${clusterDomain}` : undefined;
  if (setHostnameAsFQDN === true && fqdn !== undefined && fqdn.length > kernelHostnameMax) {
    throw new PodwrightError(
      'E_INVALID',
      `failed to construct FQDN from pod hostname and cluster domain, FQDN ${fqdn} is too long (${kernelHostnameMax} characters is the max, ${fqdn.length} characters requested)`,
    );
  }
  return { hostname: setHostnameAsFQDN === true && fqdn !== undefined ? fqdn : short, fqdn };
}

/** /etc/hosts of a pod: its own names, and its hostAliases. With hostNetwork, the node's file instead of the standard part. */
export function renderHosts(
  pod: Pod,
  { hostname, fqdn }: PodHostname,
  source: { readonly ips: readonly string[]; readonly hostFile: string },
): string {
  const aliases = (pod.spec?.hostAliases ?? []).filter(
    ({ ip, hostnames = [] }) => isWord(ip) && hostnames.every(isWord),
  );
  const extra =
    aliases.length === 0
      ? []
      : [
          '',
          '# Entries added by HostAliases.',
          ...aliases.map(({ ip, hostnames = [] }) => [ip, ...hostnames].join('\t')),
        ];
  if (pod.spec?.hostNetwork === true) return [source.hostFile.trimEnd(), ...extra, ''].join('\n');
  const names = fqdn === undefined || fqdn === hostname ? [hostname] : [fqdn, hostname];
  return [
    '# Kubernetes-managed hosts file.',
    '127.0.0.1\tlocalhost',
    '::1\tlocalhost ip6-localhost ip6-loopback',
    'fe00::\tip6-localnet',
    'fe00::\tip6-mcastprefix',
    'fe00::1\tip6-allnodes',
    'fe00::2\tip6-allrouters',
    ...source.ips.map((ip) => [ip, ...names].join('\t')),
    ...extra,
    '',
  ].join('\n');
}
