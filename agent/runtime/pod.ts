import type { Clock } from '#base/clock.ts';
import type { Logger } from '#base/log.ts';
import { describeError, PodwrightError } from '#base/errors.ts';
import type { ProcessExit, Supervisor } from '#native/launch/launch.ts';
import { layoutSandbox, podDirectoryOf, type RuntimePaths, type SandboxPlan } from './plan/plan-sandbox.ts';
import { writeContainer, writeSandbox, type ContainerDocument, type SandboxDocument } from './pod-state.ts';
import { readTerminationMessage } from './termination-message.ts';
import type {
  ContainerObservation,
  ContainerState,
  HandlerFeatures,
  PodObservation,
  SandboxConfig,
  SandboxObservation,
} from './runtime.ts';
import type { RuntimeSystem } from './system.ts';

/** What a pod asks of its surroundings. */
export interface PodPorts {
  readonly paths: RuntimePaths;
  readonly system: RuntimeSystem;
  readonly clock: Clock;
  readonly log: Logger;
  /** The exits that a supervisor wrote down, also when it is gone. */
  readonly readExits: (supervisorDirectory: string) => Promise<readonly ProcessExit[]>;
  /** The repository digest of an image id where one is known, else the id. */
  readonly imageReference: (imageId: string) => string;
  /** Of who makes containers beside the runtime itself; undefined: nobody has the name. */
  readonly featuresOf: (handler: string) => HandlerFeatures | undefined;
  readonly changed: (uid: string) => void;
}

interface ContainerRecord {
  document: ContainerDocument;
  readonly ended: PromiseWithResolvers<void>;
  /** Its end, being written down: a second report of it waits for the first. */
  ending: Promise<void> | undefined;
  /** Writes of its document, one after another. */
  writing: Promise<void>;
}

const SIGKILL = 9;
/** What an end that nobody saw is reported as, as the kubelet does. */
const unknownExitCode = 137;

/** Exec processes share the supervisor's id space with containers. */
export const execIdPrefix = 'exec-';

/**
 * One pod as this node knows it: its documents, the connection to its supervisor, and who waits for an end. The one owner of
 * these facts: every change goes through here, is written down first, and then told.
 */
export class Pod {
  readonly #ports: PodPorts;
  readonly #containers = new Map<string, ContainerRecord>();
  readonly #execs = new Map<string, PromiseWithResolvers<number>>();
  #sandbox: SandboxDocument;
  #layout: { readonly config: SandboxConfig; readonly plan: SandboxPlan } | undefined;
  #supervisor: Supervisor | undefined;
  #watch: Disposable | undefined;

  constructor(ports: PodPorts, sandbox: SandboxDocument, containers: readonly ContainerDocument[]) {
    this.#ports = ports;
    this.#sandbox = sandbox;
    for (const document of containers) this.#containers.set(document.id, recordOf(document));
  }

  get sandbox(): SandboxDocument {
    return this.#sandbox;
  }

  /** Asked for at each look at the pod. */
  get plan(): SandboxPlan {
    const { config } = this.#sandbox;
    if (this.#layout?.config !== config)
      this.#layout = { config, plan: layoutSandbox(config, this.#ports.paths) };
    return this.#layout.plan;
  }

  get directory(): string {
    return podDirectoryOf(this.#ports.paths, this.#sandbox.config.uid);
  }

  get containers(): readonly ContainerDocument[] {
    return [...this.#containers.values()].map((record) => record.document);
  }

  container(id: string): ContainerDocument | undefined {
    return this.#containers.get(id)?.document;
  }

  /** Of a running container, in the supervisor's view. */
  pidOf(id: string): number | undefined {
    const state = this.container(id)?.state;
    return state?.state === 'running' ? state.pid : undefined;
  }

  /** @throws E_CLOSED when the sandbox is dead */
  get supervisor(): Supervisor {
    if (this.#supervisor !== undefined) return this.#supervisor;
    throw new PodwrightError('E_CLOSED', `use pod ${this.#sandbox.config.uid}: its sandbox is dead`);
  }

  /** The connection, given away for good: its end is then nobody's surprise. */
  takeSupervisor(): Supervisor | undefined {
    const supervisor = this.#supervisor;
    this.#supervisor = undefined;
    return supervisor;
  }

  async setSandbox(sandbox: SandboxDocument): Promise<void> {
    await writeSandbox(this.directory, sandbox);
    this.#sandbox = sandbox;
    this.#changed();
  }

  /** Takes the connection of a supervisor that has just been started. */
  connect(supervisor: Supervisor): void {
    this.#watch?.[Symbol.dispose]();
    this.#supervisor = supervisor;
    this.#watch = supervisor.onExit((exit) => this.#onExit(supervisor, exit));
  }

  /** Takes the connection of a supervisor that an earlier agent started, and merges its past. */
  async adopt(supervisor: Supervisor): Promise<void> {
    // Before asking: what ends in between is then told twice rather than never.
    this.connect(supervisor);
    const [exits, running] = [await supervisor.exits(), await supervisor.running()];
    const alive = new Map(running.map((process) => [process.id, process]));
    for (const exit of exits) await this.#ended(exit);
    for (const record of this.#containers.values()) {
      const process = alive.get(record.document.id);
      const { state } = record.document;
      if (state.state === 'exited' || record.document.sandboxAttempt !== this.#sandbox.config.attempt)
        continue;
      if (process === undefined) await this.#lost(record);
      else this.#running(record, process);
    }
    // Whoever asked for these is gone with the earlier agent.
    for (const id of alive.keys()) if (id.startsWith(execIdPrefix)) await supervisor.kill(id, SIGKILL);
  }

  async addContainer(document: ContainerDocument): Promise<void> {
    await writeContainer(this.directory, document);
    this.#containers.set(document.id, recordOf(document));
    this.#changed();
  }

  /** Running, unless its end has been seen already. */
  started(id: string, process: { readonly pid: number; readonly startedAtMs: number }): void {
    const record = this.#containers.get(id);
    if (record === undefined || record.ending !== undefined || record.document.state.state === 'exited')
      return;
    this.#running(record, process);
  }

  async startFailed(id: string, message: string): Promise<void> {
    const record = this.#containers.get(id);
    if (record === undefined) return;
    const now = this.#ports.clock.now();
    await this.#setState(record, {
      state: 'exited',
      startedAtMs: now,
      finishedAtMs: now,
      exitCode: 128,
      signal: undefined,
      reason: 'StartError',
      message,
    });
  }

  /** Resolves when the container has ended and that is written down. */
  async waitForEnd(id: string): Promise<void> {
    await this.#containers.get(id)?.ended.promise;
  }

  forgetContainer(id: string): void {
    this.#containers.delete(id);
    this.#changed();
  }

  /** The exit code of an exec that is about to be started. */
  expectExec(id: string): Promise<number> {
    const exit = Promise.withResolvers<number>();
    this.#execs.set(id, exit);
    return exit.promise;
  }

  forgetExec(id: string): void {
    this.#execs.delete(id);
  }

  /** The supervisor is gone: kill what it left, and take the exits that it wrote down. */
  async supervisorEnded(): Promise<void> {
    this.#watch?.[Symbol.dispose]();
    this.#watch = undefined;
    this.#supervisor?.[Symbol.dispose]();
    this.#supervisor = undefined;
    // First, so that nobody starts a container where the ends of the others are already seen.
    if (this.#sandbox.phase === 'ready') await this.setSandbox({ ...this.#sandbox, phase: 'dead' });
    await this.#ports.system.killCgroup(this.#sandbox.config.cgroupParent);
    for (const exit of await this.#ports.readExits(this.plan.supervisor.directory)) await this.#ended(exit);
    for (const record of this.#containers.values()) await this.#lost(record);
    for (const exec of this.#execs.values()) exec.resolve(unknownExitCode);
    this.#execs.clear();
  }

  observe(): PodObservation {
    const { config, phase, createdAtMs, ips } = this.#sandbox;
    const { id, netnsPath } = this.plan;
    const { runtimeHandler: handler = '' } = config;
    const features = this.#ports.featuresOf(handler);
    return {
      uid: config.uid,
      namespace: config.namespace,
      name: config.name,
      sandbox: {
        id,
        attempt: config.attempt,
        state: phase === 'starting' ? 'dead' : phase,
        createdAtMs,
        ips,
        netnsPath,
        ...(features === undefined ? {} : { handler: { name: handler, features } }),
      },
      containers: [...this.#containers.values()].map(({ document }) => this.#observeContainer(document)),
    };
  }

  /** Lets go of the connection; the pod goes on. */
  release(): void {
    this.#watch?.[Symbol.dispose]();
    this.#watch = undefined;
    this.#supervisor?.[Symbol.dispose]();
    this.#supervisor = undefined;
  }

  #observeContainer(document: ContainerDocument): ContainerObservation {
    const { id, name, attempt, image, logPath, state, exec, stopSignal, mountedImages } = document;
    const { imageReference } = this.#ports;
    return {
      id,
      name,
      attempt,
      image,
      imageId: imageReference(document.imageId),
      logPath,
      state,
      user: exec.user,
      stopSignal,
      mountedImages: mountedImages?.map(({ target, imageId }) => ({
        target,
        imageId: imageReference(imageId),
      })),
    };
  }

  #onExit(supervisor: Supervisor, exit: ProcessExit | undefined): void {
    const handled = exit === undefined ? this.#onSupervisorEnd(supervisor) : this.#ended(exit);
    handled.catch((error: unknown) => {
      const { uid } = this.#sandbox.config;
      this.#ports.log.error({ pod: uid, error: describeError(error) }, 'record the end of a process');
    });
  }

  async #onSupervisorEnd(supervisor: Supervisor): Promise<void> {
    // Not one that was taken to be stopped.
    if (this.#supervisor === supervisor) await this.supervisorEnded();
  }

  async #ended(exit: ProcessExit): Promise<void> {
    this.#execs.get(exit.id)?.resolve(exit.code);
    this.#execs.delete(exit.id);
    const record = this.#containers.get(exit.id);
    if (record === undefined || record.document.state.state === 'exited') return;
    record.ending ??= this.#recordEnd(record, exit);
    try {
      await record.ending;
    } finally {
      record.ending = undefined;
    }
  }

  async #recordEnd(record: ContainerRecord, exit: ProcessExit): Promise<void> {
    const { cgroup, logPath, termination } = record.document;
    const { system, clock } = this.#ports;
    // What it started and left behind in a shared pid namespace goes with it.
    await this.#orElse('kill what a container left', () => system.killCgroup(cgroup), undefined);
    const isOom =
      exit.signal === SIGKILL &&
      (await this.#orElse('read memory.events', async () => (await system.oomKills(cgroup)) > 0, false));
    const message = await this.#orElse(
      'read termination message',
      () => readTerminationMessage(termination, { exitCode: exit.code, logPath }, clock),
      '',
    );
    await this.#setState(record, {
      state: 'exited',
      startedAtMs: exit.startedAtMs,
      finishedAtMs: exit.finishedAtMs,
      exitCode: exit.code,
      signal: exit.signal,
      reason: isOom ? 'OOMKilled' : exit.code === 0 ? 'Completed' : 'Error',
      message,
    });
  }

  /** An end is recorded whatever else goes wrong about it. */
  async #orElse<T>(what: string, ask: () => Promise<T>, otherwise: T): Promise<T> {
    try {
      return await ask();
    } catch (error) {
      this.#ports.log.warn({ pod: this.#sandbox.config.uid, error: describeError(error) }, what);
      return otherwise;
    }
  }

  async #lost(record: ContainerRecord): Promise<void> {
    // An end that is being recorded is better than none.
    await record.ending;
    const { state, createdAtMs } = record.document;
    if (state.state === 'exited') return;
    await this.#setState(record, {
      state: 'exited',
      startedAtMs: state.state === 'running' ? state.startedAtMs : createdAtMs,
      finishedAtMs: this.#ports.clock.now(),
      exitCode: unknownExitCode,
      signal: undefined,
      reason: 'ContainerStatusUnknown',
      message: "The container's supervisor ended, its exit code is not known",
    });
  }

  /** Not written down: the supervisor knows what runs, and since when. */
  #running(record: ContainerRecord, process: { readonly pid: number; readonly startedAtMs: number }): void {
    const { pid, startedAtMs } = process;
    record.document = { ...record.document, state: { state: 'running', pid, startedAtMs } };
    this.#changed();
  }

  /** Written down before it is told. An end is final: each turn writes what the document is by then. */
  async #setState(record: ContainerRecord, state: ContainerState): Promise<void> {
    record.document = { ...record.document, state };
    const turn = record.writing.then(() => writeContainer(this.directory, record.document));
    record.writing = turn.catch(() => undefined);
    try {
      await turn;
    } finally {
      // Also when it could not be written: the supervisor's exits file has it for the next agent.
      if (record.document.state.state === 'exited') record.ended.resolve();
      this.#changed();
    }
  }

  #changed(): void {
    this.#ports.changed(this.#sandbox.config.uid);
  }
}

function recordOf(document: ContainerDocument): ContainerRecord {
  const ended = Promise.withResolvers<void>();
  if (document.state.state === 'exited') ended.resolve();
  return { document, ended, ending: undefined, writing: Promise.resolve() };
}

/** Of one that has a sandbox, whatever its state. */
export function sandboxOf(pod: Pod): SandboxObservation {
  const { sandbox } = pod.observe();
  if (sandbox === undefined) throw new PodwrightError('E_INTERNAL', 'observe sandbox: none');
  return sandbox;
}
