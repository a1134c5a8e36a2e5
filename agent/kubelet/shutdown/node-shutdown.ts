/** Ends the node's pods in turns before the machine goes down, and holds it until then. */
import { describeError } from '#base/errors.ts';
import { settleAll } from '#base/settle-all.ts';
import type { Clock } from '#base/clock.ts';
import type { Logger } from '#base/log.ts';
import type { Pod } from '#api/generated/objects.ts';
import { isTerminal } from '#api/pod/state.ts';
import type { ShutdownGroups } from '#agent/kubelet/config/shutdown.ts';
import type { KubeletPorts } from '#agent/kubelet/ports.ts';
import type { PodMemories, PodMemory } from '#agent/kubelet/sync/pod-memory.ts';
import { planShutdown, shutdownRefusal, type ShutdownTurn } from './plan-shutdown.ts';

/** Who says that the machine goes down, and waits until it may. */
export interface ShutdownSource extends AsyncDisposable {
  /** Told each time that a shutdown begins, and that it was called off. */
  start(onChange: (isGoingDown: boolean) => void): Promise<void>;
  /** Lets the machine go down. */
  release(): Promise<void>;
}

export interface NodeShutdownOptions {
  readonly groups: ShutdownGroups;
  readonly sources: readonly ShutdownSource[];
  readonly clock: Clock;
  readonly logger: Logger;
  /** The node's status has changed. */
  readonly refreshNode: () => void;
}

type ShutdownPorts = Pick<KubeletPorts, 'runtime' | 'clock' | 'enqueue'>;

/** So long a server that does not answer keeps the machine from going down, for each turn. */
const statusMsMax = 5_000;

export class NodeShutdown implements AsyncDisposable {
  readonly #options: NodeShutdownOptions;
  #isGoingDown = false;
  #pods: { readonly memories: PodMemories; readonly ports: ShutdownPorts } | undefined;
  readonly #looks = new Set<() => void>();
  /** Uids of pods whose end is told. */
  readonly #told = new Set<string>();
  #abort = new AbortController();
  #ending: Promise<void> | undefined;
  /** Seconds since the epoch; 0: there was none (graceful_shutdown_start_time_seconds, …_end_time_seconds). */
  startedAt = 0;
  endedAt = 0;

  constructor(options: NodeShutdownOptions) {
    this.#options = options;
  }

  /** A source that cannot be had is told of: the node runs without. */
  async start(memories: PodMemories, ports: ShutdownPorts): Promise<void> {
    this.#pods = { memories, ports };
    for (const source of this.#options.sources) {
      try {
        await source.start((isGoingDown) => this.change(isGoingDown));
      } catch (error) {
        this.#options.logger.warn(
          { error: describeError(error) },
          'shutdowns of the machine are not held back',
        );
      }
    }
  }

  /** The status of a pod is written, as the answer has it. */
  statusWritten(uid: string, pod: Pod): void {
    if (!this.#isGoingDown || !isTerminal(pod)) return;
    this.#told.add(uid);
    for (const look of this.#looks) look();
  }

  get isGoingDown(): boolean {
    return this.#isGoingDown;
  }

  change(isGoingDown: boolean): void {
    const { logger, refreshNode } = this.#options;
    if (isGoingDown === this.#isGoingDown) return;
    this.#isGoingDown = isGoingDown;
    refreshNode();
    logger.warn({ isGoingDown }, isGoingDown ? 'the machine goes down: pods end' : 'the machine stays');
    if (!isGoingDown) {
      this.#abort.abort(new DOMException('shutdown called off', 'AbortError'));
      this.#abort = new AbortController();
      return;
    }
    const { signal } = this.#abort;
    this.#ending = this.#endAll(signal).catch((error: unknown) => {
      if (!signal.aborted) logger.error({ error: describeError(error) }, 'pods are not ended');
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#abort.abort(new DOMException('kubelet stopped', 'AbortError'));
    await this.#ending;
    await settleAll(this.#options.sources.map(async (source) => source[Symbol.asyncDispose]()));
  }

  async #endAll(signal: AbortSignal): Promise<void> {
    const { groups, sources, clock } = this.#options;
    if (this.#pods === undefined) return;
    const { memories } = this.#pods;
    this.startedAt = clock.now() / 1000;
    this.#told.clear();
    this.endedAt = 0;
    const running = [...memories.values()].filter(
      ({ desired, facts }) => desired.isPresent && facts.rejection === undefined && !isTerminal(desired.pod),
    );
    try {
      for (const turn of planShutdown(
        groups,
        running.map(({ desired }) => desired.pod),
      ))
        await this.#endTurn(turn, running, signal);
    } finally {
      this.endedAt = clock.now() / 1000;
      if (!signal.aborted) await settleAll(sources.map((source) => source.release()));
    }
  }

  /** Resolves when all of them have ended and that was told, or have had their time. */
  async #endTurn(
    { seconds, pods }: ShutdownTurn,
    running: readonly PodMemory[],
    signal: AbortSignal,
  ): Promise<void> {
    if (this.#pods === undefined) return;
    const { ports } = this.#pods;
    const { runtime } = ports;
    const turn = running.filter(({ desired }) => pods.includes(desired.pod));
    for (const memory of turn) {
      memory.report({ kind: 'refused', refusal: shutdownRefusal(seconds) });
      ports.enqueue(memory.uid);
    }
    const runs = ({ uid }: PodMemory): boolean =>
      runtime.observe(uid)?.containers.some(({ state }) => state.state !== 'exited') === true;
    const isTold = ({ uid }: PodMemory): boolean => this.#told.has(uid);
    await this.#until(() => !turn.some(runs), { ms: seconds * 1000, signal });
    // Afterwards nobody could say it: neither this machine, nor perhaps who serves the API on it.
    await this.#until(() => turn.every(isTold), { ms: statusMsMax, signal });
  }

  /** Or until the time is over. */
  async #until(
    isDone: () => boolean,
    { ms, signal }: { readonly ms: number; readonly signal: AbortSignal },
  ): Promise<void> {
    if (this.#pods === undefined || isDone()) return;
    const { clock, runtime } = this.#pods.ports;
    const done = Promise.withResolvers<void>();
    const look = (): void => {
      if (isDone()) done.resolve();
    };
    using _watch = runtime.onChange(look);
    this.#looks.add(look);
    try {
      await Promise.race([done.promise, clock.sleep(ms, signal)]);
    } finally {
      this.#looks.delete(look);
    }
    signal.throwIfAborted();
  }
}
