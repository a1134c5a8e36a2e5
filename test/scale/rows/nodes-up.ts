import { readdirSync, readFileSync } from 'node:fs';

import { systemClock } from '#base/clock.ts';
import type { ScaleRow } from '#test/scale/row.ts';
import { measureTurns } from '#test/scale/turn-meter.ts';
import { startCluster, type TestCluster } from '#test/cluster/cluster.ts';

/** Of sysconf(3): processor time in /proc is told in hundredths of a second. */
const tickMs = 10;

/** `podwright up --nodes N`, until all are Ready: what all its processes took, and how long it was (of use on a quiet machine only). */
export const nodesUp: ScaleRow = {
  name: 'nodes-up',
  operation: 'node of `podwright up`, until all are Ready; root',
  of: 'nodes',
  sizes: [1, 4, 16, 64],
  run: async (size) => {
    await using stack = new AsyncDisposableStack();

    const startMs = systemClock.monotonic();
    let cluster: TestCluster | undefined;
    const { longestTurnMs } = await measureTurns(async () => {
      cluster = stack.use(await startCluster({ nodes: size }));
    });
    const seconds = (systemClock.monotonic() - startMs) / 1000;
    const processorMs = processorMsBelow(cluster?.up.pid ?? -1);
    const also = { 'seconds in all': seconds };
    return { operations: size, processorMs, allThreadsMs: processorMs, longestTurnMs, also };
  },
};

/** Of a process and all that it began (proc_pid_stat(5): utime, stime, cutime, cstime). */
function processorMsBelow(root: number): number {
  const all = readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .flatMap((name) => statOf(Number(name)) ?? []);
  const children = Map.groupBy(all, ({ parent }) => parent);
  const sumOf = (pid: number): number =>
    (children.get(pid) ?? []).reduce((sum, child) => sum + child.ticks + sumOf(child.pid), 0);
  const own = all.find(({ pid }) => pid === root)?.ticks ?? 0;
  return (own + sumOf(root)) * tickMs;
}

function statOf(
  pid: number,
): { readonly pid: number; readonly parent: number; readonly ticks: number } | undefined {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, 'utf8');
    const fields = text
      .slice(text.lastIndexOf(')') + 2)
      .split(' ')
      .map(Number);
    const ticks = fields.slice(11, 15).reduce((sum, value) => sum + value, 0);
    return { pid, parent: fields[1] ?? 0, ticks };
  } catch {
    return undefined; // It has ended.
  }
}
