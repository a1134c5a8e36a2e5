/** The static pods of a node: a directory of manifests, followed. */
import { watch, type FSWatcher } from 'node:fs';
import { readdir, readFile, stat } from 'node:fs/promises';
import path from 'node:path';
import type { Clock } from '#base/clock.ts';
import { describeError, errnoOf, PodwrightError } from '#base/errors.ts';
import type { Logger } from '#base/log.ts';
import type { Pod, PodStatus } from '#api/generated/objects.ts';
import { equalJson } from '#api/wire/json.ts';
import type { Change } from '#client/informer.ts';
import { fullNameOf } from './static-pod.ts';
import type { Manifest, staticPodOf } from './static-pod-of.ts';

export interface StaticPodsOptions {
  /** A directory, or one manifest. It need not be there yet. */
  readonly path: string;
  readonly nodeName: string;
  /** How often it is read anyway: not every file system tells of changes. */
  readonly checkMs: number;
  /** Whether nothing is left of a pod: until then no other of its name begins. */
  readonly isGone: (uid: string) => boolean;
  readonly clock: Clock;
  readonly logger: Logger;
}

export interface StaticPods extends AsyncDisposable {
  list(): readonly Pod[];
  /** Told at once of all that are there, then of each change. What goes has the time when it began to end. */
  onChange(handler: (change: Change<Pod>) => void): Disposable;
  /** What the API has of a pod's status: with this the kubelet goes on. */
  setStatus(uid: string, status: PodStatus): void;
  /** Reads the manifests now. */
  look(): Promise<void>;
}

/** Of one directory; bytes of one. */
const manifestsMax = 256;
const manifestBytesMax = 1_048_576;
/** Editors write a file in several steps. */
const settleMs = 50;

interface KnownFile {
  readonly text: string;
  /** What it said last that was a pod. */
  readonly pod: Pod | undefined;
}

export async function startStaticPods(options: StaticPodsOptions): Promise<StaticPods> {
  const pods = new FollowedPods(options);
  await pods.look();
  pods.follow();
  return pods;
}

class FollowedPods implements StaticPods {
  readonly #options: StaticPodsOptions;
  readonly #files = new Map<string, KnownFile>();
  /** By full name. */
  readonly #current = new Map<string, Pod>();
  /** By full name: the uid of one that is ending. */
  readonly #leaving = new Map<string, string>();
  readonly #handlers = new Set<(change: Change<Pod>) => void>();
  readonly #abort = new AbortController();
  #wake = Promise.withResolvers<void>();
  #watcher: FSWatcher | undefined;
  #told = '';

  constructor(options: StaticPodsOptions) {
    this.#options = options;
  }

  list(): readonly Pod[] {
    return [...this.#current.values()];
  }

  onChange(handler: (change: Change<Pod>) => void): Disposable {
    this.#handlers.add(handler);
    for (const pod of this.#current.values()) handler({ key: fullNameOf(pod), old: undefined, current: pod });
    return { [Symbol.dispose]: () => void this.#handlers.delete(handler) };
  }

  setStatus(uid: string, status: PodStatus): void {
    const pod = this.list().find(({ metadata }) => metadata?.uid === uid);
    if (pod === undefined || equalJson(pod.status, status)) return;
    const current = { ...pod, status };
    this.#current.set(fullNameOf(pod), current);
    this.#tell(pod, current);
  }

  async look(): Promise<void> {
    const { logger } = this.#options;
    try {
      await this.#readFiles();
      this.#told = '';
    } catch (error) {
      // What was there goes on: a directory that cannot be read is not empty.
      const problem = describeError(error);
      if (problem !== this.#told)
        logger.error({ path: this.#options.path, error: problem }, 'static pods not read');
      this.#told = problem;
    }
    this.#settle();
  }

  async #readFiles(): Promise<void> {
    const manifests = await readManifests(this.#options.path);
    const there = new Set(manifests.map(({ file }) => file));
    for (const file of [...this.#files.keys()]) if (!there.has(file)) this.#files.delete(file);
    if (manifests.length === 0) return;
    const { staticPodOf } = await import('./static-pod-of.ts'); // A node without any does not load the rules of kinds.
    for (const manifest of manifests) this.#readOne(manifest, staticPodOf);
  }

  /** One that is wrong leaves what it said before. */
  #readOne(manifest: Manifest, read: typeof staticPodOf): void {
    const { nodeName, clock, logger } = this.#options;
    const { file, text } = manifest;
    const known = this.#files.get(file);
    if (known?.text === text) return;
    try {
      this.#files.set(file, { text, pod: read(manifest, nodeName, clock.now()) });
    } catch (error) {
      this.#files.set(file, { text, pod: known?.pod });
      logger.error({ file, error: describeError(error) }, 'not a static pod');
    }
  }

  /** Brings what is told there to what the files say. */
  #settle(): void {
    const { isGone, clock, logger } = this.#options;
    const wanted = new Map<string, Pod>();
    for (const [file, { pod }] of [...this.#files].toSorted(([a], [b]) => (a < b ? -1 : 1))) {
      if (pod === undefined) continue;
      if (wanted.has(fullNameOf(pod)))
        logger.error({ file, pod: fullNameOf(pod) }, 'another file has this pod');
      else wanted.set(fullNameOf(pod), pod);
    }
    for (const [name, pod] of [...this.#current]) {
      if (wanted.get(name)?.metadata?.uid === pod.metadata?.uid) continue;
      this.#current.delete(name);
      this.#leaving.set(name, pod.metadata?.uid ?? '');
      this.#tell(endingAt(pod, clock.now()), undefined);
    }
    for (const [name, uid] of [...this.#leaving]) if (isGone(uid)) this.#leaving.delete(name);
    for (const [name, pod] of wanted) {
      if (this.#current.has(name) || this.#leaving.has(name)) continue;
      this.#current.set(name, pod);
      this.#tell(undefined, pod);
    }
  }

  #tell(old: Pod | undefined, current: Pod | undefined): void {
    const key = fullNameOf(current ?? old ?? {});
    for (const handler of this.#handlers) handler({ key, old, current });
  }

  /** By inotify where there is something to watch, and every so often. */
  follow(): void {
    const { signal } = this.#abort;
    const { clock, checkMs } = this.#options;
    const run = async (): Promise<void> => {
      this.#watch();
      for (;;) {
        await Promise.race([
          clock.sleep(this.#leaving.size > 0 ? 1000 : checkMs, signal),
          this.#wake.promise,
        ]);
        await clock.sleep(settleMs, signal);
        // Before the look: what changes while it lasts is looked at by the next.
        this.#wake = Promise.withResolvers<void>();
        this.#watch();
        await this.look();
      }
    };
    run().catch(() => undefined); // Ends by abort only.
  }

  /** What is not there yet, or cannot be watched, is looked at every so often. */
  #watch(): void {
    if (this.#watcher !== undefined) return;
    try {
      const watcher = watch(this.#options.path, { persistent: false }, () => this.#wake.resolve());
      const forget = (): void => {
        if (this.#watcher === watcher) this.#watcher = undefined;
      };
      watcher.on('error', forget).on('close', forget);
      this.#watcher = watcher;
    } catch (error) {
      if (errnoOf(error) === undefined) throw error;
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#watcher?.close();
    this.#abort.abort(new DOMException('kubelet stopped', 'AbortError'));
    this.#handlers.clear();
  }
}

/** As the API shows a pod that has been asked to end. */
function endingAt(pod: Pod, nowMs: number): Pod {
  const seconds = pod.spec?.terminationGracePeriodSeconds ?? 30;
  const deletionTimestamp = new Date(nowMs + seconds * 1000).toISOString();
  return { ...pod, metadata: { ...pod.metadata, deletionTimestamp, deletionGracePeriodSeconds: seconds } };
}

/** Files whose names begin with a dot are nobody's; none where there is no such place. @throws {E_LIMIT} */
async function readManifests(place: string): Promise<readonly Manifest[]> {
  const manifests: Manifest[] = [];
  for (const file of await filesOf(place)) {
    const status = await stat(file).catch(() => undefined); // A link to nothing, or gone meanwhile.
    if (status?.isFile() !== true) continue;
    if (status.size > manifestBytesMax)
      throw new PodwrightError('E_LIMIT', `read ${file}: ${status.size} bytes, at most ${manifestBytesMax}`);
    manifests.push({ file, text: await readFile(file, 'utf8') });
  }
  return manifests;
}

async function filesOf(place: string): Promise<readonly string[]> {
  try {
    const names = (await readdir(place)).filter((name) => !name.startsWith('.')).toSorted();
    if (names.length > manifestsMax)
      throw new PodwrightError('E_LIMIT', `read ${place}: ${names.length} files, at most ${manifestsMax}`);
    return names.map((name) => path.join(place, name));
  } catch (error) {
    if (errnoOf(error) === 'ENOTDIR') return [place];
    if (errnoOf(error) === 'ENOENT') return [];
    throw error;
  }
}
