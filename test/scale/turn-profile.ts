/** What the longest turns of the event loop were made of: for whoever mends them (`npm run scale -- --rows NAME --turns`). */
import { Session, type Profiler } from 'node:inspector/promises';

/** From when to when a turn was, in microseconds of CLOCK_MONOTONIC, and what it took of the processor. */
export interface Turn {
  readonly startUs: number;
  readonly endUs: number;
  readonly processorMs: number;
}

const sampleUs = 200;
/** A thread that waits for the processor is not sampled: what a sample stands for is no longer than this. */
const weightUsMax = 3 * sampleUs;
const shownTurns = 5;
const shownFunctions = 18;
const shownFolders = 40;

/** Samples this thread from now on. */
export async function sampleThread(): Promise<() => Promise<Profiler.Profile>> {
  const session = new Session();
  session.connect();
  await session.post('Profiler.enable');
  await session.post('Profiler.setSamplingInterval', { interval: sampleUs });
  await session.post('Profiler.start');
  return async () => {
    const { profile } = await session.post('Profiler.stop');
    session.disconnect();
    return profile;
  };
}

/** The turns that took longest. Pure. */
export function renderTurns(profile: Profiler.Profile, turns: readonly Turn[]): string {
  const longest = turns.toSorted((a, b) => b.processorMs - a.processorMs).slice(0, shownTurns);
  return longest.map((turn) => renderTurn(profile, turn)).join('\n');
}

/** Functions by the time in them and in what they called. Pure. */
export function renderTurn(profile: Profiler.Profile, turn: Turn): string {
  const { nodes, callers } = treeOf(profile);
  const self = new Map<string, number>();
  const total = new Map<string, number>();
  let atUs = profile.startTime;
  for (const [index, deltaUs] of (profile.timeDeltas ?? []).entries()) {
    atUs += deltaUs;
    if (atUs < turn.startUs || atUs > turn.endUs) continue;
    const weight = Math.min(deltaUs, weightUsMax);
    const stack = new Set<string>();
    for (let id = profile.samples?.[index]; id !== undefined; id = callers.get(id))
      stack.add(nameOf(nodes.get(id)));
    for (const [depth, name] of [...stack].entries()) {
      if (depth === 0) self.set(name, (self.get(name) ?? 0) + weight);
      total.set(name, (total.get(name) ?? 0) + weight);
    }
  }
  const lines = [...total]
    .toSorted((a, b) => b[1] - a[1])
    .slice(0, shownFunctions)
    .map(([name, us]) => `  ${ms(us)}  ${ms(self.get(name) ?? 0)}  ${name}`);
  return [`turn of ${turn.processorMs.toFixed(1)} ms: with what was called, alone`, ...lines].join('\n');
}

/** Which folder's code the time went to: that of the function, or of whoever called what is Node's. Pure. */
export function renderFolders(profile: Profiler.Profile, operations: number): string {
  const { nodes, callers } = treeOf(profile);
  const folders = new Map<string, number>();
  const functions = new Map<string, number>();
  const add = (to: Map<string, number>, name: string, us: number): void =>
    void to.set(name, (to.get(name) ?? 0) + us);
  for (const [index, deltaUs] of (profile.timeDeltas ?? []).entries()) {
    const sampled = profile.samples?.[index];
    const { functionName = '' } = nodes.get(sampled ?? -1)?.callFrame ?? {};
    if (notWorking.has(functionName)) continue;
    const us = Math.min(deltaUs, weightUsMax);
    let id = sampled;
    while (id !== undefined && folderOf(nodes.get(id)) === undefined) id = callers.get(id);
    const garbage = functionName === '(garbage collector)' ? functionName : undefined;
    add(folders, garbage ?? folderOf(nodes.get(id ?? -1)) ?? '(Node)', us);
    add(functions, nameOf(nodes.get(sampled ?? -1)), us);
  }
  const lines = (of: Map<string, number>): readonly string[] =>
    [...of]
      .toSorted((a, b) => b[1] - a[1])
      .slice(0, shownFolders)
      .map(([name, us]) => `  ${(us / operations).toFixed(1).padStart(8)}  ${name}`);
  const all = [...folders.values()].reduce((sum, us) => sum + us, 0);
  return [
    `µs per operation, ${(all / operations).toFixed(1)} in all: by folder`,
    ...lines(folders),
    'by function, alone',
    ...lines(functions),
  ].join('\n');
}

const notWorking: ReadonlySet<string> = new Set(['(idle)', '(program)', '(root)']);
const root = new URL('../..', import.meta.url).href;

function folderOf(node: Profiler.ProfileNode | undefined): string | undefined {
  const { url = '' } = node?.callFrame ?? {};
  if (!url.startsWith(root)) return undefined;
  return url.slice(root.length).split('/').slice(0, -1).join('/');
}

function treeOf(profile: Profiler.Profile): {
  readonly nodes: ReadonlyMap<number, Profiler.ProfileNode>;
  readonly callers: ReadonlyMap<number, number>;
} {
  return {
    nodes: new Map(profile.nodes.map((node) => [node.id, node])),
    callers: new Map(
      profile.nodes.flatMap(({ id, children = [] }) => children.map((child) => [child, id] as const)),
    ),
  };
}

function ms(us: number): string {
  return (us / 1000).toFixed(1).padStart(6);
}

function nameOf(node: Profiler.ProfileNode | undefined): string {
  const { functionName = '', url = '', lineNumber = 0 } = node?.callFrame ?? {};
  const file = url.split('/').slice(-2).join('/');
  return `${functionName === '' ? '(anonymous)' : functionName}${file === '' ? '' : ` ${file}:${lineNumber + 1}`}`;
}
