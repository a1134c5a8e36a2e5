/**
 * Extended resources that claims stand for (KEP-5004): a pod asks for `example.com/gpu` as of a device plugin, and where a node has none of
 * those, a claim is made for it of the class of devices that has the name. Pure.
 */
import type {
  Container,
  ContainerExtendedResourceRequest,
  DeviceClass,
  DeviceRequest,
  Pod,
} from '#api/generated/objects.ts';
import { isSidecar, parseResources } from '#api/pod/requests.ts';
import { quantityToInteger } from '#api/meta/quantity.ts';
import { isExtendedResource } from '#api/validation/resource-name.ts';

/** On the claim that is made for a pod's extended resources (resource/v1 ExtendedResourceClaimAnnotation). */
export const extendedClaimAnnotation = 'resource.kubernetes.io/extended-resource-claim';
/** Before the name of a class: the name that each has without saying so (ResourceDeviceClassPrefix). */
export const classPrefix = 'deviceclass.resource.kubernetes.io/';

/** Whether a class of devices may stand for it. */
export function mayBeOfClass(resource: string): boolean {
  return resource.startsWith(classPrefix) || isExtendedResource(resource);
}

/** The classes by the resources that they stand for; of several with one name the youngest, then the first by name. */
export function classesByResource(classes: Iterable<DeviceClass>): ReadonlyMap<string, DeviceClass> {
  const found = new Map<string, DeviceClass>();
  const bornAt = ({ metadata }: DeviceClass): string => metadata?.creationTimestamp ?? '';
  const nameOf = ({ metadata }: DeviceClass): string => metadata?.name ?? '';
  for (const one of classes) {
    found.set(`${classPrefix}${nameOf(one)}`, one);
    const { extendedResourceName: name } = one.spec;
    if (name === undefined) continue;
    const other = found.get(name);
    const isNewer =
      other === undefined ||
      bornAt(one) > bornAt(other) ||
      (bornAt(one) === bornAt(other) && nameOf(one) < nameOf(other));
    if (isNewer) found.set(name, one);
  }
  return found;
}

/** What a container asks for of a resource, whole. */
function amountOf({ resources }: Container, resource: string): number {
  const amount = parseResources(resources?.requests ?? resources?.limits).get(resource);
  return amount === undefined ? 0 : quantityToInteger(amount);
}

function containersOf({ spec }: Pod): readonly Container[] {
  return [...(spec?.initContainers ?? []), ...(spec?.containers ?? [])];
}

/** Resources of the pod that some class may stand for, by name, ascending. */
export function classableResources(pod: Pod): readonly string[] {
  const names = containersOf(pod).flatMap((container) =>
    [...parseResources(container.resources?.requests ?? container.resources?.limits).keys()].filter(
      (name) => mayBeOfClass(name) && amountOf(container, name) > 0,
    ),
  );
  return [...new Set(names)].toSorted();
}

export interface ExtendedRequests {
  readonly requests: readonly DeviceRequest[];
  /** Which of the requests each container has. */
  readonly mappings: readonly ContainerExtendedResourceRequest[];
}

/**
 * What a claim asks for in place of the resources (createRequestsAndMappings of kube-scheduler's DynamicResources): a request for each container
 * that runs on; init containers that end use those of containers that begin later, and share one request for what they need beyond. A
 * request is called `container-PLACE-request-PLACE`, by the place of the resource among those of the container.
 */
export function extendedRequestsOf(
  pod: Pod,
  resources: readonly string[],
  classOf: (resource: string) => DeviceClass | undefined,
): ExtendedRequests {
  const parts = resources.flatMap((resource) => {
    const name = classOf(resource)?.metadata?.name;
    return name === undefined ? [] : requestsFor(pod, resource, name);
  });
  const byName = (a: DeviceRequest, b: DeviceRequest): number => (a.name < b.name ? -1 : 1);
  return {
    requests: parts.flatMap(({ requests }) => requests).toSorted(byName),
    mappings: parts.flatMap(({ mappings }) => mappings),
  };
}

interface Counted {
  readonly name: string;
  readonly count: number;
}

function requestsFor(pod: Pod, resource: string, deviceClassName: string): ExtendedRequests {
  const containers = containersOf(pod);
  const initCount = pod.spec?.initContainers?.length ?? 0;
  const nameOf = (container: Container, index: number): string => {
    const names = Object.keys(container.resources?.requests ?? container.resources?.limits ?? {});
    return `container-${index}-request-${names.toSorted().indexOf(resource)}`;
  };
  const lasting = new Map<number, Counted>();
  const ending: (readonly [container: Container, index: number])[] = [];
  for (const [index, container] of containers.entries()) {
    const count = amountOf(container, resource);
    if (count <= 0) continue;
    if (index < initCount && !isSidecar(container)) ending.push([container, index]);
    else lasting.set(index, { name: nameOf(container, index), count });
  }
  let shared: Counted | undefined;
  const own = ending.map(([container, index]) => {
    let left = amountOf(container, resource);
    const used: string[] = [];
    for (const [place, { name, count }] of lasting) {
      if (place < index || left <= 0) continue;
      used.push(name);
      left -= count;
    }
    const more = left > 0 ? { name: nameOf(container, index), count: left } : undefined;
    if (more !== undefined && (shared === undefined || shared.count < more.count)) shared = more;
    return { container, used, needsMore: more !== undefined };
  });
  const requestName = shared?.name;
  const mapping = (containerName: string, name: string): ContainerExtendedResourceRequest => ({
    containerName,
    requestName: name,
    resourceName: resource,
  });
  return {
    requests: [...(shared === undefined ? [] : [shared]), ...lasting.values()].map(({ name, count }) => ({
      name,
      exactly: { deviceClassName, allocationMode: 'ExactCount', count },
    })),
    mappings: [
      ...[...lasting].map(([index, { name }]) => mapping(containers[index]?.name ?? '', name)),
      ...own.flatMap(({ container, used, needsMore }) =>
        [...used, ...(needsMore && requestName !== undefined ? [requestName] : [])].map((name) =>
          mapping(container.name, name),
        ),
      ),
    ],
  };
}

/** Requests of the pod's claim for extended resources that a container has. */
export function requestsOfContainer(pod: Pod, container: string): readonly string[] {
  const { requestMappings = [] } = pod.status?.extendedResourceClaimStatus ?? {};
  return requestMappings
    .filter(({ containerName }) => containerName === container)
    .map(({ requestName }) => requestName);
}

/** Whether the claim stands for what the container asks for of the resource: no device plugin is asked then. */
export function isOfClaim(pod: Pod, container: string, resource: string): boolean {
  const { requestMappings = [] } = pod.status?.extendedResourceClaimStatus ?? {};
  return requestMappings.some(
    ({ containerName, resourceName }) => containerName === container && resourceName === resource,
  );
}
