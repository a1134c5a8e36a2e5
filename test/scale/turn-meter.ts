import type { Cost } from './row.ts';

/**
 * Measures work by the processor time of this thread, in all and turn by turn of the event loop: what others do on the machine does
 * not show, as it would in the time on the wall.
 */
export async function measureTurns(
  work: () => Promise<unknown>,
): Promise<Omit<Cost, 'operations' | 'bytes'>> {
  const startMs = threadMs();
  let [lastMs, longestTurnMs, isOver] = [startMs, 0, false];
  const look = (): void => {
    const nowMs = threadMs();
    longestTurnMs = Math.max(longestTurnMs, nowMs - lastMs);
    lastMs = nowMs;
    // Without a reference it runs in each turn that there is, and is no reason for one.
    if (!isOver) setImmediate(look).unref();
  };
  setImmediate(look).unref();
  await work();
  isOver = true;
  look();
  return { processorMs: lastMs - startMs, longestTurnMs };
}

function threadMs(): number {
  const { user, system } = process.threadCpuUsage();
  return (user + system) / 1000;
}
