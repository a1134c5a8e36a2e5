/** Which devices a container gets. Pure; the words are the kubelet's (cm/devicemanager). */
import { PodwrightError } from '#base/errors.ts';
import type { Device } from './device.ts';

export interface DeviceChoice {
  readonly resource: string;
  readonly count: number;
  /** All of the resource that its plugin lists; undefined: no plugin serves it. */
  readonly devices: ReadonlyMap<string, Device> | undefined;
  /** Those that containers have. */
  readonly taken: ReadonlySet<string>;
  /** Those of the pod's init containers that have ended by the time the container starts: they come first. */
  readonly reusable: ReadonlySet<string>;
  /** NUMA nodes that the container is to lie near; undefined: no matter. */
  readonly near?: ReadonlySet<number> | undefined;
}

/** What a choice begins with: devices that it has in any case, and those that it may have. */
export interface DeviceChoices {
  readonly certain: readonly string[];
  readonly free: readonly string[];
}

/** @throws {E_BUSY} where there are too few */
export function choicesOf({ resource, count, devices, taken, reusable, near }: DeviceChoice): DeviceChoices {
  if (devices === undefined) return refuse(`cannot allocate unregistered device ${resource}`);
  const healthy = [...devices.values()].filter(({ isHealthy }) => isHealthy).map(({ id }) => id);
  if (healthy.length === 0)
    return refuse(`no healthy devices present; cannot allocate unhealthy devices ${resource}`);
  const known = new Set(healthy);
  // What a pod has may have become unhealthy: its next container gets others.
  const isFar = (id: string): boolean => near !== undefined && nearness(devices.get(id), near) === 'far';
  const certain = [...reusable]
    .filter((id) => known.has(id) && !isFar(id))
    .toSorted()
    .slice(0, count);
  const free = healthy.filter((id) => (reusable.has(id) ? isFar(id) : !taken.has(id)));
  if (free.length < count - certain.length) {
    const amounts = `Requested: ${count}, Available: ${free.length + certain.length}`;
    return refuse(`requested number of devices unavailable for ${resource}. ${amounts}`);
  }
  const choices = { certain, free };
  return near === undefined ? choices : alignChoices(choices, { count, devices, near });
}

/**
 * What is left to choose where the container is to lie near some NUMA nodes: of the devices there where they are more than enough, else all of
 * those, and then of others (the kubelet's filterByAffinity).
 */
function alignChoices(
  { certain, free }: DeviceChoices,
  {
    count,
    devices,
    near,
  }: {
    readonly count: number;
    readonly devices: ReadonlyMap<string, Device>;
    readonly near: ReadonlySet<number>;
  },
): DeviceChoices {
  const those = (wanted: Nearness): readonly string[] =>
    free.filter((id) => nearness(devices.get(id), near) === wanted);
  const aligned = those('near');
  if (count - certain.length < aligned.length) return { certain, free: aligned };
  return { certain: [...certain, ...aligned], free: [...those('far'), ...those('anywhere')] };
}

type Nearness = 'near' | 'far' | 'anywhere';

function nearness(device: Device | undefined, near: ReadonlySet<number>): Nearness {
  const { numaNodes = [] } = device ?? {};
  if (numaNodes.length === 0) return 'anywhere';
  return numaNodes.some((node) => near.has(node)) ? 'near' : 'far';
}

function refuse(message: string): never {
  throw new PodwrightError('E_BUSY', message);
}

/**
 * The devices: those that are certain, then what the plugin prefers of those that are free, then what is near to the fewest NUMA nodes
 * together with what is chosen already. Fewer than `count` only where `choices` has fewer.
 */
export function chooseDevices(
  { certain, free }: DeviceChoices,
  {
    count,
    devices,
    preferred,
  }: Pick<DeviceChoice, 'count' | 'devices'> & { readonly preferred: readonly string[] },
): readonly string[] {
  const isFree = new Set(free);
  const chosen = new Set(certain);
  for (const id of preferred) if (chosen.size < count && isFree.has(id)) chosen.add(id);
  if (chosen.size >= count) return [...chosen];
  const near = (id: string): readonly number[] => devices?.get(id)?.numaNodes ?? [];
  const left = free.filter((id) => !chosen.has(id)).toSorted(byText);
  const has = new Set([...chosen].flatMap(near));
  for (const id of orderByNuma(left, near, { has, needed: count - chosen.size })) chosen.add(id);
  return [...chosen].slice(0, count);
}

/** Those of a node that has enough of them first: of one that the container is near to already, else of the one with the fewest. */
function orderByNuma(
  ids: readonly string[],
  near: (id: string) => readonly number[],
  { has, needed }: { readonly has: ReadonlySet<number>; readonly needed: number },
): readonly string[] {
  const byNode = new Map<number, string[]>();
  for (const id of ids) for (const node of near(id)) byNode.set(node, [...(byNode.get(node) ?? []), id]);
  const [best] = [...byNode]
    .filter(([, its]) => its.length >= needed)
    .toSorted(
      ([a, ofA], [b, ofB]) => Number(has.has(b)) - Number(has.has(a)) || ofA.length - ofB.length || a - b,
    );
  if (best === undefined) return ids;
  const first = new Set(best[1]);
  return [...ids.filter((id) => first.has(id)), ...ids.filter((id) => !first.has(id))];
}

/** With numbers as numbers: `gpu-2` before `gpu-10`. */
function byText(a: string, b: string): number {
  return a.localeCompare(b, 'en', { numeric: true });
}
