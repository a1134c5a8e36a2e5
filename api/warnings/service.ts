import { at, listOf, stringOf } from '#api/wire/json.ts';
import type { JsonObject } from '#api/meta/object.ts';
import { cidrWarnings, ipWarnings } from './address.ts';

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
