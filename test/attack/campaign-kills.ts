/** Who is killed when, in the kill campaign. */
import { setTimeout as sleep } from 'node:timers/promises';

import type { TestCluster } from '#test/cluster/cluster.ts';
import { killInRotation } from './campaign-rotation.ts';
import { countKill, victimsOf, type KillOptions } from './campaign-victims.ts';

const kinds = ['agent', 'supervisor', 'server', 'rotation', 'agent', 'supervisor', 'holder'] as const;

/** As long as a program takes to start on a busy machine; most get that long, or nothing would ever be done. */
const startMs = 6000;

/** Kills something of the cluster now and then, until it is disposed. */
export function killOften(cluster: TestCluster, options: KillOptions): AsyncDisposable {
  const stop = new AbortController();
  const loop = killUntil(cluster, options, stop.signal);
  return {
    [Symbol.asyncDispose]: async () => {
      stop.abort();
      await loop;
    },
  };
}

async function killUntil(cluster: TestCluster, options: KillOptions, signal: AbortSignal): Promise<void> {
  const { random, kills, say, paceMs } = options;
  const killedAtMs = new Map<string, number>();
  for (let turn = 0; ; turn++) {
    await sleep(paceMs / 2 + random(paceMs), undefined, { signal }).catch(() => undefined);
    if (signal.aborted) return;
    const kind = kinds[turn % kinds.length] ?? 'agent';
    if (kind === 'rotation') {
      await killInRotation(cluster, options, signal);
      continue;
    }
    const victims = await victimsOf(cluster, kind);
    const victim = victims[random(Math.max(1, victims.length))];
    if (victim === undefined) continue;
    // One in four is killed while it starts.
    const isTooEarly = Date.now() - (killedAtMs.get(victim.name) ?? 0) < startMs + random(startMs);
    if (isTooEarly && random(4) !== 0) continue;
    if (!countKill(kills, kind, victim)) continue;
    killedAtMs.set(victim.name, Date.now());
    say(`kill ${kind} ${victim.name} ${victim.pid}`);
  }
}
