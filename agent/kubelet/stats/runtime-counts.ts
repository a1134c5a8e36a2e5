import type { Clock } from '#base/clock.ts';
import { isPodwrightError } from '#base/errors.ts';
import type { ExecSession, ImageStore, Runtime } from '#agent/runtime/runtime.ts';
import { SecondsHistogram, shortBucketsSeconds } from './seconds-histogram.ts';

/** `ExponentialBuckets(.005, 2.5, 14)` of `kubelet_runtime_operations_duration_seconds`. */
const operationBuckets: readonly number[] = Array.from({ length: 13 }).reduce<number[]>(
  (all) => [...all, (all.at(-1) ?? 0) * 2.5],
  [0.005],
);

/** What was asked of a runtime under one name. */
export class OperationCount {
  total = 0;
  errors = 0;
  readonly seconds: SecondsHistogram;

  constructor(bucketsSeconds: readonly number[]) {
    this.seconds = new SecondsHistogram(bucketsSeconds);
  }
}

/** What the kubelet asks of its runtime, and how long that takes (pkg/kubelet/kuberuntime, instrumented_services.go). */
export class RuntimeCounts {
  /** By `operation_type`. */
  readonly operations: Map<string, OperationCount> = new Map();
  /** By `runtime_handler`, '' being the runtime itself. */
  readonly sandboxes: Map<string, OperationCount> = new Map();
  /** Of readings of the states of all pods: how long each takes, and from the begin of one to that of the next. */
  readonly relist: SecondsHistogram = new SecondsHistogram(shortBucketsSeconds);
  readonly relistInterval: SecondsHistogram = new SecondsHistogram(shortBucketsSeconds);
  readonly #clock: Pick<Clock, 'monotonic' | 'now'>;
  #relistMs: number | undefined;
  #relistedAtMs: number | undefined;

  constructor(clock: Pick<Clock, 'monotonic' | 'now'>) {
    this.#clock = clock;
  }

  /** Milliseconds since the epoch; undefined: nobody has asked for the states of all pods. */
  get relistedAtMs(): number | undefined {
    return this.#relistedAtMs;
  }

  /** The runtime, counted: what is not counted goes to it as it is. */
  of(runtime: Runtime): Runtime {
    const images = replaced(runtime.images, this.#imageMethods(runtime.images));
    return replaced<Runtime>(runtime, { ...this.#runtimeMethods(runtime), images });
  }

  #runtimeMethods(runtime: Runtime): Partial<Runtime> {
    const timed = <T>(name: string, ask: () => Promise<T>): Promise<T> =>
      this.#timed([countOf(this.operations, name)], ask);
    return {
      observeAll: () => this.#relisted(() => runtime.observeAll()),
      runSandbox: (config, signal) =>
        this.#timed(
          [
            countOf(this.operations, 'run_podsandbox'),
            countOf(this.sandboxes, config.runtimeHandler ?? '', shortBucketsSeconds),
          ],
          () => runtime.runSandbox(config, signal),
        ),
      stopSandbox: (...of) => timed('stop_podsandbox', () => runtime.stopSandbox(...of)),
      removePod: (...of) => timed('remove_podsandbox', () => runtime.removePod(...of)),
      startContainer: (...of) => this.#started(() => runtime.startContainer(...of)),
      stopContainer: (...of) => timed('stop_container', () => runtime.stopContainer(...of)),
      removeContainer: (...of) => timed('remove_container', () => runtime.removeContainer(...of)),
      updateContainerResources: (...of) =>
        timed('update_container', () => runtime.updateContainerResources(...of)),
      reopenLog: (...of) => timed('reopen_container_log', () => runtime.reopenLog(...of)),
      exec: (uid, id, request, signal) => {
        const ask = (): Promise<ExecSession> => runtime.exec(uid, id, request, signal);
        return request.isCollected === true ? this.#executed(ask) : timed('exec', ask);
      },
      attach: (...of) => timed('attach', () => runtime.attach(...of)),
      connectPort: (...of) => timed('port_forward', () => runtime.connectPort(...of)),
      stats: (...of) => timed('podsandbox_stats', () => runtime.stats(...of)),
    };
  }

  #imageMethods(images: ImageStore): Partial<ImageStore> {
    const { operations } = this;
    return {
      pull: (...of) => this.#timed([countOf(operations, 'pull_image')], () => images.pull(...of)),
      remove: (...of) => this.#timed([countOf(operations, 'remove_image')], () => images.remove(...of)),
    };
  }

  async #timed<T>(counts: readonly OperationCount[], ask: () => Promise<T>): Promise<T> {
    const startMs = this.#clock.monotonic();
    let isFailure = true;
    try {
      const answer = await ask();
      isFailure = false;
      return answer;
    } finally {
      for (const count of counts) this.#note(count, startMs, isFailure);
    }
  }

  /** To make a container and to start it are one call here. It is made if it starts, or fails to: the time is that of the step it got to. */
  async #started(ask: () => Promise<void>): Promise<void> {
    const create = countOf(this.operations, 'create_container');
    const startMs = this.#clock.monotonic();
    const note = (isFailure: boolean): void => {
      create.total += 1;
      this.#note(countOf(this.operations, 'start_container'), startMs, isFailure);
    };
    try {
      await ask();
    } catch (error) {
      if (isPodwrightError(error, 'E_LAUNCH')) note(true);
      else this.#note(create, startMs, true);
      throw error;
    }
    note(false);
  }

  /** Until the command has ended. */
  async #executed(ask: () => Promise<ExecSession>): Promise<ExecSession> {
    const count = countOf(this.operations, 'exec_sync');
    const startMs = this.#clock.monotonic();
    const note = (isFailure: boolean): void => this.#note(count, startMs, isFailure);
    try {
      const session = await ask();
      void session.exitCode.then(
        () => note(false),
        () => note(true),
      );
      return session;
    } catch (error) {
      note(true);
      throw error;
    }
  }

  #relisted<T>(read: () => T): T {
    const startMs = this.#clock.monotonic();
    if (this.#relistMs !== undefined) this.relistInterval.observe((startMs - this.#relistMs) / 1000);
    this.#relistMs = startMs;
    const found = read();
    this.relist.observe((this.#clock.monotonic() - startMs) / 1000);
    this.#relistedAtMs = this.#clock.now();
    return found;
  }

  #note(count: OperationCount, startMs: number, isFailure: boolean): void {
    count.total += 1;
    if (isFailure) count.errors += 1;
    count.seconds.observe((this.#clock.monotonic() - startMs) / 1000);
  }
}

function countOf(
  counts: Map<string, OperationCount>,
  name: string,
  bucketsSeconds: readonly number[] = operationBuckets,
): OperationCount {
  const known = counts.get(name);
  if (known !== undefined) return known;
  const first = new OperationCount(bucketsSeconds);
  counts.set(name, first);
  return first;
}

/** Like `target`, with other members: private fields forbid to inherit from it. */
function replaced<T extends object>(target: T, members: Partial<T>): T {
  const known = new Map<PropertyKey, unknown>(Object.entries(members));
  return new Proxy(target, {
    get: (_target, key): unknown => {
      if (known.has(key)) return known.get(key);
      const value: unknown = Reflect.get(target, key, target);
      if (typeof value !== 'function') return value;
      const bound: unknown = value.bind(target);
      known.set(key, bound);
      return bound;
    },
  });
}
