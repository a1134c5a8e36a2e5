/** Follows what the node is short of, and ends a pod at a time where it must. */
import { statfs } from 'node:fs/promises';
import path from 'node:path';
import { describeError } from '#base/errors.ts';
import type { Pod } from '#api/generated/objects.ts';
import { isTerminal } from '#api/pod/state.ts';
import type { CgroupStats } from '#native/cgroup/cgroup.ts';
import type { MachineFacts } from '#agent/node/machine.ts';
import type { KubeletPorts } from '#agent/kubelet/ports.ts';
import { podPaths } from '#agent/kubelet/pod-paths.ts';
import type { PodMemories, PodMemory } from '#agent/kubelet/sync/pod-memory.ts';
import { evictionCheckMs } from './evict.ts';
import {
  evictionNotice,
  noPressure,
  rankPods,
  resourceOf,
  stepPressure,
  type ContainerUse,
  type Observation,
  type Observations,
  type PodUse,
  type PressureCondition,
  type PressureState,
} from './pressure.ts';
import { isOfMemory, type EvictionSettings, type Signal, type Threshold } from './thresholds.ts';
import { usedBelow, type DiskUse } from './used-below.ts';

export interface PressureOptions {
  readonly settings: EvictionSettings;
  readonly observe: () => Promise<Observations>;
  /** Frees disk of what nobody uses (images), before a pod has to go for it. */
  readonly relieveDisk: () => Promise<void>;
  /** Tells of the node by an event. */
  readonly warn: (reason: string, message: string) => void;
}

/** What a machine tells of the signals. Images, their containers and pods' files are on one file system. */
export async function observationsOf(machine: MachineFacts, disk: string): Promise<Observations> {
  const { files, ffree } = await statfs(disk);
  const space: Observation = { available: machine.diskAvailableBytes, capacity: machine.diskBytes };
  // A file system that makes inodes as it needs them (btrfs) says 0 of 0.
  const inodes: Observation =
    files === 0 ? { available: 1, capacity: 0 } : { available: ffree, capacity: files };
  const ofDisk = (['nodefs', 'imagefs', 'containerfs'] as const).flatMap(
    (name): readonly (readonly [Signal, Observation])[] => [
      [`${name}.available`, space],
      [`${name}.inodesFree`, inodes],
    ],
  );
  return new Map<Signal, Observation>([
    ['memory.available', { available: machine.memoryAvailableBytes, capacity: machine.memoryBytes }],
    ['pid.available', { available: machine.pidsMax - machine.pidsUsed, capacity: machine.pidsMax }],
    ...ofDisk,
  ]);
}

/** Of all pods together, below the limit that they have; nothing without one (makeSignalObservations of the kubelet). */
export function observationOfPods(
  limitBytes: number | undefined,
  stats: CgroupStats | undefined,
): Observations {
  const workingSetBytes = stats?.memory?.workingSetBytes;
  if (limitBytes === undefined || workingSetBytes === undefined) return new Map();
  const available = Math.max(0, limitBytes - workingSetBytes);
  return new Map([['allocatableMemory.available', { available, capacity: limitBytes }]]);
}

/** A pod that was ended makes room before another is, or has had so long to. */
const endedWithinMs = 60_000;

export class NodePressure {
  readonly #options: PressureOptions;
  #state: PressureState = noPressure;
  #conditions: ReadonlySet<PressureCondition> = new Set();
  #observedAtMs: number | undefined;
  #ending: { readonly uid: string; readonly untilMs: number } | undefined;

  constructor(options: PressureOptions) {
    this.#options = options;
  }

  /** What the node is short of, or was until not long ago. */
  get conditions(): ReadonlySet<PressureCondition> {
    return this.#conditions;
  }

  /** Looks every ten seconds for as long as it is not disposed. */
  watch(memories: PodMemories, ports: KubeletPorts): Disposable {
    const { clock, logger } = ports;
    const abort = new AbortController();
    const run = async (): Promise<void> => {
      for (;;) {
        await clock.sleep(evictionCheckMs, abort.signal);
        await this.look(memories, ports).catch((error: unknown) =>
          logger.warn({ error: describeError(error) }, 'what the node is short of is not known'),
        );
      }
    };
    run().catch(() => undefined); // Ends by abort only.
    return { [Symbol.dispose]: () => abort.abort(new DOMException('kubelet stopped', 'AbortError')) };
  }

  async look(memories: PodMemories, ports: KubeletPorts): Promise<void> {
    const { clock, runtime } = ports;
    let { due, observed } = await this.#step(clock.now());
    if (due === undefined) return;
    this.#options.warn('EvictionThresholdMet', `Attempting to reclaim ${resourceOf(due.signal)}`);
    if (isOfDisk(due.signal)) {
      await this.#options.relieveDisk();
      ({ due, observed } = await this.#step(clock.now()));
    }
    if (due === undefined || observed === undefined) return;
    const nowMs = clock.now();
    const isWaiting = (uid: string): boolean =>
      runtime.observe(uid)?.containers.some(({ state }) => state.state === 'running') === true;
    if (this.#ending !== undefined && nowMs < this.#ending.untilMs && isWaiting(this.#ending.uid)) return;
    await this.#endOne(due, observed, { memories, ports });
  }

  async #step(
    nowMs: number,
  ): Promise<{ readonly due: Threshold | undefined; readonly observed: Observation | undefined }> {
    const observations = await this.#options.observe();
    this.#observedAtMs = nowMs;
    const { state, conditions, due } = stepPressure(this.#state, observations, this.#options.settings, nowMs);
    this.#state = state;
    this.#conditions = conditions;
    return { due, observed: due && observations.get(due.signal) };
  }

  async #endOne(
    threshold: Threshold,
    observed: Observation,
    { memories, ports }: { readonly memories: PodMemories; readonly ports: KubeletPorts },
  ): Promise<void> {
    const { clock, events, enqueue, logger } = ports;
    const running = [...memories.values()].filter(
      ({ desired, facts }) => desired.isPresent && facts.rejection === undefined && !isTerminal(desired.pod),
    );
    const uses = await Promise.all(running.map((memory) => useOf(memory, threshold.signal, ports)));
    const [first] = rankPods(threshold.signal, uses);
    const memory = running.find(({ desired }) => desired.pod === first?.pod);
    const { signal, isHard } = threshold;
    if (first === undefined || memory === undefined) {
      logger.warn({ signal }, 'the node is short of it, and no pod can be ended for it');
      return;
    }
    const { message, annotations } = evictionNotice(threshold, observed, first);
    // A hard threshold waits for nobody; of a soft one there is time, as much as is given.
    const graceSecondsMax = isHard ? 1 : this.#options.settings.podGraceSecondsMax;
    memory.report({
      kind: 'refused',
      refusal: {
        ...{ reason: 'Evicted', message, graceSecondsMax, isDisruption: true, signal },
        ...(this.#observedAtMs === undefined ? {} : { measuredAtMs: this.#observedAtMs }),
      },
    });
    events.warning(memory.desired.pod, 'Evicted', message, { failure: 'Evicted', annotations });
    this.#ending = { uid: memory.uid, untilMs: clock.now() + endedWithinMs };
    enqueue(memory.uid);
  }
}

function isOfDisk(signal: Signal): boolean {
  return !isOfMemory(signal) && signal !== 'pid.available';
}

/** On disk only where that is what is short: it takes a walk. */
async function useOf(memory: PodMemory, signal: Signal, ports: KubeletPorts): Promise<PodUse> {
  const { pod } = memory.desired;
  const stats = await ports.runtime.stats(memory.uid);
  const disk = isOfDisk(signal) ? await diskUseOf(pod, memory.uid, ports) : noDiskUse;
  const names = new Set([...disk.containers.keys(), ...(stats?.containers ?? []).map(({ name }) => name)]);
  const containers = [...names].map((name): ContainerUse => ({
    name,
    memoryBytes: stats?.containers.find((each) => each.name === name)?.workingSetBytes ?? 0,
    storageBytes: disk.containers.get(name) ?? 0,
  }));
  return {
    pod,
    memoryBytes: stats?.workingSetBytes ?? 0,
    processes: stats?.processes ?? 0,
    storageBytes: disk.bytes,
    inodes: disk.inodes,
    containers,
  };
}

interface PodDiskUse extends DiskUse {
  /** Bytes of their own file systems and logs, by name. */
  readonly containers: ReadonlyMap<string, number>;
}

const noDiskUse: PodDiskUse = { bytes: 0, inodes: 0, containers: new Map() };

async function diskUseOf(pod: Pod, uid: string, { runtime, directories }: KubeletPorts): Promise<PodDiskUse> {
  const paths = podPaths(pod, directories);
  const found = runtime.observe(uid)?.containers ?? [];
  const names = new Set(found.map(({ name }) => name));
  const all: readonly (readonly [container: string | undefined, directory: string])[] = [
    [undefined, path.join(paths.root, 'volumes', 'emptyDir')],
    ...[...names].map((name) => [name, path.join(paths.logs, name)] as const),
    ...found.map(({ id, name }) => [name, runtime.writableLayer(id)] as const),
  ];
  let [bytes, inodes] = [0, 0];
  const containers = new Map<string, number>();
  for (const [name, directory] of all) {
    const used = await usedBelow(directory, Infinity);
    bytes += used.bytes;
    inodes += used.inodes;
    if (name !== undefined) containers.set(name, (containers.get(name) ?? 0) + used.bytes);
  }
  return { bytes, inodes, containers };
}
