import { controllerRef } from '#api/meta/owner.ts';
import { labelSelectorFromMap, type LabelMatcher } from '#api/meta/selector.ts';
import type { Container, Node, Pod, Service } from '#api/generated/objects.ts';
import { podHostPorts, type HostPort } from '#api/pod/host-ports.ts';
import { parseResources, podTakenNumbers, resourceNumbers } from '#api/pod/requests.ts';

/** Amounts by resource name: cpu in thousandths of a core, everything else in whole units. */
export type ResourceAmounts = ReadonlyMap<string, number>;

/** Objects of the informers never change, so what is worked out of one is kept with it. */
function remembered<K extends object, V>(compute: (key: K) => V): (key: K) => V {
  const known = new WeakMap<K, V>();
  return (key) => {
    const found = known.get(key);
    if (found !== undefined) return found;
    const value = compute(key);
    known.set(key, value);
    return value;
  };
}

/** What a pod asks for, which pods of one template have in common. */
interface Asked {
  readonly requests: ResourceAmounts;
  readonly forScore: ResourceAmounts;
}

/** Texts of what pods ask for, of which amounts are kept, and how long each may be; beyond, they are worked out anew, the oldest first. */
export const askedCountMax = 1024;
const askedLengthMax = 4096;
const askedByText = new Map<string, Asked>();

/** Pods that ask for the same have the same maps: most of a cluster's are of a few templates, and each has several versions. */
const askedOf: (pod: Pod) => Asked = remembered((pod) => {
  const text = JSON.stringify(askingOf(pod));
  const known = askedByText.get(text);
  if (known !== undefined) return known;
  const requests = podTakenNumbers(pod);
  const asked = { requests, forScore: scoringRequests(pod, requests) };
  if (text.length > askedLengthMax) return asked;
  const [oldest] = askedByText.keys();
  if (askedByText.size >= askedCountMax && oldest !== undefined) askedByText.delete(oldest);
  askedByText.set(text, asked);
  return asked;
});

/** All of a pod that `podTaken` reads. */
function askingOf({ spec, status }: Pod): unknown {
  const { containers = [], initContainers = [], resources, overhead } = spec ?? {};
  const ofContainer = ({ name, resources, restartPolicy }: Container): unknown => [
    name,
    resources?.requests,
    restartPolicy,
  ];
  const { containerStatuses = [], initContainerStatuses = [], conditions = [] } = status ?? {};
  const held = [...containerStatuses, ...initContainerStatuses].map((one) => [
    one.name,
    one.allocatedResources,
    one.resources?.requests,
  ]);
  return [
    containers.map(ofContainer),
    initContainers.map(ofContainer),
    ...[resources?.requests, overhead, held, status?.allocatedResources, status?.resources?.requests],
    conditions.some(({ type, reason }) => type === 'PodResizePending' && reason === 'Infeasible'),
  ];
}

export function requestsOf(pod: Pod): ResourceAmounts {
  return askedOf(pod).requests;
}

// As kube-scheduler counts containers that ask for nothing (util.DefaultMilliCPURequest, DefaultMemoryRequest).
const defaultRequests = { cpu: '100m', memory: '200Mi' };

/** Requests of cpu and memory, with a small amount for each container that says nothing of them; 0 is said. */
export function scoringRequestsOf(pod: Pod): ResourceAmounts {
  return askedOf(pod).forScore;
}

function scoringRequests(pod: Pod, asked: ResourceAmounts): ResourceAmounts {
  const requests = asksAll(pod) ? asked : podTakenNumbers(askingAll(pod));
  return new Map(Object.keys(defaultRequests).map((name) => [name, requests.get(name) ?? 0]));
}

function asksAll({ spec }: Pod): boolean {
  return [...(spec?.containers ?? []), ...(spec?.initContainers ?? [])].every(
    ({ resources }) =>
      resources?.requests?.['cpu'] !== undefined && resources.requests['memory'] !== undefined,
  );
}

function askingAll(pod: Pod): Pod {
  const ask = (container: Container): Container => ({
    ...container,
    resources: { ...container.resources, requests: { ...defaultRequests, ...container.resources?.requests } },
  });
  const { containers = [], initContainers = [], ...spec } = pod.spec ?? {};
  return {
    ...pod,
    spec: { ...spec, containers: containers.map(ask), initContainers: initContainers.map(ask) },
  };
}

export const allocatableOf: (node: Node) => ResourceAmounts = remembered(({ status }) =>
  resourceNumbers(parseResources(status?.allocatable ?? status?.capacity)),
);

/** Bytes of the images that the node has, by each of their names. */
export const imageSizesOf: (node: Node) => ReadonlyMap<string, number> = remembered(
  ({ status }) =>
    new Map(
      (status?.images ?? []).flatMap(({ names = [], sizeBytes = 0 }) =>
        names.map((name) => [name, sizeBytes] as const),
      ),
    ),
);

/** The pods that a Service selects. */
export const serviceSelectorOf: (service: Service) => LabelMatcher = remembered(({ spec }) =>
  labelSelectorFromMap(spec?.selector),
);

/** The uid of the pod's controller; undefined for a pod on its own. */
export function controllerUidOf(pod: Pod): string | undefined {
  return controllerRef(pod)?.uid;
}

/** The ports that the pod binds on its node. */
export const hostPortsOf: (pod: Pod) => readonly HostPort[] = remembered(podHostPorts);
