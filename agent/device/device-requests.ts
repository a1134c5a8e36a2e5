/** What devices the containers of a pod ask for. Pure. */
import type { Container, Pod } from '#api/generated/objects.ts';
import { isOfClaim } from '#api/device/extended-resources.ts';
import { parseQuantity, quantityToInteger } from '#api/meta/quantity.ts';
import { isExtendedResource } from '#api/validation/resource-name.ts';

export interface DeviceRequest {
  readonly container: string;
  readonly resource: string;
  readonly count: number;
  /** Containers whose devices it may have: those that have ended when it starts, and of which no other has taken them over. */
  readonly reuses: readonly string[];
}

/**
 * Init containers first, in their order. One that ends leaves its devices to those after it, of which a sidecar keeps what it takes, and
 * so does each container of the pod: they run beside each other (as the kubelet has it; kubernetes/kubernetes#120461).
 * @param isDevice whether plugins have that resource
 */
export function planRequests(pod: Pod, isDevice: (resource: string) => boolean): readonly DeviceRequest[] {
  const { spec } = pod;
  const requests: DeviceRequest[] = [];
  // What the scheduler gave by a claim, no plugin gives again.
  const isOwn =
    ({ name }: Container) =>
    (resource: string): boolean =>
      isDevice(resource) && !isOfClaim(pod, name, resource);
  const ended: string[] = [];
  for (const container of spec?.initContainers ?? []) {
    requests.push(...requestsOf(container, isOwn(container), [...ended]));
    if (container.restartPolicy !== 'Always') ended.push(container.name);
  }
  for (const container of spec?.containers ?? [])
    requests.push(...requestsOf(container, isOwn(container), [...ended]));
  return requests;
}

function requestsOf(
  { name, resources }: Container,
  isDevice: (resource: string) => boolean,
  reuses: readonly string[],
): readonly DeviceRequest[] {
  return Object.entries(resources?.limits ?? {}).flatMap(([resource, amount]) => {
    if (!isExtendedResource(resource) || !isDevice(resource)) return [];
    const count = quantityToInteger(parseQuantity(String(amount)));
    return count <= 0 ? [] : [{ container: name, resource, count, reuses }];
  });
}
