/** The fields of KubeletConfiguration about CPUs and memory for containers alone, and what they are on a machine. Pure. */
import type { JsonObject } from '#api/meta/object.ts';
import { quantityToInteger, tryParseQuantity } from '#api/meta/quantity.ts';
import { isObject, listOf, stringOf } from '#api/wire/json.ts';
import { PodwrightError } from '#base/errors.ts';
import type { AssignRules } from './assignment.ts';
import { parseCpuList } from './cpu-list.ts';
import { nodesMax, type TopologyPolicy } from './hints.ts';
import type { MachineTopology } from './machine-topology.ts';
import { takeCpus } from './take-cpus.ts';

export interface AssignSettings {
  readonly rules: Omit<AssignRules, 'reservedCpus'>;
  /** reservedSystemCPUs; undefined: as many as are reserved, of the machine's first. */
  readonly reservedCpus: readonly number[] | undefined;
  /** max-allowable-numa-nodes */
  readonly nodesMax: number;
  /** cpuManagerReconcilePeriod */
  readonly reconcileMs: number;
}

export const defaultAssign: AssignSettings = {
  rules: {
    cpuPolicy: 'none',
    isStrict: false,
    take: { isWholeCores: false, isSpread: false, isCacheAligned: false },
    memoryPolicy: 'None',
    reservedMemory: new Map(),
    topologyPolicy: 'none',
    scope: 'container',
    isClosest: false,
  },
  reservedCpus: undefined,
  nodesMax: 8,
  reconcileMs: 10_000,
};

/** Options of policies that are there; of the others that 1.36 knows, why not. */
const cpuOptions = [
  'full-pcpus-only',
  'distribute-cpus-across-numa',
  'strict-cpu-reservation',
  'prefer-align-cpus-by-uncorecache',
] as const;
const alphaCpuOptions = ['align-by-socket', 'distribute-cpus-across-cores'];
const topologyOptions = ['prefer-closest-numa-nodes', 'max-allowable-numa-nodes'] as const;
const topologyPolicies: readonly TopologyPolicy[] = ['none', 'best-effort', 'restricted', 'single-numa-node'];

/** Adds what is wrong to `problems`. `cpuMilli`: what kubeReserved and systemReserved keep together. */
export function readAssign(
  configuration: JsonObject,
  reserved: { readonly cpuMilli: number },
  problems: string[],
): Omit<AssignSettings, 'reconcileMs'> {
  const choose = <T extends string>(field: string, values: readonly T[], otherwise: T): T => {
    const value = stringOf(configuration[field]);
    const found = values.find((each) => each === value);
    if (value !== '' && found === undefined)
      problems.push(`${field}: ${value} is none of ${values.join(', ')}`);
    return found ?? otherwise;
  };
  const cpuPolicy = choose('cpuManagerPolicy', ['none', 'static'], 'none');
  const memoryPolicy = choose('memoryManagerPolicy', ['None', 'Static'], 'None');
  const topologyPolicy = choose('topologyManagerPolicy', topologyPolicies, 'none');
  const scope = choose('topologyManagerScope', ['container', 'pod'], 'container');
  const cpu = readCpuOptions(configuration, cpuPolicy, problems);
  const topology = readTopologyOptions(configuration, topologyPolicy, problems);
  const reservedCpus = readReservedCpus(configuration, problems);
  if (cpuPolicy === 'static' && reservedCpus === undefined && reserved.cpuMilli <= 0)
    problems.push(
      'cpuManagerPolicy: static wants CPUs for the system: set reservedSystemCPUs, or cpu of kubeReserved or systemReserved',
    );
  const reservedMemory = readReservedMemory(configuration['reservedMemory'], problems);
  if (memoryPolicy === 'Static' && reservedMemory.size === 0)
    problems.push(
      'memoryManagerPolicy: Static wants reservedMemory, what the system keeps of each NUMA node',
    );
  return {
    rules: {
      ...{ cpuPolicy, memoryPolicy, topologyPolicy, scope, reservedMemory },
      isStrict: cpu.has('strict-cpu-reservation'),
      take: {
        isWholeCores: cpu.has('full-pcpus-only'),
        isSpread: cpu.has('distribute-cpus-across-numa'),
        isCacheAligned: cpu.has('prefer-align-cpus-by-uncorecache'),
      },
      isClosest: topology.isClosest,
    },
    reservedCpus,
    nodesMax: topology.nodesMax,
  };
}

function readReservedCpus(configuration: JsonObject, problems: string[]): readonly number[] | undefined {
  const text = stringOf(configuration['reservedSystemCPUs']);
  if (text === '') return undefined;
  const cpus = parseCpuList(text);
  if (cpus === undefined) problems.push(`reservedSystemCPUs: ${text} is no list of CPUs`);
  return cpus;
}

function optionsOf(value: unknown): readonly (readonly [string, string])[] {
  return isObject(value) ? Object.entries(value).map(([name, text]) => [name, stringOf(text)] as const) : [];
}

function readCpuOptions(configuration: JsonObject, policy: string, problems: string[]): ReadonlySet<string> {
  const at = 'cpuManagerPolicyOptions';
  const given = optionsOf(configuration[at]);
  if (given.length > 0 && policy !== 'static') problems.push(`${at}: they are of the static policy`);
  const on = new Set<string>();
  for (const [name, value] of given) {
    if (alphaCpuOptions.includes(name)) problems.push(`${at}.${name}: alpha options are not there`);
    else if (!cpuOptions.some((each) => each === name))
      problems.push(`${at}.${name}: the options are ${cpuOptions.join(', ')}`);
    else if (!['true', 'false'].includes(value))
      problems.push(`${at}.${name}: ${value} is neither true nor false`);
    else if (value === 'true') on.add(name);
  }
  if (on.has('prefer-align-cpus-by-uncorecache') && on.has('distribute-cpus-across-numa'))
    problems.push(
      `${at}: prefer-align-cpus-by-uncorecache and distribute-cpus-across-numa exclude each other`,
    );
  return on;
}

function readTopologyOptions(
  configuration: JsonObject,
  policy: string,
  problems: string[],
): { readonly isClosest: boolean; readonly nodesMax: number } {
  const at = 'topologyManagerPolicyOptions';
  const given = optionsOf(configuration[at]);
  if (given.length > 0 && policy === 'none') problems.push(`${at}: they are of policies other than none`);
  for (const [name] of given)
    if (!topologyOptions.some((each) => each === name))
      problems.push(`${at}.${name}: the options are ${topologyOptions.join(', ')}`);
  const of = new Map(given);
  const most = of.get('max-allowable-numa-nodes');
  // As upstream: fewer than the default of eight cannot be asked for.
  if (most !== undefined && !(Number(most) >= defaultAssign.nodesMax && Number(most) <= nodesMax))
    problems.push(
      `${at}.max-allowable-numa-nodes: ${most} is not from ${defaultAssign.nodesMax} to ${nodesMax}`,
    );
  return {
    isClosest: of.get('prefer-closest-numa-nodes') === 'true',
    nodesMax: most === undefined ? defaultAssign.nodesMax : Number(most) || defaultAssign.nodesMax,
  };
}

/** `[{ numaNode: 0, limits: { memory: 1Gi, hugepages-2Mi: 2Mi } }]` */
function readReservedMemory(value: unknown, problems: string[]): AssignRules['reservedMemory'] {
  const reserved = new Map<number, ReadonlyMap<string, number>>();
  if (value === undefined || value === null) return reserved;
  if (!Array.isArray(value)) problems.push('reservedMemory: it is no list');
  for (const [index, each] of listOf(value).entries()) {
    const at = `reservedMemory[${index}]`;
    const node = isObject(each) ? each['numaNode'] : undefined;
    const limits = isObject(each) ? each['limits'] : undefined;
    if (typeof node !== 'number' || node < 0 || node >= nodesMax || reserved.has(node) || !isObject(limits)) {
      problems.push(`${at}: numaNode, each once, and limits are wanted`);
      continue;
    }
    const amounts = new Map<string, number>();
    for (const [name, text] of Object.entries(limits)) {
      const quantity = tryParseQuantity(typeof text === 'number' ? String(text) : text);
      if (quantity === undefined || !(name === 'memory' || name.startsWith('hugepages-')))
        problems.push(`${at}.limits.${name}: memory and hugepages-SIZE are kept, each an amount`);
      else amounts.set(name, quantityToInteger(quantity));
    }
    reserved.set(node, amounts);
  }
  return reserved;
}

/** What the settings are on this machine. @throws {E_USAGE} for what it cannot be */
export function rulesOn(
  { rules, reservedCpus, nodesMax: most }: AssignSettings,
  topology: MachineTopology,
  kept: { readonly cpuMilli: number; readonly memoryBytes: number },
): AssignRules {
  if (rules.topologyPolicy !== 'none' && topology.nodes.length > most)
    throw new PodwrightError(
      'E_USAGE',
      `start agent: topologyManagerPolicy: the machine has ${topology.nodes.length} NUMA nodes, and topologyManagerPolicyOptions.max-allowable-numa-nodes are ${most}`,
    );
  const all = new Set(topology.cpus.map(({ id }) => id));
  const missing = (reservedCpus ?? []).filter((id) => !all.has(id));
  if (missing.length > 0)
    throw new PodwrightError(
      'E_USAGE',
      `start agent: reservedSystemCPUs: the machine has no CPU ${missing.join(', ')}`,
    );
  const total = [...rules.reservedMemory.values()].reduce(
    (sum, amounts) => sum + (amounts.get('memory') ?? 0),
    0,
  );
  if (rules.memoryPolicy === 'Static' && total !== kept.memoryBytes)
    throw new PodwrightError(
      'E_USAGE',
      `start agent: reservedMemory: ${total} bytes of memory together, and kubeReserved, systemReserved and evictionHard keep ${kept.memoryBytes}; they have to be the same`,
    );
  const count = Math.min(all.size, Math.ceil(kept.cpuMilli / 1000));
  return {
    ...rules,
    reservedCpus:
      reservedCpus ?? takeCpus(topology, all, rules.cpuPolicy === 'static' ? count : 0, rules.take) ?? [],
  };
}
