/** RuntimeService of what containers and sandboxes use. */
import { readFile } from 'node:fs/promises';
import { ExpiringMap } from '#base/expiring-map.ts';
import { interfacesOf, readDevices } from '#agent/kubelet/stats/read-stats.ts';
import { readFileSystem } from '#agent/kubelet/stats/volume-stats.ts';
import type { InterfaceCounters } from '#agent/kubelet/stats/interface-counters.ts';
import type { ContainerStats as UsedByContainer, MeasuredUsage, PodStats } from '#agent/runtime/runtime.ts';
import type {
  ContainerStats,
  CpuUsage,
  MemoryUsage,
  NetworkInterfaceUsage,
  PodSandboxStats,
} from '#proto/cri/api.ts';
import type { Outgoing } from '#proto/contract.ts';
import { refusal } from '#proto/status.ts';
import { containerOf, sandboxOf, type CriContext, type RuntimeHandlers } from './context.ts';
import { DiskUses } from './images.ts';
import { metricDescriptors, metricsOf, type MeasuredContainer, type MeasuredSandbox } from './metrics.ts';
import { inParts } from './parts.ts';
import { nanoseconds, passes, viewAll, type ContainerView, type SandboxView } from './views.ts';

export function statsHandlers(context: CriContext): RuntimeHandlers {
  const reader = new StatsReader(context);
  const { book, runtime } = context;
  type Filter = { readonly id: string; readonly label_selector: Readonly<Record<string, string>> };
  const sandboxes = (filter: Filter | null): Promise<readonly Outgoing<PodSandboxStats>[]> => {
    const views = viewAll(book, runtime).filter((view) => view.isReady && passes(filter, view));
    return eachInTurn(views, (view) => reader.sandbox(view));
  };
  const containers = async (
    filter: (Filter & { readonly pod_sandbox_id: string }) | null,
  ): Promise<readonly Outgoing<ContainerStats>[]> => {
    const views = viewAll(book, runtime).filter(({ id }) => id.startsWith(filter?.pod_sandbox_id ?? ''));
    const lists = await eachInTurn(views, (view) => reader.containers(view, (each) => passes(filter, each)));
    return lists.flat();
  };
  return {
    ContainerStats: async ({ container_id: id }) => {
      const view = containerOf(context, id);
      const sandbox = sandboxOf(context, view.sandboxId);
      const [stats] = await reader.containers(sandbox, (each) => each.id === view.id);
      if (stats !== undefined) return { stats };
      throw refusal('FAILED_PRECONDITION', `stats of container ${view.id}: it does not run`);
    },
    ListContainerStats: async ({ filter }) => ({ stats: await containers(filter) }),
    async *StreamContainerStats({ filter }) {
      for (const part of inParts(await containers(filter))) yield { container_stats: part };
    },
    PodSandboxStats: async ({ pod_sandbox_id: id }) => {
      const view = sandboxOf(context, id);
      if (!view.isReady) throw refusal('FAILED_PRECONDITION', `stats of sandbox ${view.id}: it is not ready`);
      return { stats: await reader.sandbox(view) };
    },
    ListPodSandboxStats: async ({ filter }) => ({ stats: await sandboxes(filter) }),
    async *StreamPodSandboxStats({ filter }) {
      for (const part of inParts(await sandboxes(filter))) yield { pod_sandbox_stats: part };
    },
    ListMetricDescriptors: () => ({ descriptors: metricDescriptors }),
    ListPodSandboxMetrics: async () => ({ pod_metrics: await metrics(context, reader) }),
    async *StreamPodSandboxMetrics() {
      for (const part of inParts(await metrics(context, reader))) yield { pod_sandbox_metrics: part };
    },
  };
}

async function metrics(
  { book, runtime, clock }: CriContext,
  reader: StatsReader,
): Promise<readonly ReturnType<typeof metricsOf>[]> {
  const views = viewAll(book, runtime).filter(({ isReady }) => isReady);
  const devices = await readDevices();
  return eachInTurn(views, async (view) => {
    const nowMs = clock.now();
    return metricsOf({ view, devices, nowMs, ...(await reader.measure(view)) }, nanoseconds(nowMs));
  });
}

/** The soft limit, from proc_pid_limits(5); -1: unlimited; undefined: the process has ended. */
async function openFilesMaxOf(pid: number): Promise<number | undefined> {
  const text = await readFile(`/proc/${pid}/limits`, 'utf8').catch(() => '');
  const soft = /^Max open files\s+(\S+)/m.exec(text)?.[1];
  if (soft === undefined) return undefined;
  return soft === 'unlimited' ? -1 : Number(soft);
}

/** One after another: each reads files of the kernel, and nobody is in a hurry. */
async function eachInTurn<T, R>(list: readonly T[], ask: (one: T) => Promise<R>): Promise<readonly R[]> {
  const answers: R[] = [];
  for (const one of list) answers.push(await ask(one));
  return answers;
}

/** Processor time of a subject at a time. */
interface CpuSample {
  readonly atMs: number;
  readonly used: number;
  readonly perSecond: number;
}

const samplesMax = 16_384;
const sampleMs = 600_000;
/** Two who ask do not make each other's time short. */
const rateMs = 1_000;

/** Reads what is used; remembers what was before. */
class StatsReader {
  readonly #context: CriContext;
  readonly #samples = new ExpiringMap<string, CpuSample>(samplesMax);
  readonly #disks: DiskUses;

  constructor(context: CriContext) {
    this.#context = context;
    this.#disks = new DiskUses(() => context.clock.monotonic());
  }

  async sandbox(view: SandboxView): Promise<Outgoing<PodSandboxStats>> {
    const { id, metadata, labels, annotations } = view;
    const used = await this.#context.runtime.stats(view.uid);
    const timestamp = nanoseconds(this.#context.clock.now());
    const attributes = { id, metadata, labels, annotations };
    if (used === undefined) return { attributes, linux: {} };
    const interfaces = (await interfacesOf(used.containers[0]?.pid)).map(renderInterface);
    const [first] = interfaces;
    return {
      attributes,
      linux: {
        cpu: this.#cpu(id, used, { sinceMs: view.createdAtMs, timestamp }),
        memory: renderMemory(used, { timestamp, limitBytes: 0 }),
        // With the host's network it is the host's.
        ...(view.namespaces?.network === 'NODE'
          ? {}
          : {
              network: {
                timestamp,
                ...(first === undefined ? {} : { default_interface: first }),
                interfaces,
              },
            }),
        process: { timestamp, process_count: { value: used.processes } },
        containers: await this.#containersOf(view, used, () => true),
      },
    };
  }

  /** Those that run. */
  async containers(
    view: SandboxView,
    isWanted: (container: ContainerView) => boolean,
  ): Promise<readonly Outgoing<ContainerStats>[]> {
    if (!view.containers.some(isWanted)) return [];
    const used = await this.#context.runtime.stats(view.uid);
    return used === undefined ? [] : this.#containersOf(view, used, isWanted);
  }

  /** What its metrics are made of. */
  async measure(view: SandboxView): Promise<Pick<MeasuredSandbox, 'interfaces' | 'containers'>> {
    const used = await this.#context.runtime.stats(view.uid);
    if (used === undefined) return { interfaces: [], containers: [] };
    const containers: MeasuredContainer[] = [];
    for (const each of used.containers) {
      const container = view.containers.find(({ id }) => id === each.id);
      if (container === undefined) continue;
      const directory = this.#context.runtime.writableLayer(each.id);
      containers.push({
        ...{ view: container, used: each, diskBytes: (await this.#disks.of(directory)).bytes },
        fileSystem: await readFileSystem(directory).catch(() => undefined),
        openFilesMax: await openFilesMaxOf(each.pid),
      });
    }
    const isHost = view.namespaces?.network === 'NODE';
    return { interfaces: isHost ? [] : await interfacesOf(used.containers[0]?.pid), containers };
  }

  async #containersOf(
    view: SandboxView,
    used: PodStats,
    isWanted: (container: ContainerView) => boolean,
  ): Promise<readonly Outgoing<ContainerStats>[]> {
    const stats: Outgoing<ContainerStats>[] = [];
    for (const each of used.containers) {
      const container = view.containers.find(({ id }) => id === each.id);
      if (container !== undefined && isWanted(container)) stats.push(await this.#container(container, each));
    }
    return stats;
  }

  async #container(view: ContainerView, used: UsedByContainer): Promise<Outgoing<ContainerStats>> {
    const { id, metadata, labels, annotations, record } = view;
    const timestamp = nanoseconds(this.#context.clock.now());
    const directory = this.#context.runtime.writableLayer(id);
    const { bytes, inodes } = await this.#disks.of(directory);
    const swapBytes = used.stats?.memory?.swapBytes;
    return {
      attributes: { id, metadata, labels, annotations },
      cpu: this.#cpu(id, used, { sinceMs: used.startedAtMs, timestamp }),
      memory: renderMemory(used, { timestamp, limitBytes: record?.resources?.memory_limit_in_bytes ?? 0 }),
      writable_layer: {
        timestamp,
        fs_id: { mountpoint: directory },
        used_bytes: { value: bytes },
        inodes_used: { value: inodes },
      },
      ...(swapBytes === undefined ? {} : { swap: { timestamp, swap_usage_bytes: { value: swapBytes } } }),
    };
  }

  #cpu(
    id: string,
    { cpuUsageNanoseconds: used }: MeasuredUsage,
    { sinceMs, timestamp }: { readonly sinceMs: number; readonly timestamp: number },
  ): Outgoing<CpuUsage> {
    const nowMs = this.#context.clock.now();
    const last = this.#samples.get(id, nowMs);
    const isUsable = last !== undefined && last.used <= used;
    let perSecond = last?.perSecond ?? 0;
    if (!isUsable || nowMs - last.atMs >= rateMs) {
      const from = isUsable ? last : { atMs: sinceMs, used: 0 };
      perSecond = Math.round(((used - from.used) * 1000) / Math.max(1, nowMs - from.atMs));
      this.#samples.set(id, { atMs: nowMs, used, perSecond }, { ttlMs: sampleMs, nowMs });
    }
    return {
      timestamp,
      usage_core_nano_seconds: { value: used },
      usage_nano_cores: { value: perSecond },
    };
  }
}

function renderMemory(
  used: MeasuredUsage,
  { timestamp, limitBytes }: { readonly timestamp: number; readonly limitBytes: number },
): Outgoing<MemoryUsage> {
  return {
    timestamp,
    working_set_bytes: { value: used.workingSetBytes },
    ...(limitBytes > 0 ? { available_bytes: { value: Math.max(0, limitBytes - used.workingSetBytes) } } : {}),
    usage_bytes: { value: used.memoryBytes },
    rss_bytes: { value: used.rssBytes },
    page_faults: { value: used.pageFaults },
    major_page_faults: { value: used.majorPageFaults },
  };
}

function renderInterface(counters: InterfaceCounters): Outgoing<NetworkInterfaceUsage> {
  return {
    name: counters.name,
    rx_bytes: { value: counters.rxBytes },
    rx_errors: { value: counters.rxErrors },
    tx_bytes: { value: counters.txBytes },
    tx_errors: { value: counters.txErrors },
  };
}
