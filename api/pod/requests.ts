import type { Container, ContainerStatus, Pod, PodSpec } from '#api/generated/objects.ts';
import {
  addQuantity,
  compareQuantity,
  formatQuantity,
  quantityToInteger,
  quantityToMilli,
  tryParseQuantity,
  type Quantity,
} from '#api/meta/quantity.ts';

/** Amounts by resource name. */
export type Resources = ReadonlyMap<string, Quantity>;

/**
 * What a pod needs of a node: containers and sidecars together, or an init container with the sidecars started before it where that is
 * more, plus overhead. Requests of the pod itself, where given, stand for those of its containers.
 * Source: component-helpers resource.PodRequests; KEP-753 for sidecars.
 */
export function podRequests(pod: Pod): Resources {
  return podAmounts(pod, 'requests');
}

/** The same of limits; resources that some container does not limit are the sum of those that do. */
export function podLimits(pod: Pod): Resources {
  return podAmounts(pod, 'limits');
}

/**
 * What a pod takes of its node while it is resized: the most of what it asks for, what the node gave it and what it has. What the
 * node never gives (PodResizePending, Infeasible) is not counted. The numbers of `podRequestNumbers`.
 */
export function podTakenNumbers(pod: Pod): ReadonlyMap<string, number> {
  return resourceNumbers(podTaken(pod, 'requests'));
}

/**
 * The same as amounts, or what it is limited to meanwhile.
 * Source: KEP-1287, Scheduler and API Server Interaction; component-helpers resource.PodRequests and PodLimits with UseStatusResources.
 */
export function podTaken(pod: Pod, field: 'requests' | 'limits'): Resources {
  const { spec, status } = pod;
  const statuses = [...(status?.containerStatuses ?? []), ...(status?.initContainerStatuses ?? [])];
  if (spec === undefined || statuses.length === 0) return podAmounts(pod, field);
  const isInfeasible = (status?.conditions ?? []).some(
    ({ type, reason }) => type === 'PodResizePending' && reason === 'Infeasible',
  );
  const take = (container: Container): Container => {
    const held = heldOf(
      statuses.find(({ name }) => name === container.name),
      field,
    );
    if (held.length === 0) return container;
    const asked = isInfeasible ? [] : [container.resources?.[field]];
    return { ...container, resources: { ...container.resources, [field]: largestOf([...held, ...asked]) } };
  };
  const wholeHeld = heldOf(status, field);
  const whole =
    spec.resources === undefined || wholeHeld.length === 0
      ? spec.resources
      : {
          ...spec.resources,
          [field]: largestOf([...wholeHeld, ...(isInfeasible ? [] : [spec.resources[field]])]),
        };
  const taken = {
    ...spec,
    containers: spec.containers.map(take),
    initContainers: (spec.initContainers ?? []).map(take),
    ...(whole === undefined ? {} : { resources: whole }),
  };
  return podAmounts({ ...pod, spec: taken }, field);
}

type Amounts = Readonly<Record<string, string>>;

/** What a status says that its container, or the pod as a whole, was given and has. */
function heldOf(
  status: Pick<ContainerStatus, 'allocatedResources' | 'resources'> | undefined,
  field: 'requests' | 'limits',
): readonly Amounts[] {
  const given = field === 'requests' ? status?.allocatedResources : undefined;
  return [given, status?.resources?.[field]].filter((list) => list !== undefined);
}

function largestOf(lists: readonly (Amounts | undefined)[]): Amounts {
  const most = lists.map(parseResources).reduce(larger, new Map());
  return Object.fromEntries([...most].map(([name, amount]) => [name, formatQuantity(amount)]));
}

/** Requests as plain numbers: cpu in thousandths of a core, everything else in whole units, rounded up. */
export function podRequestNumbers(pod: Pod): ReadonlyMap<string, number> {
  return resourceNumbers(podRequests(pod));
}

/** cpu in thousandths of a core, everything else in whole units, rounded up. */
export function resourceNumbers(resources: Resources): ReadonlyMap<string, number> {
  return new Map([...resources].map(([name, amount]) => [name, resourceNumber(name, amount)]));
}

/** A resource list of an object (`status.allocatable`); what does not parse is left out. */
export function parseResources(list: Readonly<Record<string, string>> | undefined): Resources {
  const amounts = new Map<string, Quantity>();
  for (const [name, text] of Object.entries(list ?? {})) {
    const amount = tryParseQuantity(text);
    if (amount !== undefined) amounts.set(name, amount);
  }
  return amounts;
}

/** Whether an init container keeps running beside the others. */
export function isSidecar(container: Container): boolean {
  return container.restartPolicy === 'Always';
}

function podAmounts(pod: Pod, field: 'requests' | 'limits'): Resources {
  const { overhead, resources } = pod.spec ?? {};
  const own = pod.spec === undefined ? new Map() : runningAmounts(pod.spec, field);
  const needed = new Map([...own, ...parseResources(resources?.[field])]);
  return field === 'requests' || needed.size > 0 ? sum(needed, parseResources(overhead)) : needed;
}

/** What the containers of a pod ask for at most at one time, without what the pod itself does. */
export function runningAmounts(
  { containers = [], initContainers = [] }: Partial<Pick<PodSpec, 'containers' | 'initContainers'>>,
  field: 'requests' | 'limits',
): Resources {
  let running: Resources = new Map();
  for (const container of containers) running = sum(running, parseResources(container.resources?.[field]));
  let sidecars: Resources = new Map();
  let peak: Resources = new Map();
  for (const container of initContainers) {
    const own = parseResources(container.resources?.[field]);
    if (isSidecar(container)) {
      running = sum(running, own);
      sidecars = sum(sidecars, own);
      peak = larger(peak, sidecars);
    } else peak = larger(peak, sum(sidecars, own));
  }
  return larger(running, peak);
}

function sum(a: Resources, b: Resources): Resources {
  const total = new Map(a);
  for (const [name, amount] of b) {
    const known = total.get(name);
    total.set(name, known === undefined ? amount : addQuantity(known, amount));
  }
  return total;
}

function larger(a: Resources, b: Resources): Resources {
  const most = new Map(a);
  for (const [name, amount] of b) {
    const known = most.get(name);
    if (known === undefined || compareQuantity(amount, known) > 0) most.set(name, amount);
  }
  return most;
}

function resourceNumber(name: string, amount: Quantity): number {
  return name === 'cpu' ? quantityToMilli(amount) : quantityToInteger(amount);
}
