import { at, listOf, stringOf } from '#api/wire/json.ts';
import type { JsonObject } from '#api/meta/object.ts';
import { formatIp, ipv4Of, isIpv4Mapped, parseCidr, parseIp, type Ip } from '#base/ip.ts';

const topologyHints = 'service.kubernetes.io/topology-aware-hints';

/** Warnings of a Service (pkg/api/service/warnings.go). */
export function serviceWarnings(service: JsonObject): readonly string[] {
  const spec = (path: string): unknown => at(service, `spec.${path}`);
  const text = (path: string): string => stringOf(spec(path));
  const isHeadless = text('type') === 'ClusterIP' && text('clusterIP') === 'None';
  const isExternalName = text('type') === 'ExternalName';
  const externalIps = listOf(spec('externalIPs')).map(stringOf);
  const loadBalancerIp = text('loadBalancerIP');
  const when = (condition: boolean, warning: string): readonly string[] => (condition ? [warning] : []);
  return [
    ...when(
      at(service, ['metadata', 'annotations', topologyHints]) !== undefined,
      `annotation ${topologyHints} is deprecated, please use service.kubernetes.io/topology-mode instead`,
    ),
    ...(isHeadless ? [] : listOf(spec('clusterIPs'))).flatMap((ip, index) =>
      ipWarnings(stringOf(ip), `spec.clusterIPs[${index}]`),
    ),
    ...when(isHeadless && loadBalancerIp !== '', 'spec.loadBalancerIP is ignored for headless services'),
    ...when(isHeadless && externalIps.length > 0, 'spec.externalIPs is ignored for headless services'),
    ...when(
      isHeadless && text('sessionAffinity') !== 'None',
      'spec.SessionAffinity is ignored for headless services',
    ),
    ...externalIps.flatMap((ip, index) => ipWarnings(ip, `spec.externalIPs[${index}]`)),
    ...when(
      externalIps.length > 0 && !isHeadless && !isExternalName,
      'spec.externalIPs is deprecated and may no longer be implemented in some clusters',
    ),
    ...ipWarnings(loadBalancerIp, 'spec.loadBalancerIP'),
    ...listOf(spec('loadBalancerSourceRanges')).flatMap((range, index) =>
      cidrWarnings(stringOf(range), `spec.loadBalancerSourceRanges[${index}]`),
    ),
    ...when(
      isExternalName && externalIps.length > 0,
      'spec.externalIPs is ignored when spec.type is "ExternalName"',
    ),
    ...when(
      !isExternalName && text('externalName') !== '',
      'spec.externalName is ignored when spec.type is not "ExternalName"',
    ),
    ...when(
      text('trafficDistribution') === 'PreferClose',
      'spec.trafficDistribution: "PreferClose" is deprecated; use "PreferSameZone"',
    ),
  ];
}

/** Texts of addresses that are taken still, and are not as they are written (GetWarningsForIP of apimachinery). */
export function ipWarnings(text: string, path: string): readonly string[] {
  const legacy = withoutLeadingZeros(text);
  const ip = parseIp(legacy);
  if (ip === undefined) return [];
  if (legacy !== text || isIpv4Mapped(ip))
    return [
      `${path}: non-standard IP address "${text}" will be considered invalid in a future Kubernetes release: use "${standardText(ip)}"`,
    ];
  return ip.family === 6 && formatIp(ip) !== text
    ? [`${path}: IPv6 address "${text}" should be in RFC 5952 canonical format ("${formatIp(ip)}")`]
    : [];
}

function standardText(ip: Ip): string {
  return formatIp(isIpv4Mapped(ip) ? ipv4Of(ip.w3) : ip);
}

/** Of networks: bits beyond the prefix, and the address as above (GetWarningsForCIDR). */
function cidrWarnings(text: string, path: string): readonly string[] {
  const cidr = parseCidr(text.trim());
  if (cidr === undefined || cidr.ip.family === 4) return [];
  const [address = ''] = text.trim().split('/');
  return address === formatIp(cidr.ip)
    ? []
    : [
        `${path}: IPv6 CIDR value "${text}" should be in RFC 5952 canonical format ("${formatIp(cidr.ip)}/${cidr.prefix}")`,
      ];
}

/** IPv4 as it was read before: `010.1.2.3` is 10.1.2.3. */
function withoutLeadingZeros(text: string): string {
  return /^\d+(\.\d+){3}$/.test(text) ? text.replace(/\b0+(?=\d)/g, '') : text;
}
