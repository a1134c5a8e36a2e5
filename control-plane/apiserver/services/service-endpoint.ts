import { randomInt } from 'node:crypto';
import { at, listOf, numberOf, objectsOf, stringOf } from '#api/wire/json.ts';
import type { JsonObject } from '#api/meta/object.ts';
import { builtIn } from '#control-plane/apiserver/built-in.ts';
import type { Registry } from '#control-plane/apiserver/objects/registry.ts';

const services = builtIn('', 'v1', 'services');
const endpointSlices = builtIn('discovery.k8s.io', 'v1', 'endpointslices');

export interface ServiceTarget {
  readonly namespace: string;
  readonly name: string;
  readonly port: number;
}

/** Where a Service answers now, or why nowhere, in kube-apiserver's words. */
export type ServiceAnswer =
  | { readonly host: string; readonly port: number; readonly reason?: undefined }
  | { readonly host?: undefined; readonly reason: string };

/**
 * One of the ready endpoints of a Service, by chance. Addresses of pods, not that of the Service: what leads to those is on nodes, and
 * the server need not be on one.
 */
export async function findServiceEndpoint(registry: Registry, target: ServiceTarget): Promise<ServiceAnswer> {
  const { namespace, name } = target;
  const entry = await registry.read(services, namespace, name);
  if (entry === undefined) return { reason: `service ${JSON.stringify(name)} not found` };
  const found = externalOrPort(entry.object, target);
  if (!('name' in found)) return found;
  const slices = await endpointSlicesOf(registry, namespace, name);
  const ready = slices.flatMap((slice) => readyEndpoints(slice, found.name));
  const chosen = ready.length === 0 ? undefined : ready[randomInt(ready.length)];
  return chosen ?? { reason: `no endpoints available for service ${JSON.stringify(name)}` };
}

/** The EndpointSlices of a Service. */
export async function endpointSlicesOf(
  registry: Registry,
  namespace: string,
  name: string,
): Promise<readonly JsonObject[]> {
  const slices = await registry.readAll(endpointSlices, namespace);
  return slices.filter((slice) => at(slice, ['metadata', 'labels', 'kubernetes.io/service-name']) === name);
}

/** The name of the port by which endpoints are found, or at once where the name is somebody else's. */
function externalOrPort(
  service: JsonObject,
  { name, port }: ServiceTarget,
): ServiceAnswer | { readonly name: string } {
  if (at(service, 'spec.type') === 'ExternalName')
    return { host: stringOf(at(service, 'spec.externalName')), port };
  const own = objectsOf(at(service, 'spec.ports')).find((each) => numberOf(each['port']) === port);
  if (own === undefined)
    return { reason: `no service port ${port} found for service ${JSON.stringify(name)}` };
  return { name: stringOf(own['name']) };
}

function readyEndpoints(
  slice: JsonObject,
  portName: string,
): readonly { readonly host: string; readonly port: number }[] {
  const target = objectsOf(slice['ports']).find(({ name }) => stringOf(name) === portName);
  if (target === undefined) return [];
  return objectsOf(slice['endpoints'])
    .filter((endpoint) => at(endpoint, 'conditions.ready') !== false)
    .map((endpoint) => ({ host: stringOf(listOf(endpoint['addresses'])[0]), port: numberOf(target['port']) }))
    .filter(({ host }) => host !== '');
}
