import type { Cost } from './row.ts';
import { renderFolders, renderTurns, sampleThread, type Turn } from './turn-profile.ts';

/** Set by `--turns`: what the longest turns were made of is written as well, which costs some. */
export const turnsVariable = 'PODWRIGHT_SCALE_TURNS';
/** Set by `--where`: which folders' code the time went to is written as well. */
export const whereVariable = 'PODWRIGHT_SCALE_WHERE';

/**
 * Measures work by the processor time of this thread, in all and turn by turn of the event loop, and of all threads together: what others do on the machine does
 * not show, as it would in the time on the wall.
 */
export async function measureTurns(
  work: () => Promise<unknown>,
  operations = 1,
): Promise<Omit<Cost, 'operations' | 'also'>> {
  const turns: Turn[] = [];
  const isAsked = [turnsVariable, whereVariable].some((name) => process.env[name] !== undefined);
  const sampled = isAsked ? await sampleThread() : undefined;
  const [startMs, startOfAll] = [threadMs(), process.cpuUsage()];
  let [lastMs, lastUs, longestTurnMs, isOver] = [startMs, monotonicUs(), 0, false];
  const look = (): void => {
    const [nowMs, nowUs] = [threadMs(), monotonicUs()];
    longestTurnMs = Math.max(longestTurnMs, nowMs - lastMs);
    if (sampled !== undefined) turns.push({ startUs: lastUs, endUs: nowUs, processorMs: nowMs - lastMs });
    [lastMs, lastUs] = [nowMs, nowUs];
    // Without a reference it runs in each turn that there is, and is no reason for one.
    if (!isOver) setImmediate(look).unref();
  };
  setImmediate(look).unref();
  await work();
  isOver = true;
  look();
  const { user, system } = process.cpuUsage(startOfAll);
  if (sampled !== undefined) {
    const profile = await sampled();
    if (process.env[turnsVariable] !== undefined) console.log(renderTurns(profile, turns));
    if (process.env[whereVariable] !== undefined) console.log(renderFolders(profile, operations));
  }
  return { processorMs: lastMs - startMs, allThreadsMs: (user + system) / 1000, longestTurnMs };
}

/** What this thread has taken of the processor. */
export function threadMs(): number {
  const { user, system } = process.threadCpuUsage();
  return (user + system) / 1000;
}

function monotonicUs(): number {
  return Number(process.hrtime.bigint() / 1000n);
}
