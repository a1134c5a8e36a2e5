/** Processes of a cluster that can be killed, as the machine sees them. */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

import { clusterCgroupsOf } from '#bin/up/cluster-cgroups.ts';
import type { TestCluster } from '#test/cluster/cluster.ts';
import type { Random } from '#test/fuzz/damage.ts';
import { pidsOf } from '#test/cluster/processes.ts';
import { cgroupsBelow } from './left-behind.ts';

/** A holder is what stands in a host's namespaces for whoever looks from outside; nobody starts it again. */
export type VictimKind = 'agent' | 'supervisor' | 'server' | 'holder';

export interface Victim {
  readonly pid: number;
  /** What is started again in its place is called the same. */
  readonly name: string;
  /** Of the pod that a supervisor holds. */
  readonly uid?: string;
}

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

/** False when it ended by itself before. */
export function countKill(kills: Kills, kind: VictimKind, { pid, uid }: Victim): boolean {
  // Before it ends: whoever looks at its pod from now on knows why.
  if (uid !== undefined) kills.struck.add(uid);
  if (!signalTo(pid, 'SIGKILL')) return false;
  kills.counts[kind] = (kills.counts[kind] ?? 0) + 1;
  return true;
}

/** False when there is no such process. */
export function signalTo(pid: number, signal: 'SIGKILL' | 'SIGSTOP' | 'SIGCONT'): boolean {
  try {
    process.kill(pid, signal);
    return true;
  } catch {
    return false;
  }
}

export async function victimsOf(cluster: TestCluster, kind: VictimKind): Promise<readonly Victim[]> {
  switch (kind) {
    case 'agent':
      return agentsOf(cluster);
    case 'server':
      return programsOf(cluster, 'server');
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

/** By the names of their nodes. */
export const agentsOf = (cluster: TestCluster): readonly Victim[] => programsOf(cluster, 'agent');

function programsOf({ dataDir }: TestCluster, kind: 'agent' | 'server'): readonly Victim[] {
  const pattern = new RegExp(`podwright\\.ts ${kind} .*--data ${dataDir}/(\\S+)`);
  return pidsOf(pattern).map((pid) => ({ pid, name: pattern.exec(commandOf(pid))?.[1] ?? kind }));
}

export function supervisorsOf(cgroup: string): readonly Victim[] {
  return cgroupsBelow(cgroup)
    .filter((path) => path.endsWith('/sup'))
    .flatMap((leaf) => {
      const pid = Number(textOf(join(leaf, 'cgroup.procs')).split('\n')[0]);
      const uid = /pod([0-9a-f-]{36})/.exec(leaf)?.[1] ?? '';
      return pid > 0 ? [{ pid, name: uid, uid }] : [];
    });
}

function commandOf(pid: number): string {
  return textOf(`/proc/${pid}/cmdline`).replaceAll('\0', ' ');
}

/** Nothing of what ends while it is read. */
function textOf(file: string): string {
  try {
    return existsSync(file) ? readFileSync(file, 'utf8') : '';
  } catch {
    return '';
  }
}
