import { at, equalJson, listOf, objectOf, objectsOf, stringOf, withPath } from '#api/wire/json.ts';
import type { JsonObject } from '#api/meta/object.ts';
import { needsHealthCheckPort } from './allocation.ts';

/**
 * What was allocated to a Service stays its own when an update leaves it out (kubectl apply and replace do): cluster
 * addresses, node ports of ports that are still there, the health check port. (registry/core/service patchAllocatedValues)
 */
export function keepServiceAllocations(old: JsonObject, service: JsonObject): JsonObject {
  const before = objectOf(old['spec']);
  let spec = objectOf(service['spec']);
  if (needsClusterIp(before) && needsClusterIp(spec)) spec = keepClusterIps(before, spec);
  if (needsNodePorts(before) && needsNodePorts(spec)) spec = keepNodePorts(before, spec);
  if (needsHealthCheckPort(spec))
    spec = withDefault(spec, 'healthCheckNodePort', before['healthCheckNodePort']);
  const kept = withPath(service, 'spec', dropForeignFields(before, spec));
  // The addresses were its load balancer's: no node may keep them for a Service that has none.
  return spec['type'] === 'LoadBalancer' || at(kept, 'status.loadBalancer.ingress') === undefined
    ? kept
    : withPath(kept, 'status.loadBalancer', {});
}

/** Fields that only mean something for some types of Service. */
const typeFields: readonly (readonly [applies: (spec: JsonObject) => boolean, fields: readonly string[]])[] =
  [
    [needsClusterIp, ['clusterIP', 'clusterIPs', 'ipFamilies', 'ipFamilyPolicy', 'internalTrafficPolicy']],
    [isExternal, ['externalTrafficPolicy']],
    [needsHealthCheckPort, ['healthCheckNodePort']],
    [(spec) => spec['type'] === 'LoadBalancer', ['allocateLoadBalancerNodePorts', 'loadBalancerClass']],
  ];

/**
 * When the type changes, what the old type needed and nobody touched goes with it, so that `{"spec":{"type":"ClusterIP"}}` is a whole
 * patch. (registry/core/service dropTypeDependentFields)
 */
function dropForeignFields(before: JsonObject, spec: JsonObject): JsonObject {
  let next = spec;
  for (const [applies, fields] of typeFields) {
    if (!applies(before) || applies(spec)) continue;
    for (const field of fields) {
      if (equalJson(before[field], next[field])) next = withPath(next, field, undefined);
    }
  }
  if (!needsNodePorts(before) || needsNodePorts(spec)) return next;
  const known = new Set(objectsOf(before['ports']).map(({ nodePort }) => nodePort));
  const ports = objectsOf(spec['ports']).map((port) =>
    known.has(port['nodePort']) ? objectOf(withPath(port, 'nodePort', undefined)) : port,
  );
  return { ...next, ports };
}

function needsClusterIp(spec: JsonObject): boolean {
  return spec['type'] !== 'ExternalName';
}

function needsNodePorts(spec: JsonObject): boolean {
  return spec['type'] === 'NodePort' || spec['type'] === 'LoadBalancer';
}

function isExternal(spec: JsonObject): boolean {
  return needsNodePorts(spec) || (needsClusterIp(spec) && listOf(spec['externalIPs']).length > 0);
}

/** Both fields of addresses, as who knows one of them meant it. What families follow is settled later (families.ts). */
function keepClusterIps(before: JsonObject, spec: JsonObject): JsonObject {
  const given = stringOf(spec['clusterIP']);
  const kept = given === '' ? stringOf(before['clusterIP']) : given;
  const isListLeft = equalJson(before['clusterIPs'], spec['clusterIPs']);
  if (kept === before['clusterIP'])
    return withDefault({ ...spec, clusterIP: kept }, 'clusterIPs', before['clusterIPs']);
  return isListLeft || listOf(spec['clusterIPs']).length === 0
    ? { ...spec, clusterIP: kept, clusterIPs: [kept] }
    : { ...spec, clusterIP: kept };
}

function keepNodePorts(before: JsonObject, spec: JsonObject): JsonObject {
  const taken = new Set(objectsOf(spec['ports']).map((port) => port['nodePort']));
  const keyOf = (port: JsonObject): string => JSON.stringify([port['port'], port['protocol']]);
  // The first of several that are the same, as a search would find it.
  const oldPorts = new Map(
    objectsOf(before['ports'])
      .toReversed()
      .map((port) => [keyOf(port), port]),
  );
  const ports = objectsOf(spec['ports']).map((port) => {
    if (port['nodePort'] !== undefined) return port;
    const nodePort = oldPorts.get(keyOf(port))?.['nodePort'];
    return nodePort === undefined || taken.has(nodePort) ? port : { ...port, nodePort };
  });
  return at(spec, 'ports') === undefined ? spec : { ...spec, ports };
}

function withDefault(spec: JsonObject, field: string, value: unknown): JsonObject {
  const current = spec[field];
  const isUnset = current === undefined || current === '' || (Array.isArray(current) && current.length === 0);
  return isUnset && value !== undefined ? { ...spec, [field]: value } : spec;
}
