/** Who is killed when, in the kill campaign. */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

import { clusterCgroupsOf } from '#bin/up/cluster-cgroups.ts';
import type { TestCluster } from '#test/cluster/cluster.ts';
import { pidsOf } from '#test/cluster/processes.ts';
import type { Random } from '#test/fuzz/damage.ts';
import { cgroupsBelow } from './left-behind.ts';

/** A holder is what stands in a host's namespaces for whoever looks from outside; nobody starts it again. */
const kinds = ['agent', 'supervisor', 'server', 'agent', 'supervisor', 'holder'] as const;
type Kind = (typeof kinds)[number];

/** As long as a program takes to start on a busy machine; most get that long, or nothing would ever be done. */
const startMs = 6000;

/** What has been killed so far; kept over several clusters in the same directory. */
export interface Kills {
  readonly counts: Record<string, number>;
  /** Uids of pods whose supervisor was killed: what they were doing is theirs to repeat. */
  readonly struck: Set<string>;
}

export interface KillOptions {
  readonly random: Random;
  /** Between kills, on average. */
  readonly paceMs: number;
  readonly kills: Kills;
  readonly say: (line: string) => void;
}

interface Victim {
  readonly pid: number;
  /** What is started again in its place is called the same. */
  readonly name: string;
  /** Of the pod that a supervisor holds. */
  readonly uid?: string;
}

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
    const victims = await victimsOf(cluster, kind);
    const victim = victims[random(Math.max(1, victims.length))];
    if (victim === undefined) continue;
    // One in four is killed while it starts.
    const isTooEarly = Date.now() - (killedAtMs.get(victim.name) ?? 0) < startMs + random(startMs);
    if (isTooEarly && random(4) !== 0) continue;
    if (!end(victim.pid)) continue;
    killedAtMs.set(victim.name, Date.now());
    if (victim.uid !== undefined) kills.struck.add(victim.uid);
    kills.counts[kind] = (kills.counts[kind] ?? 0) + 1;
    say(`kill ${kind} ${victim.name} ${victim.pid}`);
  }
}

/** False when it ended by itself before. */
function end(pid: number): boolean {
  try {
    process.kill(pid, 'SIGKILL');
    return true;
  } catch {
    return false;
  }
}

async function victimsOf(cluster: TestCluster, kind: Kind): Promise<readonly Victim[]> {
  switch (kind) {
    case 'agent':
    case 'server': {
      const pattern = new RegExp(`podwright\\.ts ${kind} .*--data ${cluster.dataDir}/(\\S+)`);
      return pidsOf(pattern).map((pid) => ({ pid, name: pattern.exec(commandOf(pid))?.[1] ?? kind }));
    }
    case 'holder': {
      const { hosts } = await cluster.state();
      return hosts
        .filter(({ pid }) => commandOf(pid).startsWith('sleep infinity'))
        .map(({ name, pid }) => ({ name, pid }));
    }
    case 'supervisor':
      return supervisorsOf(clusterCgroupsOf(cluster.dataDir)[0] ?? '');
  }
}

function supervisorsOf(cgroup: string): readonly Victim[] {
  return cgroupsBelow(cgroup)
    .filter((path) => path.endsWith('/sup'))
    .flatMap((leaf) => {
      const file = join(leaf, 'cgroup.procs');
      const pid = existsSync(file) ? Number(readFileSync(file, 'utf8').split('\n')[0]) : 0;
      const uid = /pod([0-9a-f-]{36})/.exec(leaf)?.[1] ?? '';
      return pid > 0 ? [{ pid, name: uid, uid }] : [];
    });
}

function commandOf(pid: number): string {
  const file = `/proc/${pid}/cmdline`;
  return existsSync(file) ? readFileSync(file, 'utf8').replaceAll('\0', ' ') : '';
}
