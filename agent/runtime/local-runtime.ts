/** The runtime of this node: Runtime over supervisors, the pod network, cgroups and the image store. */
import { existsSync } from 'node:fs';
import { mkdir, readdir } from 'node:fs/promises';
import type { Socket } from 'node:net';
import { describeError, isPodwrightError, PodwrightError } from '#base/errors.ts';
import type { Logger } from '#base/log.ts';
import { deviceRulesOf } from '#native/bpf/device-rules.ts';
import { removeTree } from '#native/fs/remove-tree.ts';
import type { IdRange, LaunchRlimit, ProcessExit, ProcessStreams } from '#native/launch/launch.ts';
import { documentOf, failedDocumentOf } from './container-document.ts';
import { forgetEnvironment, forgetEnvironments, keepEnvironment } from './exec-environment.ts';
import { execInContainer } from './handlers/exec-in-container.ts';
import type { Handler } from './handlers/handler.ts';
import { createHandlers, type Handlers } from './handlers/handlers.ts';
import { forgetBundles } from './handlers/oci-handler.ts';
import { createLargeStarts, type LargeStarts } from './large-starts.ts';
import { defaultIdSpace, IdRanges, type IdSpace } from './id-ranges.ts';
import { removeRoot, removeUnknownRoots } from './container-root.ts';
import { fillImageVolumes } from './image-volumes.ts';
import type { LocalImageStore } from './images/image-store.ts';
import {
  defaultLogMonitorIntervalMs,
  monitorLogs,
  repairLogs,
  rotateLogs,
  type LogMonitorOptions,
} from './logs/log-monitor.ts';
import { defaultLogRotation, removeLogs, type ContainerLog, type LogRotation } from './logs/rotate-logs.ts';
import { placeImages } from './plan/place-images.ts';
import { planFromImage } from './plan/plan-from-image.ts';
import { containersDirectory } from './plan/plan-container.ts';
import { layoutSandbox, planSandbox, podDirectoryOf, type RuntimePaths } from './plan/plan-sandbox.ts';
import { Pod, sandboxOf, type PodPorts } from './pod.ts';
import {
  readPods,
  removeContainerDocument,
  writeSandbox,
  type ContainerDocument,
  type SandboxDocument,
} from './pod-state.ts';
import type {
  CgroupResources,
  ContainerConfig,
  ExecRequest,
  ExecSession,
  HandlerFeatures,
  PodObservation,
  PodStats,
  Runtime,
  SandboxConfig,
  SandboxObservation,
} from './runtime.ts';
import { statsOf } from './pod-stats.ts';
import { stopContainer } from './stop-container.ts';
import { startSandbox, stopSandbox, type SandboxPorts } from './sandbox.ts';

export interface LocalRuntimeOptions extends SandboxPorts {
  readonly paths: RuntimePaths;
  readonly images: LocalImageStore;
  readonly log: Logger;
  readonly readExits: (supervisorDirectory: string) => Promise<readonly ProcessExit[]>;
  readonly logRotation?: LogRotation;
  /** How often log sizes are looked at; containerLogMonitorInterval. Undefined: 10 s. */
  readonly logMonitorIntervalMs?: number;
  /** For pods with user namespaces of their own. */
  readonly idSpace?: IdSpace;
  /** Who else makes containers, by name. */
  readonly handlers?: ReadonlyMap<string, Handler>;
  /** Of every container's processes (plan/ulimits.ts). */
  readonly ulimits?: readonly LaunchRlimit[];
}

export class LocalRuntime implements Runtime {
  readonly images: LocalImageStore;
  readonly handlers: ReadonlyMap<string, HandlerFeatures>;
  readonly #options: LocalRuntimeOptions;
  readonly #handlers: Handlers;
  readonly #podPorts: PodPorts;
  readonly #pods = new Map<string, Pod>();
  readonly #largeStarts: LargeStarts;
  readonly #ids: IdRanges;
  readonly #listeners = new Set<(uid: string) => void>();
  readonly #toldControllers = new Set<string>();
  #logMonitor: Disposable | undefined;

  constructor(options: LocalRuntimeOptions) {
    this.#options = options;
    this.images = options.images;
    this.#handlers = createHandlers(options.handlers);
    this.handlers = this.#handlers.features;
    this.#largeStarts = createLargeStarts(options.clock);
    this.#ids = new IdRanges(options.idSpace ?? defaultIdSpace);
    this.images.pinLayers(() => this.#usedLayers());
    this.#podPorts = {
      paths: options.paths,
      system: options.system,
      clock: options.clock,
      log: options.log,
      readExits: options.readExits,
      featuresOf: (name) => options.handlers?.get(name)?.features,
      imageReference: (id) => this.images.resolve(id)?.digests[0] ?? id,
      changed: (uid) => {
        for (const listener of this.#listeners) listener(uid);
      },
    };
  }

  /** Finds what an earlier agent left: connects to its supervisors, undoes what was cut off, collects what nobody knows. */
  async open(signal: AbortSignal): Promise<void> {
    const { paths, network, log } = this.#options;
    for (const name of ['pods', 'netns']) {
      await mkdir(`${paths.runDirectory}/${name}`, { recursive: true, mode: 0o700 });
    }
    const refusal = await this.#options.system.deviceRefusal();
    if (refusal !== undefined) {
      log.warn(
        { reason: refusal, remedy: 'podwright doctor' },
        'devices are not filtered: containers have no CAP_MKNOD, and their file systems no devices',
      );
    }
    const { pods, unreadable } = await readPods(`${paths.runDirectory}/pods`);
    for (const error of unreadable)
      log.error({ error: describeError(error) }, 'state of a pod is left alone');
    for (const { sandbox, containers, damage } of pods) {
      const { uid } = sandbox.config;
      if (damage !== undefined) log.error({ pod: uid }, `${damage}; the pod is made anew`);
      const pod = new Pod(this.#podPorts, sandbox, containers);
      this.#pods.set(uid, pod);
      if (sandbox.config.ids !== undefined) this.#ids.keep(uid, sandbox.config.ids);
      // Of one that fails, the sandbox is observed as dead: stopped, and begun anew.
      await this.#orElse(`take on pod ${uid}`, () => this.#recover(pod, signal), signal);
    }
    // With a state that cannot be read it is not known what is in use.
    if (unreadable.length === 0) {
      const known = new Set([...this.#pods.values()].flatMap((pod) => pod.containers.map(({ id }) => id)));
      await removeUnknownRoots(containersDirectory(paths), known);
      await this.images.collect();
      const ids = [...this.#pods.values()].map((pod) => pod.plan.id);
      await this.#orElse('collect what the network left', () => network.collect(ids, signal), signal);
    }
    await repairLogs(this.#logMonitorOptions());
    this.#logMonitor = monitorLogs(this.#logMonitorOptions());
  }

  async #recover(pod: Pod, signal: AbortSignal): Promise<void> {
    const { launcher } = this.#options;
    const { sandbox, plan } = pod;
    if (sandbox.phase === 'stopped') return;
    const supervisor = await launcher.connectSupervisor(plan.supervisor.directory);
    if (sandbox.phase === 'starting') {
      const undo = async (): Promise<void> => {
        await stopSandbox(plan, supervisor, this.#options, signal);
        await pod.setSandbox({ ...sandbox, phase: 'stopped' });
      };
      // Observed as dead where that fails: whoever stops it or begins it anew tries again.
      await this.#orElse(`undo what was begun of pod ${sandbox.config.uid}`, undo, signal);
    } else if (supervisor === undefined) await pod.supervisorEnded();
    else {
      await pod.adopt(supervisor);
      await this.#filterDevices(pod, signal);
    }
  }

  /** What an earlier agent, or one that did not know of it yet, left open. */
  async #filterDevices(pod: Pod, signal: AbortSignal): Promise<void> {
    for (const { name, cgroup, devices = [], exec, state } of pod.containers) {
      if (state.state !== 'running') continue;
      const rules = deviceRulesOf({ isPrivileged: exec.security.privileged, devices });
      const filter = (): Promise<void> => this.#options.system.filterDevices(cgroup, rules);
      await this.#orElse(`filter devices of container ${name}`, filter, signal);
    }
  }

  /** What cannot be cleared away is no reason to have no node. */
  async #orElse(what: string, work: () => Promise<void>, signal: AbortSignal): Promise<void> {
    try {
      await work();
    } catch (error) {
      signal.throwIfAborted();
      this.#options.log.error({ error: describeError(error) }, what);
    }
  }

  observeAll(): readonly PodObservation[] {
    return [...this.#pods.values()].map((pod) => pod.observe());
  }

  observe(uid: string): PodObservation | undefined {
    return this.#pods.get(uid)?.observe();
  }

  onChange(listener: (uid: string) => void): Disposable {
    this.#listeners.add(listener);
    return { [Symbol.dispose]: () => void this.#listeners.delete(listener) };
  }

  async runSandbox(asked: SandboxConfig, signal: AbortSignal): Promise<SandboxObservation> {
    const { paths, clock } = this.#options;
    const known = this.#pods.get(asked.uid);
    if (
      known !== undefined &&
      known.sandbox.config.attempt === asked.attempt &&
      known.sandbox.phase === 'ready'
    ) {
      return sandboxOf(known);
    }
    if (known !== undefined) await this.stopSandbox(asked.uid, signal);
    this.#handlers.of(asked); // Refuses one that is not there.
    planSandbox(asked, paths); // Refuses a uid that is no path, before anything is written.
    const config = asked.hasOwnUsers === true ? { ...asked, ids: this.#idsOf(asked) } : asked;
    const starting: SandboxDocument = {
      version: 1,
      phase: 'starting',
      config,
      createdAtMs: clock.now(),
      ips: [],
    };
    if (known === undefined) await this.#endUnreadable(config, signal);
    const pod = new Pod(this.#podPorts, starting, known?.containers ?? []);
    try {
      // Before anything is made: an agent that is killed now finds what to undo.
      await writeSandbox(pod.directory, starting);
      await this.#startSandbox(pod, signal);
    } catch (error) {
      // Where undoing failed too, the document stays to say so.
      if (error instanceof SuppressedError) throw error;
      if (known === undefined) {
        await removeTree(pod.directory);
        this.#ids.free(config.uid);
      } else await known.setSandbox({ ...starting, phase: 'stopped' });
      throw error;
    }
    return sandboxOf(pod);
  }

  /** What is there of the pod although nothing is known of it: its state could not be read. It is ended by what it should have been. */
  async #endUnreadable(config: SandboxConfig, signal: AbortSignal): Promise<void> {
    const { paths, launcher } = this.#options;
    const directory = podDirectoryOf(paths, config.uid);
    if (!existsSync(directory)) return;
    for (const name of await readdir(directory)) {
      const attempt = Number(/^s(\d{1,9})$/.exec(name)?.[1]);
      if (Number.isNaN(attempt)) continue;
      const plan = layoutSandbox({ ...config, attempt }, paths);
      const supervisor = await launcher.connectSupervisor(plan.supervisor.directory);
      await stopSandbox(plan, supervisor, this.#options, signal);
    }
    await forgetBundles(directory, this.#options.system);
    await removeTree(directory);
  }

  async #startSandbox(pod: Pod, signal: AbortSignal): Promise<void> {
    const { uid } = pod.sandbox.config;
    const { supervisor, ips, missingControllers } = await startSandbox(pod.plan, this.#options, signal);
    this.#tellMissing(missingControllers);
    try {
      pod.connect(supervisor);
      this.#pods.set(uid, pod);
      await pod.setSandbox({ ...pod.sandbox, phase: 'ready', ips });
    } catch (error) {
      await stopSandbox(pod.plan, pod.takeSupervisor(), this.#options, signal);
      throw error;
    }
  }

  /** What the host lacks is said once, not for each pod. */
  #tellMissing(controllers: readonly string[]): void {
    const news = controllers.filter((controller) => !this.#toldControllers.has(controller));
    if (news.length === 0) return;
    for (const controller of news) this.#toldControllers.add(controller);
    this.#options.log.warn(
      { controllers: news, remedy: 'see `podwright doctor`: the host must give cgroup v2 these controllers' },
      'limits of pods are not set on this host: it lacks cgroup controllers',
    );
  }

  /** What the caller says, who then also sees to it that they are nobody else's; or some that are free. */
  #idsOf({ uid, ids }: SandboxConfig): IdRange {
    if (ids === undefined) return this.#ids.take(uid);
    this.#ids.keep(uid, ids);
    return ids;
  }

  async stopSandbox(uid: string, signal: AbortSignal): Promise<void> {
    const pod = this.#pods.get(uid);
    if (pod === undefined || pod.sandbox.phase === 'stopped') return;
    await stopSandbox(pod.plan, pod.takeSupervisor(), this.#options, signal);
    // Also gives every container an end: those of the exits file, the rest unknown.
    await pod.supervisorEnded();
    await pod.setSandbox({ ...pod.sandbox, phase: 'stopped' });
  }

  async removePod(uid: string, signal: AbortSignal): Promise<void> {
    const { system } = this.#options;
    const pod = this.#pods.get(uid);
    if (pod === undefined) return;
    signal.throwIfAborted();
    if (pod.sandbox.phase !== 'stopped') {
      throw new PodwrightError('E_BUSY', `remove pod ${uid}: its sandbox was not stopped`);
    }
    for (const { id } of pod.containers) await this.removeContainer(uid, id, { withLogs: false });
    await system.removeCgroup(pod.sandbox.config.cgroupParent);
    await forgetEnvironments(pod.directory, system);
    await forgetBundles(pod.directory, system);
    // Last: as long as it is there, removing can be gone on with.
    await removeTree(pod.directory);
    pod.release();
    this.#pods.delete(uid);
    this.#ids.free(uid);
    this.#podPorts.changed(uid);
  }

  async startContainer(uid: string, config: ContainerConfig, signal: AbortSignal): Promise<void> {
    const { clock } = this.#options;
    const pod = this.#find(uid);
    const { supervisor } = pod;
    signal.throwIfAborted();
    if (pod.container(config.id) !== undefined) {
      throw new PodwrightError('E_EXISTS', `start container ${config.name}: ${config.id} exists`);
    }
    using _turn = await this.#largeStarts.enter(config, signal);

    let isPlanned = false;
    let isRecorded = false;
    try {
      await using placed = await placeImages(config, this.#options);

      const { plan, layerIds, lower } = await planFromImage(pod, placed, this.#options);
      isPlanned = true;
      const whole = documentOf(config, { plan, layerIds, sandbox: pod.sandbox.config, nowMs: clock.now() });
      const { system } = this.#options;
      const document = await keepEnvironment(pod.directory, whole, { others: pod.containers, system });
      await pod.addContainer(document);
      isRecorded = true;
      const { path, resources, devices } = plan.cgroup;
      const { path: cgroup, missing } = await this.#options.system.ensureCgroup(path, resources);
      // Before any process is in it; for execs too, which are in the same.
      await this.#options.system.filterDevices(path, devices);
      signal.throwIfAborted();
      if (plan.volumes.length > 0) await fillImageVolumes(plan.volumes, lower, signal);
      const process = await this.#handlers
        .of(pod.sandbox.config)
        .launch({ supervisor, directory: pod.directory }, { plan, cgroup, missing });
      pod.started(config.id, process);
    } catch (cause) {
      // What execve(2) does not take is told at the start, as elsewhere; of anything else there is no container yet.
      if (!isPlanned && !isPodwrightError(cause, 'E_LIMIT')) throw cause;
      const message = describeError(cause);
      if (!isRecorded) await pod.addContainer(failedDocumentOf(config, pod.sandbox.config, clock.now()));
      await pod.startFailed(config.id, message);
      await this.#removeTraces(pod, config.id, `${pod.sandbox.config.cgroupParent}/${config.id}`);
      signal.throwIfAborted();
      throw new PodwrightError('E_LAUNCH', message, {
        cause,
        detail: isPodwrightError(cause) ? { ...cause.detail, code: cause.code } : {},
      });
    }
  }

  async stopContainer(
    uid: string,
    id: string,
    gracePeriodSeconds: number,
    signal: AbortSignal,
  ): Promise<void> {
    const pod = this.#pods.get(uid);
    const container = pod?.container(id);
    if (pod === undefined || container === undefined || container.state.state === 'exited') return;
    const { clock, system } = this.#options;
    const killSupervisor = (): Promise<void> => system.killCgroup(pod.plan.supervisorCgroup);
    const handler = this.#handlers.thatIs(pod.sandbox.config);
    const kill = (number: number, all: boolean): Promise<void> =>
      handler.kill({ supervisor: pod.supervisor, directory: pod.directory }, id, { signal: number, all });
    await stopContainer(pod, container, { gracePeriodSeconds, clock, kill, killSupervisor }, signal);
  }

  async removeContainer(uid: string, id: string, options: { readonly withLogs: boolean }): Promise<void> {
    const pod = this.#pods.get(uid);
    const container = pod?.container(id);
    if (pod === undefined || container === undefined) return;
    if (container.state.state !== 'exited') {
      throw new PodwrightError('E_BUSY', `remove container ${container.name}: it has not ended`);
    }
    await this.#removeTraces(pod, id, container.cgroup);
    if (options.withLogs && container.logPath !== undefined) await removeLogs(container.logPath);
    await forgetEnvironment(pod.directory, container);
    await removeContainerDocument(pod.directory, id);
    pod.forgetContainer(id);
  }

  async updateContainerResources(uid: string, id: string, resources: CgroupResources): Promise<void> {
    const container = this.#running(uid, id);
    await this.#options.system.ensureCgroup(container.cgroup, resources);
    const pod = this.#find(uid);
    const { directory } = pod;
    await this.#handlers
      .thatIs(pod.sandbox.config)
      .update({ supervisor: undefined, directory }, id, resources);
  }

  async updateSandboxResources(uid: string, resources: CgroupResources): Promise<void> {
    const { cgroupParent } = this.#find(uid).sandbox.config;
    await this.#options.system.ensureCgroup(cgroupParent, resources);
  }

  async exec(uid: string, id: string, request: ExecRequest, signal: AbortSignal): Promise<ExecSession> {
    const pod = this.#find(uid);
    const running = this.#running(uid, id);
    const handler = this.#handlers.of(pod.sandbox.config);
    const cgroup = this.#options.system.cgroupDirectory(running.cgroup);
    return execInContainer(pod, running, { request, handler, cgroup }, signal);
  }

  async reopenLog(uid: string, id: string): Promise<void> {
    this.#running(uid, id);
    await this.#find(uid).supervisor.reopenLog(id);
  }

  async attach(uid: string, id: string): Promise<ProcessStreams> {
    this.#running(uid, id);
    return this.#find(uid).supervisor.attach(id);
  }

  async connectPort(uid: string, port: number): Promise<Socket> {
    return this.#options.system.connect(this.#find(uid).plan.netnsPath, port);
  }

  async stats(uid: string): Promise<PodStats | undefined> {
    const pod = this.#pods.get(uid);
    return pod === undefined ? undefined : statsOf(pod, this.#options.system);
  }

  writableLayer(id: string): string {
    return `${containersDirectory(this.#options.paths)}/${id}/upper`;
  }

  /** Lets go of every pod; all of them go on without an agent. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#logMonitor?.[Symbol.dispose]();
    this.#listeners.clear();
    for (const pod of this.#pods.values()) pod.release();
  }

  /** Rotates the logs that have grown too large; safe to repeat. */
  async rotateLogs(): Promise<void> {
    await rotateLogs(this.#logMonitorOptions());
  }

  #logMonitorOptions(): LogMonitorOptions {
    const { logRotation: rotation = defaultLogRotation, clock, log } = this.#options;
    const { logMonitorIntervalMs: intervalMs = defaultLogMonitorIntervalMs } = this.#options;
    const logs = (): readonly ContainerLog[] =>
      [...this.#pods.values()].flatMap((pod) =>
        pod.containers.flatMap(({ id, logPath: path, state }) => {
          if (path === undefined) return [];
          const reopen = async (): Promise<void> => pod.supervisor.reopenLog(id);
          return [{ path, reopen: state.state === 'running' ? reopen : undefined }];
        }),
      );
    return { rotation, intervalMs, logs, clock, log };
  }

  async #removeTraces(pod: Pod, id: string, cgroup: string): Promise<void> {
    await this.#handlers
      .thatIs(pod.sandbox.config)
      .remove({ supervisor: undefined, directory: pod.directory }, id);
    await this.#options.system.removeCgroup(cgroup);
    await removeRoot(containersDirectory(this.#options.paths), id);
  }

  #find(uid: string): Pod {
    const pod = this.#pods.get(uid);
    if (pod === undefined) throw new PodwrightError('E_NOT_FOUND', `find pod ${uid}: no sandbox`);
    return pod;
  }

  #running(uid: string, id: string): ContainerDocument & { readonly pid: number } {
    const container = this.#find(uid).container(id);
    if (container === undefined)
      throw new PodwrightError('E_NOT_FOUND', `find container ${id}: none in pod ${uid}`);
    const { state } = container;
    if (state.state !== 'running')
      throw new PodwrightError('E_CLOSED', `use container ${container.name}: it is not running`);
    return { ...container, pid: state.pid };
  }

  #usedLayers(): Iterable<string> {
    return [...this.#pods.values()].flatMap((pod) =>
      pod.containers.flatMap((container) => container.diffIds),
    );
  }
}
