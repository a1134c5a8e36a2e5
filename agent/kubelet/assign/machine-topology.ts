/** How CPUs and memory of a machine lie to each other, as sysfs tells. */
import { readdir, readFile } from 'node:fs/promises';
import path from 'node:path';
import { parseCpuList } from './cpu-list.ts';

export interface Cpu {
  readonly id: number;
  /** Its first thread stands for a core; the numbers of sysfs are each socket's own. */
  readonly core: number;
  readonly socket: number;
  readonly node: number;
  /** The first CPU that shares its last cache (uncore). */
  readonly cache: number;
}

export interface NumaNode {
  readonly id: number;
  readonly memoryBytes: number;
  /** Bytes of pages set aside, by resource: `hugepages-2Mi`. */
  readonly hugePages: ReadonlyMap<string, number>;
  /** By node, in the order of their numbers (ACPI SLIT): 10 is itself. */
  readonly distances: readonly number[];
}

export interface MachineTopology {
  /** Online, by number. */
  readonly cpus: readonly Cpu[];
  readonly nodes: readonly NumaNode[];
}

/** Where sysfs has CPUs and nodes. */
export const systemDevices = '/sys/devices/system';

/** Of the CPUs that are online. A machine that tells of no NUMA is one node. */
export async function readTopology(root: string = systemDevices): Promise<MachineTopology> {
  const online = parseCpuList(await text(path.join(root, 'cpu/online'))) ?? [];
  const nodes = await readNodes(path.join(root, 'node'));
  const nodeOf = new Map(nodes.flatMap(({ node, cpus }) => cpus.map((cpu) => [cpu, node.id] as const)));
  const cpus = await Promise.all(
    online.map(async (id): Promise<Cpu> => {
      const directory = path.join(root, `cpu/cpu${id}`);
      const [socket, siblings, shared] = await Promise.all([
        text(path.join(directory, 'topology/physical_package_id')),
        text(path.join(directory, 'topology/thread_siblings_list')),
        text(path.join(directory, 'cache/index3/shared_cpu_list')),
      ]);
      return {
        id,
        core: parseCpuList(siblings)?.[0] ?? id,
        socket: Math.max(0, Number(socket) || 0),
        node: nodeOf.get(id) ?? 0,
        cache: parseCpuList(shared)?.[0] ?? -1,
      };
    }),
  );
  return { cpus, nodes: nodes.map(({ node }) => node) };
}

async function readNodes(
  directory: string,
): Promise<readonly { readonly node: NumaNode; readonly cpus: readonly number[] }[]> {
  const ids = parseCpuList(await text(path.join(directory, 'online'))) ?? [];
  const all = ids.length === 0 ? [0] : ids;
  return Promise.all(
    all.map(async (id) => {
      const own = path.join(directory, `node${id}`);
      const [cpus, memory, distance] = await Promise.all([
        text(path.join(own, 'cpulist')),
        text(path.join(own, 'meminfo')),
        text(path.join(own, 'distance')),
      ]);
      const node: NumaNode = {
        id,
        // `Node 0 MemTotal: 4028416 kB`
        memoryBytes: Number(/MemTotal:\s+(\d+) kB/.exec(memory)?.[1] ?? 0) * 1024,
        hugePages: await readHugePages(path.join(own, 'hugepages')),
        distances: distance.split(/\s+/).filter(Boolean).map(Number),
      };
      return { node, cpus: parseCpuList(cpus) ?? [] };
    }),
  );
}

/** Of the whole machine, or of a node of it: bytes by resource, of every size that the kernel has, none set aside included. */
export async function readHugePages(
  directory: string = '/sys/kernel/mm/hugepages',
): Promise<ReadonlyMap<string, number>> {
  const names = await readdir(directory).catch(() => []);
  const sizes = await Promise.all(
    names.toSorted().map(async (name): Promise<readonly [string, number] | undefined> => {
      const kib = Number(/^hugepages-(\d+)kB$/.exec(name)?.[1] ?? NaN);
      if (Number.isNaN(kib)) return undefined;
      const pages = Number(await text(path.join(directory, name, 'nr_hugepages')));
      return [`hugepages-${pageSizeName(kib * 1024)}`, (pages || 0) * kib * 1024];
    }),
  );
  return new Map(sizes.filter((each) => each !== undefined));
}

/** `2Mi`, `1Gi`: as resources are named. */
export function pageSizeName(bytes: number): string {
  const units = ['', 'Ki', 'Mi', 'Gi', 'Ti'];
  let [amount, unit] = [bytes, 0];
  while (amount >= 1024 && amount % 1024 === 0 && unit < units.length - 1) {
    amount /= 1024;
    unit++;
  }
  return `${amount}${units[unit] ?? ''}`;
}

/** '' for what this kernel does not tell. */
async function text(file: string): Promise<string> {
  return (await readFile(file, 'utf8').catch(() => '')).trim();
}
