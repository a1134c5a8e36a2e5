import type { Device, Node, NodeSelector, ResourceSlice } from '#api/generated/objects.ts';
import { tryParseQuantity } from '#api/meta/quantity.ts';
import { matchesNodeTerm } from '#api/pod/node-affinity.ts';

/** The devices of one driver that are managed together: the slices of the newest generation. */
export interface Pool {
  readonly driver: string;
  readonly name: string;
  /** Slices of its generation are still missing: nothing is taken from it. */
  readonly isIncomplete: boolean;
  /** Why nothing may be taken from it. */
  readonly problem: string | undefined;
  readonly slices: readonly ResourceSlice[];
  readonly devices: readonly PoolDevice[];
  /** What its devices share: billionths by counter, by set. */
  readonly counters: ReadonlyMap<string, Counters>;
}

export type Counters = ReadonlyMap<string, bigint>;

export interface PoolDevice {
  /** `driver/pool/device`. */
  readonly id: string;
  readonly pool: Pool;
  readonly device: Device;
  readonly nodes: NodeChoice;
}

/** From which nodes a device can be used. */
export interface NodeChoice {
  readonly nodeName?: string | undefined;
  readonly nodeSelector?: NodeSelector | undefined;
  readonly allNodes?: boolean | undefined;
}

/** What of a pool can be used from a node. */
export interface NodePool {
  readonly pool: Pool;
  readonly devices: readonly PoolDevice[];
}

/** Pools, found by node. */
export interface PoolIndex {
  readonly pools: readonly Pool[];
  for(node: Node): readonly NodePool[];
}

export function deviceId(driver: string, pool: string, device: string): string {
  return `${driver}/${pool}/${device}`;
}

/**
 * All pools of the slices (GatherPools of k8s.io/dynamic-resource-allocation/structured). Pure. Those that make a pod wait for a condition
 * come last, else they are in order of their names.
 */
export function indexPools(slices: readonly ResourceSlice[]): PoolIndex {
  const groups = Map.groupBy(slices, ({ spec }) => `${spec.driver}/${spec.pool.name}`);
  const pools = [...groups.values()]
    .map(poolOf)
    .toSorted((a, b) => Number(waits(a)) - Number(waits(b)) || order(keyOf(a), keyOf(b)));
  const local = Map.groupBy(pools, onlyNodeOf);
  const elsewhere = local.get(undefined) ?? [];
  return {
    pools,
    for: (node) => {
      const near = local.get(node.metadata?.name ?? '') ?? [];
      return [...near, ...elsewhere]
        .toSorted((a, b) => Number(waits(a)) - Number(waits(b)) || order(keyOf(a), keyOf(b)))
        .flatMap((pool) => {
          const devices = pool.devices.filter(({ nodes }) => isOn(nodes, node));
          return devices.length === 0 ? [] : [{ pool, devices }];
        });
    },
  };
}

function keyOf({ driver, name }: Pool): string {
  return `${driver}/${name}`;
}

function waits({ devices }: Pool): boolean {
  return devices.some(({ device }) => (device.bindingConditions ?? []).length > 0);
}

function order(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

/** The one node of all its devices; undefined where there are others. */
function onlyNodeOf({ slices }: Pool): string | undefined {
  const names = new Set(slices.map(({ spec }) => spec.nodeName));
  return names.size === 1 ? [...names][0] : undefined;
}

function poolOf(slices: readonly ResourceSlice[]): Pool {
  const newest = Math.max(...slices.map(({ spec }) => spec.pool.generation));
  const current = slices
    .filter(({ spec }) => spec.pool.generation === newest)
    .toSorted((a, b) => order(a.metadata?.name ?? '', b.metadata?.name ?? ''));
  const { driver = '', pool: { name = '', resourceSliceCount = 0 } = {} } = current[0]?.spec ?? {};
  const counters = new Map(
    current.flatMap(({ spec }) =>
      (spec.sharedCounters ?? []).map((set) => [set.name, countersOf(set.counters)] as const),
    ),
  );
  const devices: PoolDevice[] = [];
  const isIncomplete = current.length !== resourceSliceCount;
  const problem = isIncomplete ? undefined : problemOf(current, counters);
  const pool: Pool = { driver, name, isIncomplete, problem, slices: current, devices, counters };
  for (const { spec } of current) {
    for (const device of spec.devices ?? []) {
      const nodes = spec.perDeviceNodeSelection === true ? device : spec;
      devices.push({ id: deviceId(driver, name, device.name), pool, device, nodes });
    }
  }
  return pool;
}

export function countersOf(counters: Readonly<Record<string, { readonly value: string }>>): Counters {
  return new Map(Object.entries(counters).map(([name, { value }]) => [name, nanosOf(value)]));
}

/** Billionths. */
export function nanosOf(text: string | undefined): bigint {
  return tryParseQuantity(text)?.nanos ?? 0n;
}

function problemOf(
  slices: readonly ResourceSlice[],
  counters: ReadonlyMap<string, Counters>,
): string | undefined {
  const devices = slices.flatMap(({ spec }) => spec.devices ?? []);
  const twice = repeated(devices.map(({ name }) => name));
  if (twice !== undefined) return `duplicate device name ${twice}`;
  const sets = slices.flatMap(({ spec }) => spec.sharedCounters ?? []);
  const set = repeated(sets.map(({ name }) => name));
  if (set !== undefined) return `duplicate counter set name ${set}`;
  for (const { name, consumesCounters = [] } of devices) {
    for (const { counterSet, counters: taken } of consumesCounters) {
      const known = counters.get(counterSet);
      if (known === undefined)
        return `device ${name} refers to a counter set that is not there: ${counterSet}`;
      const unknown = Object.keys(taken).find((counter) => !known.has(counter));
      if (unknown !== undefined)
        return `device ${name} refers to a counter of ${counterSet} that is not there: ${unknown}`;
    }
  }
  return undefined;
}

function repeated(names: readonly string[]): string | undefined {
  return names.find((name, index) => names.indexOf(name) !== index);
}

function isOn({ nodeName = '', allNodes, nodeSelector }: NodeChoice, node: Node): boolean {
  if (nodeName !== '') return node.metadata?.name === nodeName;
  return allNodes === true || (nodeSelector !== undefined && matchesSelector(nodeSelector, node));
}

/** Whether a node is one of those that a selector names. */
export function matchesSelector({ nodeSelectorTerms }: NodeSelector, node: Node): boolean {
  return nodeSelectorTerms.some((term) => matchesNodeTerm(term, node));
}
