import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import type { Pod } from '#api/generated/objects.ts';
import type { Clock } from '#base/clock.ts';
import { describeError, PodwrightError } from '#base/errors.ts';
import type { NodeInfo } from '#control-plane/scheduler/snapshot.ts';
import type { Outsider } from './outsider.ts';
import type { PluginAnswer, PluginQuestion } from './user-plugin.ts';

const pluginsMax = 64;
/** Of one question: of a pod and all of its nodes. The first waits for the modules, too. */
const answerMsMax = 1000;
const loadMsMax = 10_000;
const heapMbMax = 256;

/** The modules of a folder, by name. @throws {E_INVALID} when it cannot be read, or has none, or too many */
export function listPlugins(directory: string): readonly string[] {
  let names: readonly string[];
  try {
    names = readdirSync(directory);
  } catch (error) {
    throw new PodwrightError('E_INVALID', `read ${directory}: ${describeError(error)}`);
  }
  const files = names
    .filter((name) => /\.m?[jt]s$/.test(name) && !/\.(test|d)\.m?[jt]s$/.test(name))
    .toSorted();
  if (files.length === 0)
    throw new PodwrightError(
      'E_INVALID',
      `read ${directory}: no plugins: put NAME.ts there, which exports plugin`,
    );
  if (files.length > pluginsMax)
    throw new PodwrightError(
      'E_INVALID',
      `read ${directory}: ${files.length} plugins, more than ${pluginsMax}`,
    );
  return files.map((name) => join(directory, name));
}

/** A thread with plugins of users. One that does not answer is ended, and another begun for the next question. */
export function createPluginHost(files: readonly string[], clock: Clock): Outsider {
  return new Host(files, clock);
}

interface Thread {
  readonly worker: Worker;
  /** What it knows of the nodes. */
  readonly known: Map<string, NodeInfo>;
  readonly waiting: Map<number, PromiseWithResolvers<PluginAnswer>>;
  hasAnswered: boolean;
}

class Host implements Outsider {
  readonly name = 'plugins of --scheduler-plugins';
  readonly isIgnorable = false;
  readonly #files: readonly string[];
  readonly #clock: Clock;
  #thread: Thread | undefined;
  #nextId = 0;

  constructor(files: readonly string[], clock: Clock) {
    this.#files = files;
    this.#clock = clock;
  }

  isInterestedIn(): boolean {
    return true;
  }

  readonly filter: NonNullable<Outsider['filter']> = async (pod, nodes) => {
    const { refused = [] } = await this.#ask('filter', pod, nodes);
    const why = nodes.map(({ name }, index) => ({ name, reason: refused[index] }));
    return {
      passed: new Set(why.filter(({ reason }) => reason === undefined).map(({ name }) => name)),
      refused: new Map(
        why.flatMap(({ name, reason }) =>
          reason === undefined ? [] : [[name, { reason, isHelpedByEviction: false }] as const],
        ),
      ),
    };
  };

  readonly prioritize: NonNullable<Outsider['prioritize']> = async (pod, nodes) => {
    const { scores = [] } = await this.#ask('score', pod, nodes);
    return new Map(nodes.map(({ name }, index) => [name, scores[index] ?? 0]));
  };

  [Symbol.dispose](): void {
    this.#end('the scheduler stops');
  }

  async #ask(kind: PluginQuestion['kind'], pod: Pod, nodes: readonly NodeInfo[]): Promise<PluginAnswer> {
    const thread = (this.#thread ??= this.#begin());
    const id = this.#nextId++;
    const changed = nodes.filter((info) => thread.known.get(info.name) !== info);
    for (const info of changed) thread.known.set(info.name, info);
    const told = Promise.withResolvers<PluginAnswer>();
    thread.waiting.set(id, told);
    const msMax = thread.hasAnswered ? answerMsMax : loadMsMax;
    using _timer = this.#clock.after(msMax, () => this.#end(`no answer in ${msMax / 1000} s`));

    const question: PluginQuestion = {
      ...{ id, kind, pod, names: nodes.map(({ name }) => name) },
      changed: changed.map(({ name, node, pods }) => [name, { node, pods: [...pods.values()] }] as const),
    };
    thread.worker.postMessage(question, []);
    const answer = await told.promise;
    if (answer.error !== undefined) throw new PodwrightError('E_INVALID', answer.error);
    return answer;
  }

  #begin(): Thread {
    const worker = new Worker(new URL('./plugin-thread.ts', import.meta.url), {
      workerData: this.#files,
      resourceLimits: { maxOldGenerationSizeMb: heapMbMax },
    });
    worker.unref();
    const thread: Thread = { worker, known: new Map(), waiting: new Map(), hasAnswered: false };
    worker.on('message', (answer: PluginAnswer) => {
      thread.hasAnswered = true;
      thread.waiting.get(answer.id)?.resolve(answer);
      thread.waiting.delete(answer.id);
    });
    const end = (why: string): void => {
      if (this.#thread === thread) this.#end(why);
    };
    worker.on('error', (error) => end(describeError(error)));
    worker.on('exit', () => end('the thread ended'));
    return thread;
  }

  #end(why: string): void {
    const thread = this.#thread;
    this.#thread = undefined;
    if (thread === undefined) return;
    for (const told of thread.waiting.values()) told.reject(new PodwrightError('E_CONNECTION', why));
    void thread.worker.terminate();
  }
}
