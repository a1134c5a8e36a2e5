/**
 * A faithful Runtime without a kernel, for the kubelet's tests. Containers behave as their command says (`sh -c 'exit 3'`,
 * `sleep 5`, `trap 'exit 0' TERM`), or as `behave` scripts them; time is the Clock's.
 */
import type { Socket } from 'node:net';
import { PassThrough } from 'node:stream';
import type { Clock } from '#base/clock.ts';
import { PodwrightError } from '#base/errors.ts';
import type { ProcessStreams } from '#native/launch/launch.ts';
import { mountedImagesOf } from './container-document.ts';
import { behaviourOf, observeFake, type FakeBehaviour } from './fake-shell.ts';
import { nonRootRefusal } from './image-user.ts';
import { FakeImageStore } from './images/image-store.fake.ts';
import type {
  CgroupResources,
  ContainerConfig,
  ContainerState,
  ContainerStats,
  ExecRequest,
  ExecSession,
  HandlerFeatures,
  PodObservation,
  PodStats,
  Runtime,
  SandboxConfig,
  SandboxObservation,
} from './runtime.ts';

export type { FakeBehaviour } from './fake-shell.ts';

export interface FakeExecResult {
  readonly exitCode: number;
  readonly stdout?: string;
  readonly stderr?: string;
}

export interface FakeRuntimeOptions {
  readonly clock: Clock;
  /** Undefined result: as the command says. */
  readonly behave?: (config: ContainerConfig, uid: string) => FakeBehaviour | undefined;
  readonly onExec?: (
    uid: string,
    containerName: string,
    args: readonly string[],
  ) => FakeExecResult | Promise<FakeExecResult>;
  /** Where the writable layers of containers are. */
  readonly layers?: string;
  /** What a command in a container is; undefined: as `onExec` says. */
  readonly session?: (uid: string, config: ContainerConfig, request: ExecRequest) => ExecSession | undefined;
  readonly onConnect?: (uid: string, port: number) => Promise<Socket>;
  /** The addresses of a new sandbox; undefined: some. @throws when there are none left */
  readonly addressesOf?: (config: SandboxConfig) => readonly string[];
  /** Nothing is left of the pod: its addresses are free. */
  readonly onRemoved?: (uid: string) => void;
  /** What a running container uses now; undefined: next to nothing. */
  readonly usageOf?: (config: ContainerConfig, uid: string) => FakeUsage | undefined;
  /** Where what a container says goes, besides to those attached; undefined: nowhere. */
  readonly log?: (config: ContainerConfig, text: string) => void;
  /** A runtime that lives long does not note its calls. */
  readonly isSilent?: boolean;
  /** Every image that is asked for is in the pretended registry. */
  readonly hasEveryImage?: boolean;
}

export interface FakeUsage {
  readonly cpuMilli: number;
  readonly memoryBytes: number;
}

interface FakeContainer {
  readonly config: ContainerConfig;
  readonly behaviour: FakeBehaviour;
  state: ContainerState;
  resources: CgroupResources;
  /** Made when somebody attaches or it is written to. */
  output: PassThrough | undefined;
  /** CPU time up to a moment. */
  readonly used: { nanoseconds: number; atMs: number };
  timer: Disposable | undefined;
  readonly ended: PromiseWithResolvers<void>;
}

interface FakePod {
  readonly config: SandboxConfig;
  sandbox: SandboxObservation;
  resources: CgroupResources;
  readonly containers: Map<string, FakeContainer>;
}

/** The fake, with the levers that tests pull. */
export class FakeRuntime implements Runtime {
  readonly images: FakeImageStore;
  /** Those that a test says make containers, too. */
  readonly handlers: Map<string, HandlerFeatures> = new Map([
    ['', { recursiveReadOnlyMounts: true, userNamespaces: true }],
  ]);
  /** Every effective call, oldest first: `runSandbox UID`, `startContainer UID NAME`, `stopContainer UID NAME GRACE`. */
  readonly calls: string[] = [];
  /** Calls to fail once, by the first word(s) of their entry in `calls`: `failNext.set('runSandbox', error)`. */
  readonly failNext: Map<string, Error> = new Map();
  readonly #options: FakeRuntimeOptions;
  readonly #pods = new Map<string, FakePod>();
  readonly #memory = new Map<string, number>();
  readonly #listeners = new Set<(uid: string) => void>();
  #nextPid = 1000;
  #nextAddress = 2;

  constructor(options: FakeRuntimeOptions) {
    this.#options = options;
    this.images = new FakeImageStore(options.clock, { hasEveryImage: options.hasEveryImage === true });
  }

  // Levers.

  /** Ends a running container (by name, the newest of it) as the kernel would report it. */
  exit(uid: string, containerName: string, exitCode: number, reason?: 'OOMKilled'): void {
    const container = [...this.#pod(uid).containers.values()].findLast(
      (c) => c.config.name === containerName && c.state.state === 'running',
    );
    if (container === undefined)
      throw new PodwrightError('E_NOT_FOUND', `exit ${containerName}: not running`);
    this.#end(uid, container, { exitCode, ...(reason === undefined ? {} : { reason }) });
  }

  /** The supervisor of the pod is killed: the sandbox is dead and its containers' ends are unknown. */
  killSandbox(uid: string): void {
    const pod = this.#pod(uid);
    pod.sandbox = { ...pod.sandbox, state: 'dead' };
    for (const container of pod.containers.values())
      this.#end(uid, container, { exitCode: 137, reason: 'ContainerStatusUnknown' });
    this.#changed(uid);
  }

  /** What a container writes; seen by those attached from now on. */
  write(uid: string, id: string, text: string): void {
    this.#say(this.#container(uid, id), text);
  }

  resourcesOf(uid: string, id: string): CgroupResources {
    return this.#container(uid, id).resources;
  }

  /** What containers of the name use from now on. */
  useMemory(containerName: string, bytes: number): void {
    this.#memory.set(containerName, bytes);
  }

  podResourcesOf(uid: string): CgroupResources {
    return this.#pod(uid).resources;
  }

  // The port.

  observeAll(): readonly PodObservation[] {
    return [...this.#pods.values()].map(observePod);
  }

  observe(uid: string): PodObservation | undefined {
    const pod = this.#pods.get(uid);
    return pod === undefined ? undefined : observePod(pod);
  }

  onChange(listener: (uid: string) => void): Disposable {
    this.#listeners.add(listener);
    return { [Symbol.dispose]: () => void this.#listeners.delete(listener) };
  }

  async runSandbox(config: SandboxConfig, signal: AbortSignal): Promise<SandboxObservation> {
    signal.throwIfAborted();
    const known = this.#pods.get(config.uid);
    if (known?.sandbox.state === 'ready' && known.config.attempt === config.attempt) return known.sandbox;
    this.#call(`runSandbox ${config.uid}`);
    const { runtimeHandler: handler = '' } = config;
    const features = this.handlers.get(handler);
    if (features === undefined)
      throw new PodwrightError('E_UNSUPPORTED', `RuntimeHandler ${JSON.stringify(handler)} not supported`);
    const sandbox: SandboxObservation = {
      id: `sandbox-${config.uid}-${config.attempt}`,
      attempt: config.attempt,
      state: 'ready',
      createdAtMs: this.#options.clock.now(),
      ips: config.hostNetwork ? [] : (this.#options.addressesOf?.(config) ?? this.#nextIps()),
      ...(handler === '' ? {} : { handler: { name: handler, features } }),
      netnsPath: config.hostNetwork ? undefined : `/run/netns/fake-${config.uid}`,
    };
    const { resources } = config;
    const containers = known?.containers ?? new Map<string, FakeContainer>();
    this.#pods.set(config.uid, { config, sandbox, resources, containers });
    this.#changed(config.uid);
    return sandbox;
  }

  async stopSandbox(uid: string, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    const pod = this.#pods.get(uid);
    if (pod === undefined) return;
    this.#call(`stopSandbox ${uid}`);
    for (const container of pod.containers.values()) this.#end(uid, container, { exitCode: 137 });
    pod.sandbox = { ...pod.sandbox, state: 'stopped' };
    this.#changed(uid);
  }

  async removePod(uid: string, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    const pod = this.#pods.get(uid);
    if (pod === undefined) return;
    if (pod.sandbox.state !== 'stopped')
      throw new PodwrightError('E_BUSY', `remove pod ${uid}: it still runs`);
    this.#call(`removePod ${uid}`);
    this.#pods.delete(uid);
    this.#options.onRemoved?.(uid);
    this.#changed(uid);
  }

  async startContainer(uid: string, config: ContainerConfig, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    const pod = this.#pod(uid);
    if (pod.sandbox.state !== 'ready')
      throw new PodwrightError('E_CLOSED', `start ${config.name}: the sandbox is dead`);
    if (pod.containers.has(config.id))
      throw new PodwrightError('E_EXISTS', `start ${config.name}: ${config.id} exists`);
    this.#call(`startContainer ${uid} ${config.name}`);
    const image = this.images.resolve(config.imageId);
    if (image === undefined)
      throw new PodwrightError('E_NOT_FOUND', `use image ${config.imageId}: not present`);
    const { mountedImages = [] } = mountedImagesOf(config);
    const lost = mountedImages.find(({ imageId }) => this.images.resolve(imageId) === undefined);
    if (lost !== undefined) throw new PodwrightError('E_NOT_FOUND', `use image ${lost.imageId}: not present`);
    const target = config.pidTarget === undefined ? undefined : pod.containers.get(config.pidTarget);
    const refusal = config.runAsNonRoot
      ? nonRootRefusal(config.user, image.user)
      : config.pidTarget !== undefined && target?.state.state !== 'running'
        ? `run ${config.name}: the container of its pid namespace does not run`
        : undefined;
    if (refusal !== undefined) throw new PodwrightError('E_INVALID', refusal);
    const behaviour = this.#options.behave?.(config, uid) ?? behaviourOf([...config.command, ...config.args]);
    if (behaviour.startAfterMs !== undefined) await this.#options.clock.sleep(behaviour.startAfterMs, signal);
    if (this.#pod(uid).sandbox.state !== 'ready')
      throw new PodwrightError('E_CLOSED', `start ${config.name}: the sandbox is dead`);
    const container: FakeContainer = {
      config,
      behaviour,
      state: { state: 'running', startedAtMs: this.#options.clock.now(), pid: this.#nextPid++ },
      resources: config.resources,
      output: undefined,
      used: { nanoseconds: 0, atMs: this.#options.clock.now() },
      timer: undefined,
      ended: Promise.withResolvers(),
    };
    pod.containers.set(config.id, container);
    if (behaviour.startError !== undefined) {
      this.#end(uid, container, { exitCode: 128, reason: 'StartError', message: behaviour.startError });
      throw new PodwrightError('E_LAUNCH', behaviour.startError);
    }
    if (behaviour.output !== undefined) this.#say(container, behaviour.output);
    const { exitCode = 0, exitReason: reason } = behaviour;
    if (behaviour.exitAfterMs !== undefined)
      container.timer = this.#options.clock.after(behaviour.exitAfterMs, () =>
        this.#end(uid, container, { exitCode, ...(reason === undefined ? {} : { reason }) }),
      );
    this.#changed(uid);
  }

  async stopContainer(
    uid: string,
    id: string,
    gracePeriodSeconds: number,
    signal: AbortSignal,
  ): Promise<void> {
    const container = this.#pods.get(uid)?.containers.get(id);
    if (container?.state.state !== 'running') return;
    this.#call(`stopContainer ${uid} ${container.config.name} ${gracePeriodSeconds}`);
    const onTerm = container.behaviour.onTerm ?? 143;
    if (gracePeriodSeconds > 0 && onTerm !== 'ignore') this.#end(uid, container, { exitCode: onTerm });
    else if (gracePeriodSeconds <= 0) this.#end(uid, container, { exitCode: 137 });
    else {
      const late = this.#options.clock.after(gracePeriodSeconds * 1000, () =>
        this.#end(uid, container, { exitCode: 137 }),
      );
      signal.addEventListener('abort', () => container.ended.resolve(), { once: true });
      await container.ended.promise;
      late[Symbol.dispose]();
      signal.throwIfAborted();
    }
  }

  async removeContainer(uid: string, id: string, _options: { readonly withLogs: boolean }): Promise<void> {
    const pod = this.#pods.get(uid);
    const container = pod?.containers.get(id);
    if (pod === undefined || container === undefined) return;
    if (container.state.state === 'running')
      throw new PodwrightError('E_BUSY', `remove container ${id}: it runs`);
    this.#call(`removeContainer ${uid} ${container.config.name}`);
    pod.containers.delete(id);
    this.#changed(uid);
  }

  async updateContainerResources(uid: string, id: string, resources: CgroupResources): Promise<void> {
    const container = this.#container(uid, id);
    this.#call(`updateContainerResources ${uid} ${container.config.name}`);
    container.resources = { ...container.resources, ...resources };
  }

  async updateSandboxResources(uid: string, resources: CgroupResources): Promise<void> {
    const pod = this.#pod(uid);
    this.#call(`updateSandboxResources ${uid}`);
    pod.resources = { ...pod.resources, ...resources };
  }

  async exec(uid: string, id: string, request: ExecRequest, signal: AbortSignal): Promise<ExecSession> {
    signal.throwIfAborted();
    const container = this.#running(uid, id);
    const own = this.#options.session?.(uid, container.config, request);
    if (own !== undefined) return own;
    const stdout = new PassThrough();
    const stderr = new PassThrough();
    const exit = Promise.withResolvers<number>();
    const run = async (): Promise<void> => {
      const result = (await this.#options.onExec?.(uid, container.config.name, request.args)) ?? {
        exitCode: behaviourOf(request.args).exitCode ?? 0,
      };
      stdout.end(result.stdout ?? '');
      stderr.end(result.stderr ?? '');
      exit.resolve(result.exitCode);
    };
    run().catch(exit.reject);
    const streams: ProcessStreams = {
      stdin: request.stdin ? new PassThrough() : undefined,
      stdout,
      stderr: request.tty ? undefined : stderr,
      resize: () => undefined,
      [Symbol.asyncDispose]: async () => undefined,
    };
    return { streams, exitCode: exit.promise, kill: async () => exit.resolve(137) };
  }

  async reopenLog(uid: string, id: string): Promise<void> {
    const { config } = this.#running(uid, id);
    this.#call(`reopenLog ${uid} ${config.name}`);
  }

  async attach(uid: string, id: string): Promise<ProcessStreams> {
    const container = this.#running(uid, id);
    container.output ??= new PassThrough().resume();
    const { output } = container;
    const stdout = output.pipe(new PassThrough());
    return {
      stdin: container.config.stdio.stdin ? new PassThrough() : undefined,
      stdout,
      stderr: container.config.stdio.tty ? undefined : new PassThrough(),
      resize: () => undefined,
      [Symbol.asyncDispose]: async () => void output.unpipe(stdout),
    };
  }

  async connectPort(uid: string, port: number): Promise<Socket> {
    this.#pod(uid);
    if (this.#options.onConnect === undefined)
      throw new PodwrightError('E_CONNECTION', `connect to port ${port} of pod ${uid}: ECONNREFUSED`);
    return this.#options.onConnect(uid, port);
  }

  async stats(uid: string): Promise<PodStats | undefined> {
    const pod = this.#pods.get(uid);
    if (pod === undefined) return undefined;
    const containers = [...pod.containers.values()].flatMap((container) =>
      container.state.state === 'running' ? [this.#statsOf(uid, container, container.state)] : [],
    );
    const memoryBytes = containers.reduce((total, each) => total + each.memoryBytes, 0);
    return {
      containers,
      cpuUsageNanoseconds: containers.reduce((total, each) => total + each.cpuUsageNanoseconds, 0),
      ...{ memoryBytes, workingSetBytes: memoryBytes, rssBytes: memoryBytes },
      ...{ pageFaults: 0, majorPageFaults: 0, processes: containers.length },
    };
  }

  writableLayer(id: string): string {
    return `${this.#options.layers ?? '/nonexistent'}/${id}`;
  }

  /** What it used until it was asked last, and since then at the present rate. */
  #statsOf(
    uid: string,
    { config, used }: FakeContainer,
    { startedAtMs, pid }: ContainerState & { readonly state: 'running' },
  ): ContainerStats {
    const usage = this.#options.usageOf?.(config, uid);
    const now = this.#options.clock.now();
    // Millicores are microseconds of CPU time in a millisecond.
    used.nanoseconds += (usage?.cpuMilli ?? 0) * 1000 * Math.max(0, now - used.atMs);
    used.atMs = now;
    const memoryBytes = usage?.memoryBytes ?? this.#memory.get(config.name) ?? 1_048_576;
    return {
      ...{ id: config.id, name: config.name, startedAtMs, pid },
      cpuUsageNanoseconds: 1_000_000 + used.nanoseconds,
      ...{ memoryBytes, workingSetBytes: memoryBytes, rssBytes: memoryBytes },
      ...{ pageFaults: 0, majorPageFaults: 0, processes: 1 },
    };
  }

  #nextIps(): readonly string[] {
    return [`10.244.0.${this.#nextAddress++}`];
  }

  #say(container: FakeContainer, text: string): void {
    container.output?.write(text);
    this.#options.log?.(container.config, text);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const pod of this.#pods.values())
      for (const container of pod.containers.values()) container.timer?.[Symbol.dispose]();
    this.#listeners.clear();
  }

  #call(entry: string): void {
    if (this.#options.isSilent !== true) this.calls.push(entry);
    for (const [prefix, error] of this.failNext) {
      if (entry !== prefix && !entry.startsWith(`${prefix} `)) continue;
      this.failNext.delete(prefix);
      throw error;
    }
  }

  #changed(uid: string): void {
    for (const listener of this.#listeners) listener(uid);
  }

  #pod(uid: string): FakePod {
    const pod = this.#pods.get(uid);
    if (pod === undefined) throw new PodwrightError('E_NOT_FOUND', `find pod ${uid}: no sandbox`);
    return pod;
  }

  #container(uid: string, id: string): FakeContainer {
    const container = this.#pod(uid).containers.get(id);
    if (container === undefined)
      throw new PodwrightError('E_NOT_FOUND', `find container ${id}: none in pod ${uid}`);
    return container;
  }

  #running(uid: string, id: string): FakeContainer {
    const container = this.#container(uid, id);
    if (container.state.state !== 'running')
      throw new PodwrightError('E_CLOSED', `use container ${container.config.name}: it is not running`);
    return container;
  }

  #end(
    uid: string,
    container: FakeContainer,
    end: {
      readonly exitCode: number;
      readonly reason?: (ContainerState & { state: 'exited' })['reason'];
      readonly message?: string;
    },
  ): void {
    const { exitCode, reason, message } = end;
    if (container.state.state !== 'running') return;
    container.timer?.[Symbol.dispose]();
    container.state = {
      state: 'exited',
      startedAtMs: container.state.startedAtMs,
      finishedAtMs: this.#options.clock.now(),
      exitCode,
      signal: exitCode > 128 && exitCode < 193 && reason === undefined ? exitCode - 128 : undefined,
      reason: reason ?? (exitCode === 0 ? 'Completed' : 'Error'),
      message: message ?? container.behaviour.terminationMessage ?? '',
    };
    container.output?.end();
    container.ended.resolve();
    for (const other of this.#pods.get(uid)?.containers.values() ?? [])
      if (other.config.pidTarget === container.config.id) this.#end(uid, other, { exitCode: 137 });
    this.#changed(uid);
  }
}

/** A fake runtime; `images.add('busybox')` first, then start containers. */
export function createFakeRuntime(options: FakeRuntimeOptions): FakeRuntime {
  return new FakeRuntime(options);
}

function observePod(pod: FakePod): PodObservation {
  const { uid, namespace, name } = pod.config;
  return {
    uid,
    namespace,
    name,
    sandbox: pod.sandbox,
    containers: [...pod.containers.values()].map(observeFake),
  };
}
