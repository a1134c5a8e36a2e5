/**
 * The Runtime of a node whose containers another runtime makes: Runtime over CRI v1, as kubelets speak it. All that is known of what runs
 * is kept by that runtime (marks.ts), so that an agent which comes anew finds all of it, and nothing of anybody else's.
 */
import { readdir } from 'node:fs/promises';
import type { Duplex } from 'node:stream';
import type { Clock } from '#base/clock.ts';
import { describeError, PodwrightError } from '#base/errors.ts';
import type { Logger } from '#base/log.ts';
import { settleAll } from '#base/settle-all.ts';
import type { Services } from '#proto/cri/api.ts';
import type { UnixClient } from '#proto/unix-client.ts';
import type { Policies } from '#agent/network/policy/enforce-policies.ts';
import { IdRanges, type IdSpace } from '#agent/runtime/id-ranges.ts';
import { nonRootRefusal } from '#agent/runtime/image-user.ts';
import { removeLogs } from '#agent/runtime/logs/rotate-logs.ts';
import type { RuntimeSystem } from '#agent/runtime/system.ts';
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
} from '#agent/runtime/runtime.ts';
import type { ProcessStreams } from '#native/launch/launch.ts';
import { CriCache } from './cri-cache.ts';
import type { CriImageStore } from './cri-images.ts';
import { attachStream, collectedSession, execStream, portStream } from './cri-streams.ts';
import { podStatsOf } from './cri-usage.ts';
import { nodeLabel, podUidLabel, type SandboxMark } from './marks.ts';
import type { KnownContainer, KnownSandbox } from './observe.ts';
import { containerRequest, imageUserOf, type CriFeatures } from './render-request.ts';
import { sandboxAgain, sandboxRequest } from './render-sandbox.ts';
import { resourcesRequest } from './render-resources.ts';
import { createRemovals, type Removals } from './removals.ts';
import { isStatus, orNone, saying } from './rpc-error.ts';

export interface CriRuntimeOptions {
  readonly client: UnixClient;
  readonly service: Services['runtime.v1.RuntimeService'];
  readonly images: CriImageStore;
  /** What is in the runtime and has not this name is not ours. */
  readonly nodeName: string;
  /** `containerd` */
  readonly runtimeName: string;
  readonly runtimeVersion: string;
  readonly features: CriFeatures;
  /** Who makes containers in it; none where it is of before it says so. */
  readonly handlers: ReadonlyMap<string, HandlerFeatures>;
  /** Pods' own cgroups are the kubelet's to make, in which the runtime makes those of containers. */
  readonly system: Pick<RuntimeSystem, 'ensureCgroup' | 'removeCgroup'>;
  /** A pod's cgroup from the top of the tree, of its path in the file system; undefined: the runtime's default is taken. */
  readonly cgroupParent: (directory: string | undefined) => string | undefined;
  readonly seccompDirectory: string;
  /** Policies are in force on a sandbox before anything runs in it. */
  readonly policies?: Pick<Policies, 'freshen' | 'attach' | 'detach'> | undefined;
  readonly idSpace: IdSpace;
  readonly clock: Clock;
  readonly log: Logger;
}

interface PodCgroup {
  readonly path: string | undefined;
  readonly files: ReadonlySet<string>;
}

/** As kubelets: twice runtimeRequestTimeout, which networks may need. */
const sandboxMsMax = 240_000;
/** Beyond the grace period. */
const stopMsMax = 120_000;
const noSignal = new AbortController().signal;

export class CriRuntime implements Runtime {
  readonly images: CriImageStore;
  readonly cache: CriCache;
  /** As nodes show it: `containerd://1.6.20`. */
  readonly version: string;
  readonly handlers: ReadonlyMap<string, HandlerFeatures>;
  readonly #options: CriRuntimeOptions;
  readonly #ids: IdRanges;
  readonly #removals: Removals;
  readonly #listeners = new Set<(uid: string) => void>();
  /** CRI's attempt that was asked for last, by pod: of one that nobody heard the end of the name stays taken. */
  readonly #tried = new Map<string, number>();
  #problem: string | undefined;

  constructor(options: CriRuntimeOptions) {
    this.#options = options;
    this.images = options.images;
    options.images.sandboxOf = (uid) => {
      const sandbox = this.cache.sandboxes(uid).at(-1);
      return sandbox === undefined ? undefined : sandboxAgain(sandbox, undefined);
    };
    this.handlers = options.handlers;
    this.version = `${options.runtimeName}://${options.runtimeVersion}`;
    this.#ids = new IdRanges(options.idSpace);
    this.#removals = createRemovals(options);
    const changed = (uid: string): void => {
      for (const listener of this.#listeners) listener(uid);
    };
    this.cache = new CriCache({ ...options, changed });
  }

  /** Finds what an earlier agent left. @throws as UnixClient.call */
  async open(): Promise<void> {
    await this.cache.refresh();
    await this.images.refresh();
    for (const { uid } of this.cache.observeAll())
      for (const { mark } of this.cache.sandboxes(uid))
        if (mark.ids !== undefined) this.#ids.keep(uid, mark.ids);
  }

  problem(): string | undefined {
    return this.#problem;
  }

  setProblem(problem: string | undefined): void {
    this.#problem = problem;
  }

  /** A runtime of before it says its handlers is taken to have one, which can nothing besides. */
  #featuresOf(handler: string): HandlerFeatures | undefined {
    const [first] = this.handlers.values();
    return this.handlers.get(handler) ?? (handler === '' ? first : undefined);
  }

  observeAll(): readonly PodObservation[] {
    return this.cache.observeAll();
  }

  observe(uid: string): PodObservation | undefined {
    return this.cache.observe(uid);
  }

  onChange(listener: (uid: string) => void): Disposable {
    this.#listeners.add(listener);
    return { [Symbol.dispose]: () => void this.#listeners.delete(listener) };
  }

  async runSandbox(asked: SandboxConfig, signal: AbortSignal): Promise<SandboxObservation> {
    const { client, service, nodeName } = this.#options;
    const { uid } = asked;
    signal.throwIfAborted();
    const { runtimeHandler: handler = '' } = asked;
    const features = this.#featuresOf(handler);
    if (features === undefined && handler !== '' && this.handlers.size > 0)
      throw new PodwrightError('E_UNSUPPORTED', `RuntimeHandler ${JSON.stringify(handler)} not supported`);
    const known = this.observe(uid)?.sandbox;
    if (known?.state === 'ready' && known.attempt === asked.attempt) return known;
    if (known !== undefined && known.state !== 'stopped') await this.stopSandbox(uid, signal);
    const config = asked.hasOwnUsers === true ? { ...asked, ids: asked.ids ?? this.#ids.take(uid) } : asked;
    const before = this.cache.sandboxes(uid).map((each) => each.attempt + 1);
    const attempt = Math.max(asked.attempt, (this.#tried.get(uid) ?? -1) + 1, ...before);
    const { path, files: cgroupFiles } = await this.#cgroupOf(config, config.resources);
    const { hasGroupsPolicy } = this.#options.features;
    const cgroupParent = this.#options.cgroupParent(path);
    const place = { nodeName, attempt, cgroupParent, cgroupFiles, features, hasGroupsPolicy };
    const request = { config: sandboxRequest(config, place), runtime_handler: handler };
    this.#tried.set(uid, attempt);
    try {
      const run = saying(client.call(service.RunPodSandbox, request, { timeoutMs: sandboxMsMax, signal }));
      await settleAll([run, Promise.resolve(this.#options.policies?.freshen(asked.namespace, signal))]);
    } catch (error) {
      // What came of it is seen by whoever asks again, and undone where nobody does.
      await this.cache.refresh(uid).catch(() => undefined);
      throw error;
    }
    await this.cache.refresh(uid);
    const made = this.observe(uid)?.sandbox;
    if (made?.state !== 'ready')
      throw new PodwrightError('E_CLOSED', `run sandbox of pod ${asked.name}: it ended at once`);
    await this.#attach(asked, made, signal);
    return made;
  }

  /** Nothing runs yet. Where it fails, nothing will. */
  async #attach(
    { uid, namespace, name }: SandboxConfig,
    { id: sandboxId, ips }: SandboxObservation,
    signal: AbortSignal,
  ): Promise<void> {
    if (ips.length === 0) return;
    try {
      await this.#options.policies?.attach({ sandboxId, uid, namespace, name, ips }, signal);
    } catch (error) {
      await this.stopSandbox(uid, noSignal);
      throw error;
    }
  }

  async stopSandbox(uid: string, signal: AbortSignal): Promise<void> {
    const { client, service } = this.#options;
    for (const sandbox of this.cache.sandboxes(uid)) {
      if (this.cache.isStopped(sandbox)) continue;
      const request = { pod_sandbox_id: sandbox.id };
      await saying(orNone(client.call(service.StopPodSandbox, request, { timeoutMs: stopMsMax, signal })));
      this.#options.policies?.detach(sandbox.id);
      this.cache.stopped(sandbox.id, uid);
    }
    await this.cache.refresh(uid);
  }

  async removePod(uid: string, signal: AbortSignal): Promise<void> {
    const { system } = this.#options;
    const sandboxes = this.cache.sandboxes(uid);
    signal.throwIfAborted();
    if (sandboxes.length === 0) return;
    if (!sandboxes.every((each) => this.cache.isStopped(each)))
      throw new PodwrightError('E_BUSY', `remove pod ${uid}: its sandbox was not stopped`);
    const cgroups = new Set(sandboxes.map(({ mark }) => mark.cgroupParent));
    for (const { id } of sandboxes) await this.#removals.sandbox(id, signal);
    for (const path of cgroups) await system.removeCgroup(path);
    this.#tried.delete(uid);
    this.#ids.free(uid);
    await this.cache.refresh(uid);
  }

  async startContainer(uid: string, config: ContainerConfig, signal: AbortSignal): Promise<void> {
    const sandbox = this.#readySandbox(uid, config.name);
    signal.throwIfAborted();
    const { starting } = this.cache;
    if (starting.has(config.id) || this.cache.containers(uid).some(({ id }) => id === config.id))
      throw new PodwrightError('E_EXISTS', `start container ${config.name}: ${config.id} exists`);
    starting.add(config.id);
    try {
      const criId = await this.#create(sandbox, config, signal);
      await this.#start(uid, { ...config, criId }, signal);
    } finally {
      starting.delete(config.id);
    }
  }

  async #create(sandbox: KnownSandbox, config: ContainerConfig, signal: AbortSignal): Promise<string> {
    const { client, service, nodeName, seccompDirectory, features } = this.#options;
    const { uid, namespace, name, mark } = sandbox;
    const pod = { uid, namespace, name };
    const image = await this.#image(config.imageId, signal);
    const refusal = config.runAsNonRoot ? nonRootRefusal(config.user, image.user) : undefined;
    if (refusal !== undefined) throw new PodwrightError('E_INVALID', refusal);
    const { path, files: cgroupFiles } = await this.#cgroupOf(mark);
    const targetId = this.#targetOf(uid, config);
    const imageUser = imageUserOf(image);
    const place = {
      ...{ nodeName, pod, mark, targetId, imageUser, seccompDirectory, features },
      cgroupFiles,
      handlerFeatures: this.#featuresOf(sandbox.runtimeHandler),
    };
    const request = {
      pod_sandbox_id: sandbox.id,
      config: containerRequest(config, place),
      sandbox_config: sandboxAgain(sandbox, this.#options.cgroupParent(path)),
    };
    const { container_id: id } = await saying(client.call(service.CreateContainer, request, { signal }));
    await this.#refuseUnheard({ uid, sandboxId: sandbox.id, criId: id }, config);
    return id;
  }

  /** The pod's, and what is in it; nothing where it is not the node's to make. */
  async #cgroupOf(
    { cgroupParent }: Pick<SandboxMark, 'cgroupParent'>,
    resources: CgroupResources = {},
  ): Promise<PodCgroup> {
    const { path } = await this.#options.system.ensureCgroup(cgroupParent, resources);
    return { path, files: new Set(path === undefined ? [] : await readdir(path)) };
  }

  /** Runtimes of before the field (containerd 2.1) take no notice of a stop signal, and say none of the container. @throws E_UNSUPPORTED */
  async #refuseUnheard(
    created: Pick<KnownContainer, 'criId' | 'sandboxId' | 'uid'>,
    { stopSignal }: ContainerConfig,
  ): Promise<void> {
    if (stopSignal === undefined) return;
    const { client, service } = this.#options;
    const { status } = await client.call(service.ContainerStatus, { container_id: created.criId });
    if (status?.stop_signal !== 'RUNTIME_DEFAULT') return;
    await this.#removeCreated(created);
    throw new PodwrightError('E_UNSUPPORTED', `stopSignal ${stopSignal}: the runtime takes no notice of it`);
  }

  /** @throws E_NOT_FOUND */
  async #image(id: string, signal: AbortSignal): Promise<{ readonly user: string }> {
    if (this.images.resolve(id) === undefined) await this.images.refresh(signal);
    const image = this.images.resolve(id);
    if (image !== undefined) return image;
    throw new PodwrightError('E_NOT_FOUND', `use image ${id}: not present`);
  }

  #targetOf(uid: string, { pidTarget, name }: ContainerConfig): string | undefined {
    if (pidTarget === undefined) return undefined;
    const target = this.cache.containers(uid).find(({ id }) => id === pidTarget);
    if (target?.state.state === 'running') return target.criId;
    throw new PodwrightError('E_INVALID', `run ${name}: the container of its pid namespace does not run`);
  }

  /** What did not start is observed as exited where the runtime says so; of what it does not know, nothing stays. */
  async #start(
    uid: string,
    { id, criId }: { readonly id: string; readonly criId: string },
    signal: AbortSignal,
  ): Promise<void> {
    const { client, service } = this.#options;
    try {
      await saying(client.call(service.StartContainer, { container_id: criId }, { signal }));
    } catch (error) {
      await this.cache.refresh(uid).catch(() => undefined);
      const found = this.cache.containers(uid).find((each) => each.id === id);
      if (found?.state.state === 'running') return;
      if (found?.criState === 'CONTAINER_CREATED') await this.#removeCreated(found);
      signal.throwIfAborted();
      if (found?.state.state !== 'exited') throw error;
      throw new PodwrightError('E_LAUNCH', describeError(error), { cause: error });
    }
    await this.cache.refresh(uid);
  }

  async #removeCreated(created: Pick<KnownContainer, 'criId' | 'sandboxId' | 'uid'>): Promise<void> {
    const { criId: container, uid } = created;
    try {
      await this.#removals.container(created);
      await this.cache.refresh(uid);
    } catch (error) {
      const facts = { pod: uid, container, error: describeError(error) };
      this.#options.log.warn(facts, 'a container that did not start stays for now');
    }
  }

  /** Ends what nobody heard the end of. */
  async sweep(): Promise<void> {
    const { client, service } = this.#options;
    const { containers, sandboxes } = this.cache.leftovers();
    for (const container of containers) await this.#removeCreated(container);
    for (const sandbox of sandboxes) {
      await orNone(
        client.call(service.StopPodSandbox, { pod_sandbox_id: sandbox.id }, { timeoutMs: stopMsMax }),
      );
      await this.#removals.sandbox(sandbox.id, noSignal);
    }
    if (sandboxes.length > 0) await this.cache.refresh();
  }

  async stopContainer(
    uid: string,
    id: string,
    gracePeriodSeconds: number,
    signal: AbortSignal,
  ): Promise<void> {
    const { client, service } = this.#options;
    const container = this.cache.containers(uid).find((each) => each.id === id);
    if (container?.state.state !== 'running') return;
    const timeout = Math.max(0, Math.round(gracePeriodSeconds));
    const options = { timeoutMs: timeout * 1000 + stopMsMax, signal };
    await saying(
      orNone(client.call(service.StopContainer, { container_id: container.criId, timeout }, options)),
    );
    await this.cache.refresh(uid);
  }

  async removeContainer(uid: string, id: string, options: { readonly withLogs: boolean }): Promise<void> {
    const container = this.cache.containers(uid).find((each) => each.id === id);
    if (container === undefined) return;
    if (container.state.state === 'running')
      throw new PodwrightError('E_BUSY', `remove container ${container.name}: it has not ended`);
    await this.#removals.container(container);
    const { logPath } = container.mark;
    if (options.withLogs && logPath !== undefined) await removeLogs(logPath);
    await this.cache.refresh(uid);
  }

  async updateContainerResources(uid: string, id: string, resources: CgroupResources): Promise<void> {
    const { client, service } = this.#options;
    const { criId } = this.#running(uid, id);
    const { files } = await this.#cgroupOf(this.#sandbox(uid).mark);
    const request = { container_id: criId, linux: resourcesRequest(resources, files) };
    await saying(client.call(service.UpdateContainerResources, request));
  }

  /** The cgroup is the kubelet's; who makes the sandbox is told, where it can be. */
  async updateSandboxResources(uid: string, resources: CgroupResources): Promise<void> {
    const { client, service } = this.#options;
    const { id, mark } = this.#sandbox(uid);
    const { files } = await this.#cgroupOf(mark, resources);
    const request = { pod_sandbox_id: id, resources: resourcesRequest(resources, files) };
    try {
      await client.call(service.UpdatePodSandboxResources, request);
    } catch (error) {
      if (!isStatus(error, 'UNIMPLEMENTED')) throw error;
    }
  }

  async reopenLog(uid: string, id: string): Promise<void> {
    const { client, service } = this.#options;
    await saying(client.call(service.ReopenContainerLog, { container_id: this.#running(uid, id).criId }));
  }

  async exec(uid: string, id: string, request: ExecRequest, signal: AbortSignal): Promise<ExecSession> {
    const { client, service, clock } = this.#options;
    const { criId: container_id } = this.#running(uid, id);
    signal.throwIfAborted();
    const { args: cmd, stdin, tty } = request;
    if (request.isCollected === true && !stdin && !tty) {
      // containerd kills a command at its time, and none whose caller has gone.
      const timeout = Math.ceil(request.timeoutSeconds ?? 0);
      const run = (each: AbortSignal) =>
        saying(
          client.call(
            service.ExecSync,
            { container_id, cmd, timeout },
            { timeoutMs: Infinity, signal: each },
          ),
        );
      return collectedSession(run, signal);
    }
    const asked = { container_id, cmd, stdin, tty, stdout: true, stderr: !tty };
    const { url } = await saying(client.call(service.Exec, asked, { signal }));
    return execStream({ url, stdin, tty, stderr: !tty }, clock);
  }

  async attach(uid: string, id: string): Promise<ProcessStreams> {
    const { client, service, clock } = this.#options;
    const { criId: container_id, mark } = this.#running(uid, id);
    const { stdin = false, tty = false } = mark;
    const asked = { container_id, stdin, tty, stdout: true, stderr: !tty };
    const { url } = await saying(client.call(service.Attach, asked));
    return attachStream({ url, stdin, tty, stderr: !tty }, clock);
  }

  async connectPort(uid: string, port: number): Promise<Duplex> {
    const { client, service, clock } = this.#options;
    const request = { pod_sandbox_id: this.#sandbox(uid).id, port: [port] };
    const { url } = await saying(client.call(service.PortForward, request));
    return portStream(url, port, clock);
  }

  async stats(uid: string): Promise<PodStats | undefined> {
    const { client, service, nodeName } = this.#options;
    const sandbox = this.cache.sandboxes(uid).at(-1);
    if (sandbox === undefined) return undefined;
    const label_selector = { [nodeLabel]: nodeName, [podUidLabel]: uid };
    const { stats } = await client.call(service.ListContainerStats, { filter: { label_selector } });
    const whole = await client
      .call(service.PodSandboxStats, { pod_sandbox_id: sandbox.id })
      .catch(() => undefined); // Runtimes before 1.6 have none, those after none of a sandbox that has ended.
    return podStatsOf(stats, this.cache.containers(uid), whole?.stats ?? undefined);
  }

  writableLayer(id: string): string {
    return this.cache.layer(id) ?? '/nonexistent';
  }

  /** Pods go on. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#listeners.clear();
    this.#options.client[Symbol.dispose]();
  }

  #sandbox(uid: string): KnownSandbox {
    const sandbox = this.cache.sandboxes(uid).at(-1);
    if (sandbox !== undefined) return sandbox;
    throw new PodwrightError('E_NOT_FOUND', `find pod ${uid}: no sandbox`);
  }

  #readySandbox(uid: string, container: string): KnownSandbox {
    const sandbox = this.#sandbox(uid);
    if (sandbox.isReady) return sandbox;
    throw new PodwrightError('E_CLOSED', `start ${container}: the sandbox is dead`);
  }

  #running(uid: string, id: string): KnownContainer {
    this.#sandbox(uid);
    const container = this.cache.containers(uid).find((each) => each.id === id);
    if (container === undefined)
      throw new PodwrightError('E_NOT_FOUND', `find container ${id}: none in pod ${uid}`);
    if (container.state.state === 'running') return container;
    throw new PodwrightError('E_CLOSED', `use container ${container.name}: it is not running`);
  }
}
