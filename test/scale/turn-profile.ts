/** What the longest turns of the event loop were made of: for whoever mends them (`npm run scale -- --rows NAME --turns`). */
import { Session, type Profiler } from 'node:inspector/promises';

/** From when to when a turn was, in microseconds of CLOCK_MONOTONIC, and what it took of the processor. */
export interface Turn {
  readonly startUs: number;
  readonly endUs: number;
  readonly processorMs: number;
}

const sampleUs = 100;
/** A thread that waits for the processor is not sampled: what a sample stands for is no longer than this. */
const weightUsMax = 3 * sampleUs;
const shownTurns = 5;
const shownFunctions = 18;

/** Samples this thread from now on; the text is of the turns that took longest. */
export async function profileTurns(): Promise<(turns: readonly Turn[]) => Promise<string>> {
  const session = new Session();
  session.connect();
  await session.post('Profiler.enable');
  await session.post('Profiler.setSamplingInterval', { interval: sampleUs });
  await session.post('Profiler.start');
  return async (turns) => {
    const { profile } = await session.post('Profiler.stop');
    session.disconnect();
    const longest = turns.toSorted((a, b) => b.processorMs - a.processorMs).slice(0, shownTurns);
    return longest.map((turn) => renderTurn(profile, turn)).join('\n');
  };
}

/** Functions by the time in them and in what they called. Pure. */
export function renderTurn(profile: Profiler.Profile, turn: Turn): string {
  const nodes = new Map(profile.nodes.map((node) => [node.id, node]));
  const callers = new Map(
    profile.nodes.flatMap(({ id, children = [] }) => children.map((child) => [child, id])),
  );
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

function ms(us: number): string {
  return (us / 1000).toFixed(1).padStart(6);
}

function nameOf(node: Profiler.ProfileNode | undefined): string {
  const { functionName = '', url = '', lineNumber = 0 } = node?.callFrame ?? {};
  const file = url.split('/').slice(-2).join('/');
  return `${functionName === '' ? '(anonymous)' : functionName}${file === '' ? '' : ` ${file}:${lineNumber + 1}`}`;
}
