/** The thread in which plugins of users run: it loads them, then answers questions one by one. */
import { pathToFileURL } from 'node:url';
import { parentPort, workerData } from 'node:worker_threads';
import type { Pod } from '#api/generated/objects.ts';
import { isObject } from '#api/wire/json.ts';
import { describeError, PodwrightError } from '#base/errors.ts';
import type { PluginAnswer, PluginNode, PluginQuestion, SchedulerPlugin } from './user-plugin.ts';

const scoreMax = 100;
const known = new Map<string, PluginNode>();
const loaded = loadAll();
loaded.catch(() => {}); // Told with each answer.

async function loadAll(): Promise<readonly SchedulerPlugin[]> {
  const files: unknown = workerData;
  if (!Array.isArray(files)) throw new PodwrightError('E_INVALID', 'load plugins: no list of files');
  return await Promise.all(files.map(String).map(load));
}

async function load(file: string): Promise<SchedulerPlugin> {
  try {
    const module: unknown = await import(pathToFileURL(file).href);
    const plugin = isObject(module) ? (module['plugin'] as unknown) : undefined;
    if (isPlugin(plugin)) return plugin;
  } catch (error) {
    throw new PodwrightError('E_INVALID', `load ${file}: ${describeError(error)}`, { cause: error });
  }
  throw new PodwrightError('E_INVALID', `load ${file}: export a SchedulerPlugin with a name as plugin`);
}

function isPlugin(value: unknown): value is SchedulerPlugin {
  if (!isObject(value) || typeof value['name'] !== 'string') return false;
  const members: readonly unknown[] = [value['preFilter'], value['filter'], value['score']];
  return members.every((member) => member === undefined || typeof member === 'function');
}

async function answer(question: PluginQuestion): Promise<PluginAnswer> {
  const { id, kind, pod, names, changed } = question;
  for (const [name, on] of changed) known.set(name, on);
  try {
    const plugins = await loaded;
    const nodes = names.map((name) => known.get(name)).filter((on) => on !== undefined);
    return kind === 'filter'
      ? { id, refused: refusals(plugins, pod, nodes) }
      : { id, scores: nodes.map((on) => scoreOf(plugins, pod, on)) };
  } catch (error) {
    return { id, error: describeError(error) };
  }
}

function refusals(
  plugins: readonly SchedulerPlugin[],
  pod: Pod,
  nodes: readonly PluginNode[],
): readonly (string | undefined)[] {
  for (const plugin of plugins) {
    const why = asking(plugin, () => plugin.preFilter?.(pod));
    if (why !== undefined) return nodes.map(() => String(why));
  }
  return nodes.map((on) => {
    for (const plugin of plugins) {
      const why = asking(plugin, () => plugin.filter?.(pod, on));
      if (why !== undefined) return String(why);
    }
    return undefined;
  });
}

function scoreOf(plugins: readonly SchedulerPlugin[], pod: Pod, on: PluginNode): number {
  let sum = 0;
  for (const plugin of plugins) {
    const score = asking(plugin, () => plugin.score?.(pod, on));
    if (score === undefined) continue;
    if (typeof score !== 'number' || !(score >= 0 && score <= scoreMax))
      throw new PodwrightError(
        'E_INVALID',
        `plugin ${plugin.name}: ${String(score)} is no score of 0 to 100`,
      );
    sum += score * (plugin.weight ?? 1);
  }
  return sum;
}

function asking<T>(plugin: SchedulerPlugin, ask: () => T): T {
  try {
    return ask();
  } catch (error) {
    throw new PodwrightError('E_INVALID', `plugin ${plugin.name}: ${describeError(error)}`, { cause: error });
  }
}

parentPort?.on('message', (question: PluginQuestion) => {
  const tell = (told: PluginAnswer): void => {
    // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a thread, not a window
    parentPort?.postMessage(told);
  };
  void answer(question).then(tell);
});
