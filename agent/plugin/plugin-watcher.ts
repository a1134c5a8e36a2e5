/**
 * Registration of plugins, as kubelets have it (k8s.io/kubelet/pkg/apis/pluginregistration/v1): whoever makes a socket in a directory is
 * asked what it is, handed to the handler of its type, and told how that went; when the socket goes, or another is made in its place, it
 * is deregistered.
 *
 *     directory ─▶ look ─▶ found: path → identity ┐
 *                                                 ├─▶ by path: deregister what is not what is found, then register
 *                          held:  path → plugin   ┘
 */
import { mkdir } from 'node:fs/promises';
import { watch, type FSWatcher } from 'node:fs';
import { isAbsolute } from 'node:path';
import type { Clock } from '#base/clock.ts';
import { describeError, errnoOf, PodwrightError } from '#base/errors.ts';
import { KeyedQueue } from '#base/keyed-queue.ts';
import type { Logger } from '#base/log.ts';
import { loadContract } from '#proto/load.ts';
import type { PluginInfo } from '#proto/pluginregistration/api.ts';
import { createUnixClient, type UnixClient } from '#proto/unix-client.ts';
import { findSockets } from './find-sockets.ts';
import type { Plugin, PluginHandler, PluginHandlers } from './plugin.ts';

export interface PluginWatcherOptions {
  /** Made if it is not there: kubelet's `plugins_registry`. */
  readonly directory: string;
  readonly handlers: PluginHandlers;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Of each question to a plugin. Default: the kubelet's second. */
  readonly timeoutMs?: number;
}

/** Disposing it deregisters nobody: plugins go on, for the next one to ask. */
export interface PluginWatcher extends AsyncDisposable {
  /** Those that are registered, by path of their socket. */
  registered(): readonly Plugin[];
  /** Looks at the directory now. */
  look(): Promise<void>;
}

const timeoutMsDefault = 1000;
/** Directories are looked at anyway: watches of directories may be used up. */
const checkMs = 10_000;
const settleMs = 20;
/** A directory that is made and removed all the time is for the next look. */
const roundsMax = 3;
/** The kubelet's (goroutinemap/exponentialbackoff). */
const backoff = { initialMs: 500, factor: 2, maxMs: 122_000 };
const concurrencyMax = 8;
/** Characters of what a plugin says of itself, and how many versions. */
const textMax = 1024;
const versionsMax = 64;

/** @throws what mkdir(2) says of the directory */
export async function startPluginWatcher(options: PluginWatcherOptions): Promise<PluginWatcher> {
  await mkdir(options.directory, { recursive: true, mode: 0o750 });
  const watcher = new DirectoryWatcher(options);
  await watcher.look();
  watcher.follow();
  return watcher;
}

interface Held {
  readonly plugin: Plugin;
  readonly handler: PluginHandler;
  /** Whether it was told that it is registered. */
  isRegistered: boolean;
}

class DirectoryWatcher implements PluginWatcher {
  readonly #options: PluginWatcherOptions;
  readonly #queue: KeyedQueue<string>;
  readonly #held = new Map<string, Held>();
  readonly #watches = new Map<string, FSWatcher>();
  readonly #abort = new AbortController();
  #found: ReadonlyMap<string, string> = new Map();
  #wake = Promise.withResolvers<void>();
  #following: Promise<void> = Promise.resolve();
  #told = '';

  constructor(options: PluginWatcherOptions) {
    this.#options = options;
    const { clock, logger } = options;
    this.#queue = new KeyedQueue({
      clock,
      concurrencyMax,
      backoff,
      work: (socket, signal) => this.#settle(socket, signal),
      onError: (socket, error, retryMs) =>
        logger.warn({ socket, error: describeError(error), retryMs }, 'plugin not registered'),
    });
  }

  registered(): readonly Plugin[] {
    return [...this.#held.values()].flatMap(({ plugin, isRegistered }) => (isRegistered ? [plugin] : []));
  }

  async look(): Promise<void> {
    try {
      let found = await findSockets(this.#options.directory);
      // What came between the look at a directory and its first watch, no watch tells of.
      for (let round = 0; this.#watchAll(found.directories) && round < roundsMax; round++)
        found = await findSockets(this.#options.directory);
      const { identities } = found;
      const before = this.#found;
      this.#found = identities;
      this.#told = '';
      for (const socket of new Set([...before.keys(), ...identities.keys()])) {
        if (before.get(socket) === identities.get(socket)) continue;
        this.#queue.forget(socket);
        this.#queue.add(socket);
      }
    } catch (error) {
      // Who is registered stays: a directory that cannot be read is not empty.
      const problem = describeError(error);
      const { directory: path, logger } = this.#options;
      if (problem !== this.#told) logger.error({ path, error: problem }, 'plugins not looked for');
      this.#told = problem;
    }
  }

  follow(): void {
    this.#following = this.#run();
  }

  async #run(): Promise<void> {
    const { clock } = this.#options;
    const { signal } = this.#abort;
    while (!signal.aborted) {
      using _due = clock.after(checkMs, () => this.#wake.resolve());
      await this.#wake.promise;
      this.#wake = Promise.withResolvers();
      if (signal.aborted) return;
      await clock.sleep(settleMs, signal).catch(() => undefined);
      await this.look();
    }
  }

  /** Whether one is watched that was not before. */
  #watchAll(directories: readonly string[]): boolean {
    const wanted = new Set(directories);
    for (const [directory, watcher] of this.#watches) {
      if (wanted.has(directory)) continue;
      this.#watches.delete(directory);
      watcher.close();
    }
    return directories.map((directory) => this.#watch(directory)).includes(true);
  }

  #watch(directory: string): boolean {
    if (this.#watches.has(directory) || this.#abort.signal.aborted) return false;
    try {
      const watcher = watch(directory, { persistent: false }, () => this.#wake.resolve());
      const forget = (): void => {
        if (this.#watches.get(directory) === watcher) this.#watches.delete(directory);
      };
      watcher.on('error', forget).on('close', forget);
      this.#watches.set(directory, watcher);
      return true;
    } catch (error) {
      if (errnoOf(error) === undefined) throw error;
      return false;
    }
  }

  /** Brings what is held of a path there to what is found. */
  async #settle(socket: string, signal: AbortSignal): Promise<void> {
    const identity = this.#found.get(socket);
    const held = this.#held.get(socket);
    if (held !== undefined && (held.plugin.identity !== identity || !held.isRegistered)) {
      await held.handler.deregister(held.plugin);
      this.#held.delete(socket);
      const { type, name } = held.plugin;
      if (held.isRegistered) this.#options.logger.info({ socket, type, name }, 'plugin deregistered');
    }
    if (identity !== undefined && !this.#held.has(socket)) await this.#register(socket, identity, signal);
  }

  async #register(socket: string, identity: string, signal: AbortSignal): Promise<void> {
    const { timeoutMs = timeoutMsDefault, logger } = this.#options;
    const contract = await loadContract('pluginregistration-v1');
    const methods = contract.services['pluginregistration.Registration'];
    using client = createUnixClient(contract, { endpoint: socket, timeoutMs, messageBytesMax: 65_536 });

    const notify = (client: UnixClient, error: string): Promise<unknown> =>
      client.call(
        methods.NotifyRegistrationStatus,
        { plugin_registered: error === '', error },
        { timeoutMs, signal },
      );
    const refuse = async (why: string, cause?: unknown): Promise<never> => {
      // The client closes with this function: whoever refuses waits. It may have gone: why it was refused is what counts.
      await notify(client, why).catch(() => undefined);
      throw new PodwrightError('E_INVALID', `register plugin at ${socket}: ${why}`, { cause });
    };
    const info = await client.call(methods.GetInfo, {}, { timeoutMs, signal });
    const handler = this.#handlerOf(info.type);
    if (handler === undefined)
      return await refuse(
        `no handler registered for plugin type: ${info.type.slice(0, textMax)} at socket ${socket}`,
      );
    const plugin = pluginOf(info, socket, identity);
    try {
      refuseInfo(plugin);
      handler.validate(plugin);
    } catch (error) {
      return await refuse(`plugin validation failed with err: ${describeError(error)}`, error);
    }
    // Before it is handed over: a socket that goes meanwhile is deregistered after.
    const held: Held = { plugin, handler, isRegistered: false };
    this.#held.set(socket, held);
    try {
      await handler.register(plugin, signal);
    } catch (error) {
      return await refuse(`plugin registration failed with err: ${describeError(error)}`, error);
    }
    await notify(client, '');
    held.isRegistered = true;
    logger.info({ socket, type: plugin.type, name: plugin.name }, 'plugin registered');
  }

  #handlerOf(type: string): PluginHandler | undefined {
    return Object.hasOwn(this.#options.handlers, type) ? this.#options.handlers[type] : undefined;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#abort.abort(new DOMException('kubelet stopped', 'AbortError'));
    this.#wake.resolve();
    for (const watcher of this.#watches.values()) watcher.close();
    await Promise.all([this.#queue[Symbol.asyncDispose](), this.#following]);
  }
}

/** One that names no endpoint serves where it registers. */
function pluginOf(info: PluginInfo, socket: string, identity: string): Plugin {
  const endpoint = info.endpoint === '' ? socket : info.endpoint.replace(/^unix:(\/\/)?/, '');
  return { type: info.type, name: info.name, endpoint, versions: info.supported_versions, socket, identity };
}

function refuseInfo({ name, endpoint, versions }: Plugin): void {
  const problems = [
    ...(name === '' ? ['it has no name'] : []),
    ...(isAbsolute(endpoint) ? [] : [`endpoint ${endpoint.slice(0, textMax)} is no absolute path`]),
    ...([name, endpoint, ...versions].some((text) => text.length > textMax)
      ? [`name, endpoint and versions have ${textMax} characters at most`]
      : []),
    ...(versions.length > versionsMax ? [`it lists more than ${versionsMax} versions`] : []),
  ];
  if (problems.length > 0) throw new PodwrightError('E_INVALID', problems.join('; '));
}
