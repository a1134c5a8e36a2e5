import { hostname } from 'node:os';
import type { Kind } from '#api/schema/kinds.ts';
import type { Clock } from '#base/clock.ts';
import { describeError, PodwrightError } from '#base/errors.ts';
import type { Logger } from '#base/log.ts';
import { identityHashOf } from '#control-plane/apiserver/identity.ts';
import type { MetricSample, ReadMetric } from '#control-plane/apiserver/serve/read-metric.ts';
import { readManifestFiles, stampOf } from './manifest-directory.ts';
import { noManifests, readManifests, type ManifestSet } from './manifest-set.ts';

/** Where a plugin has manifests beside what is in the API. */
export interface ManifestSource {
  /** The plugin's name. */
  readonly plugin: string;
  /** Absolute. */
  readonly directory: string;
  /** Those that may be there. */
  readonly kinds: readonly Kind[];
}

/** What the directories say now. */
export interface ManifestBook {
  /** Of a plugin: the same value until another is taken. */
  of(plugin: string): ManifestSet;
}

/** For who has none. */
export const emptyManifestBook: ManifestBook = { of: () => noManifests };

export interface KeptManifests extends ManifestBook, Disposable {
  readonly metrics: readonly ReadMetric[];
}

export interface ManifestParts {
  readonly clock: Clock;
  readonly logger: Logger;
}

/** How often a directory is looked at; only one that changed is read. */
const lookMs = 1_000;

/**
 * Reads manifests, and again whenever they have changed. A directory of which anything is wrong is told of in the log and counted, and what it
 * said before goes on: all of it is taken, or nothing.
 * @throws {E_INVALID} where anything is wrong at first
 */
export async function keepManifests(
  sources: readonly ManifestSource[],
  { clock, logger }: ManifestParts,
): Promise<KeptManifests> {
  const directories: Directory[] = [];
  for (const source of sources) directories.push(await Directory.open(source));
  let isOver = false;
  const lookAtAll = async (): Promise<void> => {
    for (const directory of directories) {
      const outcome = await directory.look(() => clock.now());
      if (isOver || outcome === undefined) continue;
      const { plugin, directory: path } = directory.source;
      if (outcome.error === undefined) logger.info({ plugin, path }, 'static manifests are taken');
      else
        logger.error(
          { plugin, path, error: outcome.error },
          'static manifests are wrong: what they said before stays',
        );
    }
  };
  const wait = (): Disposable =>
    clock.after(lookMs, () => {
      void lookAtAll().then(() => {
        if (!isOver) timer = wait();
      });
    });
  let timer: Disposable | undefined = directories.length === 0 ? undefined : wait();
  const byPlugin = new Map(directories.map((directory) => [directory.source.plugin, directory]));
  return {
    of: (plugin) => byPlugin.get(plugin)?.set ?? noManifests,
    metrics: metricsOf(directories),
    [Symbol.dispose]: () => {
      isOver = true;
      timer?.[Symbol.dispose]();
      timer = undefined;
    },
  };
}

type Status = 'success' | 'failure';

/** One directory and what was last taken of it. */
class Directory {
  readonly source: ManifestSource;
  set: ManifestSet = noManifests;
  /** How often it was taken again or refused, and when last, in milliseconds. */
  readonly reloads = new Map<Status, { readonly count: number; readonly lastMs: number }>();
  #stamp = '';
  #complaint = '';

  private constructor(source: ManifestSource) {
    this.source = source;
  }

  static async open(source: ManifestSource): Promise<Directory> {
    const opened = new Directory(source);
    try {
      opened.#stamp = await stampOf(source.directory);
      opened.set = await opened.#read();
    } catch (error) {
      throw new PodwrightError('E_INVALID', `plugin ${source.plugin}: ${describeError(error)}`, {
        cause: error,
      });
    }
    return opened;
  }

  /** What came of it; undefined where it says what it said. Never throws. */
  async look(now: () => number): Promise<{ readonly error?: string } | undefined> {
    try {
      const stamp = await stampOf(this.source.directory);
      if (stamp === this.#stamp) return undefined;
      this.#stamp = stamp;
      const set = await this.#read();
      this.#complaint = '';
      if (set.hash === this.set.hash) return undefined;
      this.set = set;
      this.#count('success', now());
      return {};
    } catch (error) {
      const text = describeError(error);
      if (text === this.#complaint) return undefined; // A directory that is away is said once.
      this.#complaint = text;
      this.#count('failure', now());
      return { error: text };
    }
  }

  async #read(): Promise<ManifestSet> {
    return readManifests(await readManifestFiles(this.source.directory), this.source.kinds);
  }

  #count(status: Status, lastMs: number): void {
    this.reloads.set(status, { count: (this.reloads.get(status)?.count ?? 0) + 1, lastMs });
  }
}

/** apiserver/pkg/admission/plugin/manifest/metrics. */
function metricsOf(directories: readonly Directory[]): readonly ReadMetric[] {
  const prefix = 'apiserver_manifest_admission_config_controller';
  const apiserver_id_hash = identityHashOf(hostname());
  const reloads = (valueOf: (of: { count: number; lastMs: number }) => number): readonly MetricSample[] =>
    directories.flatMap(({ source: { plugin }, reloads: counted }) =>
      [...counted].map(([status, each]) => ({
        labels: { apiserver_id_hash, plugin, status },
        value: valueOf(each),
      })),
    );
  return [
    {
      name: `${prefix}_automatic_reloads_total`,
      help: 'Changes of the static manifests of a plugin that were taken (success), and that were not (failure).',
      type: 'counter',
      labelNames: ['apiserver_id_hash', 'plugin', 'status'],
      read: () => reloads(({ count }) => count),
    },
    {
      name: `${prefix}_automatic_reload_last_timestamp_seconds`,
      help: 'When the static manifests of a plugin were last taken, or refused.',
      type: 'gauge',
      labelNames: ['apiserver_id_hash', 'plugin', 'status'],
      read: () => reloads(({ lastMs }) => lastMs / 1000),
    },
    {
      name: `${prefix}_last_config_info`,
      help: 'The static manifests that hold, by the hash of their files.',
      type: 'gauge',
      labelNames: ['apiserver_id_hash', 'hash', 'plugin'],
      read: () =>
        directories.map(({ source: { plugin }, set: { hash } }) => ({
          labels: { apiserver_id_hash, hash, plugin },
          value: 1,
        })),
    },
  ];
}
