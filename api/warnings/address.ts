import type { JsonObject } from '#api/meta/object.ts';
import { at, listOf, objectOf, objectsOf, stringOf } from '#api/wire/json.ts';
import {
  firstOf,
  formatCidr,
  formatIp,
  hostCidr,
  ipv4Of,
  isIpv4Mapped,
  isNetwork,
  networkOf,
  parseCidr,
  parseIp,
  parseLegacyCidr,
  parseLegacyIp,
  type Cidr,
  type Ip,
} from '#base/ip.ts';

/** Texts of addresses that are taken still, and are not as they are written (GetWarningsForIP of apimachinery, KEP-4858). */
export function ipWarnings(text: string, path: string): readonly string[] {
  const ip = parseLegacyIp(text);
  if (ip === undefined) return [];
  const strict = parseIp(text);
  if (strict === undefined || isIpv4Mapped(strict))
    return [
      `${path}: non-standard IP address "${text}" will be considered invalid in a future Kubernetes release: use "${formatIp(ip)}"`,
    ];
  return ip.family === 6 && formatIp(ip) !== text
    ? [`${path}: IPv6 address "${text}" should be in RFC 5952 canonical format ("${formatIp(ip)}")`]
    : [];
}

/** Of networks: bits beyond the prefix, and the address as above (GetWarningsForCIDR). */
export function cidrWarnings(text: string, path: string): readonly string[] {
  const cidr = parseLegacyCidr(text.trim());
  if (cidr === undefined) return [];
  const { ip } = cidr;
  const standard = standardNetwork(cidr);
  const warnings = isNetwork(cidr)
    ? []
    : [
        `${path}: CIDR value "${text}" is ambiguous in this context (should be "${standard}" or "${standardText(ip)}/${hostCidr(ip).prefix}"?)`,
      ];
  if (parseCidr(text.trim()) === undefined || isIpv4Mapped(ip))
    return [
      ...warnings,
      `${path}: non-standard CIDR value "${text}" will be considered invalid in a future Kubernetes release: use "${standard}"`,
    ];
  if (warnings.length > 0 || ip.family === 4 || formatCidr(cidr) === text.trim()) return warnings;
  return [
    `${path}: IPv6 CIDR value "${text}" should be in RFC 5952 canonical format ("${formatCidr(cidr)}")`,
  ];
}

/** Who makes sure of the addresses that it writes. */
const sliceControllers = ['endpointslice-controller.k8s.io', 'endpointslicemirroring-controller.k8s.io'];

/** Warnings of an EndpointSlice (its strategy's). */
export function endpointSliceWarnings(slice: JsonObject, old?: JsonObject): readonly string[] {
  if (slice['addressType'] === 'FQDN')
    return old === undefined ? ['spec.addressType: FQDN endpoints are deprecated'] : [];
  const manager = at(slice, ['metadata', 'labels', 'endpointslice.kubernetes.io/managed-by']);
  if (sliceControllers.includes(stringOf(manager))) return [];
  return objectsOf(slice['endpoints']).flatMap(({ addresses }, index) =>
    listOf(addresses).flatMap((address, place) =>
      ipWarnings(stringOf(address), `endpoints[${index}].addresses[${place}]`),
    ),
  );
}

/** Warnings of Endpoints (their strategy's). */
export function endpointsWarnings(endpoints: JsonObject): readonly string[] {
  const manager = at(endpoints, ['metadata', 'labels', 'endpoints.kubernetes.io/managed-by']);
  if (manager === 'endpoint-controller') return [];
  return objectsOf(endpoints['subsets']).flatMap((subset, index) =>
    ['addresses', 'notReadyAddresses'].flatMap((list) =>
      objectsOf(subset[list]).flatMap(({ ip }, place) =>
        ipWarnings(stringOf(ip), `subsets[${index}].${list}[${place}].ip`),
      ),
    ),
  );
}

/** Warnings of a NetworkPolicy (its strategy's). */
export function networkPolicyWarnings(policy: JsonObject): readonly string[] {
  const directions = [
    ['ingress', 'from'],
    ['egress', 'to'],
  ] as const;
  return directions.flatMap(([direction, peers]) =>
    objectsOf(at(policy, ['spec', direction])).flatMap((rule, index) =>
      objectsOf(rule[peers]).flatMap(({ ipBlock }, place) => {
        const path = `spec.${direction}[${index}].${peers}[${place}].ipBlock`;
        return [
          ...cidrWarnings(stringOf(at(ipBlock, 'cidr')), `${path}.cidr`),
          ...listOf(at(ipBlock, 'except')).flatMap((except, position) =>
            cidrWarnings(stringOf(except), `${path}.except[${position}]`),
          ),
        ];
      }),
    ),
  );
}

/** Warnings of the addresses of a load balancer (the strategies of the status of Services and Ingresses). */
export function loadBalancerWarnings(object: JsonObject): readonly string[] {
  return objectsOf(at(object, 'status.loadBalancer.ingress')).flatMap(({ ip }, index) =>
    ipWarnings(stringOf(ip), `status.loadBalancer.ingress[${index}]`),
  );
}

/** Warnings of the status of a pod (its strategy's). */
export function podAddressWarnings(pod: JsonObject): readonly string[] {
  return ['podIPs', 'hostIPs'].flatMap((list) =>
    objectsOf(at(pod, ['status', list])).flatMap(({ ip }, index) =>
      ipWarnings(stringOf(ip), `status.${list}[${index}].ip`),
    ),
  );
}

/** Warnings of a Node (nodeWarnings of its strategy). */
export function nodeWarnings(node: JsonObject): readonly string[] {
  const { configSource, externalID, podCIDRs } = objectOf(node['spec']);
  return [
    ...(configSource === undefined ? [] : ['spec.configSource: the feature is removed']),
    ...(stringOf(externalID) === ''
      ? []
      : ['spec.externalID: this field is deprecated, and is unused by Kubernetes']),
    ...listOf(podCIDRs).flatMap((cidr, index) => cidrWarnings(stringOf(cidr), `spec.podCIDRs[${index}]`)),
  ];
}

function standardText(ip: Ip): string {
  return formatIp(isIpv4Mapped(ip) ? ipv4Of(ip.w3) : ip);
}

/** The network, as Go writes it: of a mapped address, that of IPv4. */
function standardNetwork(cidr: Cidr): string {
  if (!isIpv4Mapped(cidr.ip)) return formatCidr(networkOf(cidr));
  return `${standardText(firstOf(cidr))}/${cidr.prefix}`;
}
