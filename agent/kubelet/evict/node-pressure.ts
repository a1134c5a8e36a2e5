/** Follows what the node is short of, and ends a pod at a time where it must. */
import { statfs } from 'node:fs/promises';
import path from 'node:path';
import { describeError } from '#base/errors.ts';
import type { Pod } from '#api/generated/objects.ts';
import { isTerminal } from '#api/pod/state.ts';
import type { MachineFacts } from '#agent/node/machine.ts';
import type { KubeletPorts } from '#agent/kubelet/ports.ts';
import { podPaths } from '#agent/kubelet/pod-paths.ts';
import type { PodMemories, PodMemory } from '#agent/kubelet/sync/pod-memory.ts';
import { evictionCheckMs } from './evict.ts';
import {
  evictionMessage,
  noPressure,
  rankPods,
  stepPressure,
  type Observation,
  type Observations,
  type PodUse,
  type PressureCondition,
  type PressureState,
} from './pressure.ts';
import type { EvictionSettings, Signal, Threshold } from './thresholds.ts';
import { usedBelow } from './used-below.ts';

export interface PressureOptions {
  readonly settings: EvictionSettings;
  readonly observe: () => Promise<Observations>;
  /** Frees disk of what nobody uses (images), before a pod has to go for it. */
  readonly relieveDisk: () => Promise<void>;
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

/** A pod that was ended makes room before another is, or has had so long to. */
const endedWithinMs = 60_000;

export class NodePressure {
  readonly #options: PressureOptions;
  #state: PressureState = noPressure;
  #conditions: ReadonlySet<PressureCondition> = new Set();
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
    if (due !== undefined && isOfDisk(due.signal)) {
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
    if (memory === undefined) {
      logger.warn({ signal }, 'the node is short of it, and no pod can be ended for it');
      return;
    }
    const message = evictionMessage(threshold, observed);
    // A hard threshold waits for nobody; of a soft one there is time, as much as is given.
    const graceSecondsMax = isHard ? 1 : this.#options.settings.podGraceSecondsMax;
    memory.report({
      kind: 'refused',
      refusal: { reason: 'Evicted', message, graceSecondsMax, isDisruption: true },
    });
    events.warning(memory.desired.pod, 'Evicted', message);
    this.#ending = { uid: memory.uid, untilMs: clock.now() + endedWithinMs };
    enqueue(memory.uid);
  }
}

function isOfDisk(signal: Signal): boolean {
  return signal !== 'memory.available' && signal !== 'pid.available';
}

/** On disk only where that is what is short: it takes a walk. */
async function useOf(memory: PodMemory, signal: Signal, ports: KubeletPorts): Promise<PodUse> {
  const { pod } = memory.desired;
  const stats = await ports.runtime.stats(memory.uid);
  const disk = isOfDisk(signal) ? await diskUseOf(pod, memory.uid, ports) : { bytes: 0, inodes: 0 };
  return {
    pod,
    memoryBytes: stats?.workingSetBytes ?? 0,
    processes: stats?.processes ?? 0,
    storageBytes: disk.bytes,
    inodes: disk.inodes,
  };
}

async function diskUseOf(
  pod: Pod,
  uid: string,
  { runtime, directories }: KubeletPorts,
): Promise<{ readonly bytes: number; readonly inodes: number }> {
  const paths = podPaths(pod, directories);
  const layers = (runtime.observe(uid)?.containers ?? []).map(({ id }) => runtime.writableLayer(id));
  let [bytes, inodes] = [0, 0];
  for (const directory of [path.join(paths.root, 'volumes', 'emptyDir'), paths.logs, ...layers]) {
    const used = await usedBelow(directory, Infinity);
    bytes += used.bytes;
    inodes += used.inodes;
  }
  return { bytes, inodes };
}
