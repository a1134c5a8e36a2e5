import type { Cost } from './row.ts';
import { profileTurns, type Turn } from './turn-profile.ts';

/** Set by `--turns`: what the longest turns were made of is written as well, which costs some. */
export const turnsVariable = 'PODWRIGHT_SCALE_TURNS';

/**
 * Measures work by the processor time of this thread, in all and turn by turn of the event loop, and of all threads together: what others do on the machine does
 * not show, as it would in the time on the wall.
 */
export async function measureTurns(work: () => Promise<unknown>): Promise<Omit<Cost, 'operations' | 'also'>> {
  const turns: Turn[] = [];
  const rendered = process.env[turnsVariable] === undefined ? undefined : await profileTurns();
  const [startMs, startOfAll] = [threadMs(), process.cpuUsage()];
  let [lastMs, lastUs, longestTurnMs, isOver] = [startMs, monotonicUs(), 0, false];
  const look = (): void => {
    const [nowMs, nowUs] = [threadMs(), monotonicUs()];
    longestTurnMs = Math.max(longestTurnMs, nowMs - lastMs);
    if (rendered !== undefined) turns.push({ startUs: lastUs, endUs: nowUs, processorMs: nowMs - lastMs });
    [lastMs, lastUs] = [nowMs, nowUs];
    // Without a reference it runs in each turn that there is, and is no reason for one.
    if (!isOver) setImmediate(look).unref();
  };
  setImmediate(look).unref();
  await work();
  isOver = true;
  look();
  if (rendered !== undefined) console.log(await rendered(turns));
  const { user, system } = process.cpuUsage(startOfAll);
  return { processorMs: lastMs - startMs, allThreadsMs: (user + system) / 1000, longestTurnMs };
}

function threadMs(): number {
  const { user, system } = process.threadCpuUsage();
  return (user + system) / 1000;
}

function monotonicUs(): number {
  return Number(process.hrtime.bigint() / 1000n);
}
