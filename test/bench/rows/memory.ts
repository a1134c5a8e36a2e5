import { readdirSync, readFileSync } from 'node:fs';
import { basename } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

import { errnoOf } from '#base/errors.ts';
import { clusterCgroupsOf } from '#bin/up/cluster-cgroups.ts';
import { createPodDriver, podNames } from '#test/bench/bench-cluster.ts';
import { summarise } from '#test/bench/measure.ts';
import { atMost, type Measurement, type Row, type Summary, type Unit } from '#test/bench/row.ts';

const podsMax = 100;
/** For a collector to run where it will. */
const settleMs = 3_000;
/** What a start leaves is swept, and V8 makes its young generation small, within so long (decision 0095). */
const idleMs = 45_000;

/** Resident memory of an idle server, and of a node with a hundred pods. */
export const memory: Row = {
  name: 'memory',
  inNamespaces: true,
  run: async () => {
    await using driver = await createPodDriver();

    const [cgroup = ''] = clusterCgroupsOf(driver.cluster.dataDir);
    await sleep(idleMs);
    const idleServer = processesOf(cgroup, 'server').map(residentKiB);
    const idleAgent = processesOf(cgroup, 'agent').map(residentKiB);
    const names = podNames('memory', podsMax);
    await Promise.all(names.map((name) => driver.create(name)));
    await sleep(settleMs);
    const measured = [
      inMegabytes('server, idle', idleServer, 150),
      inMegabytes(`agent with ${podsMax} pods`, processesOf(cgroup, 'agent').map(residentKiB), 130),
      measurement('supervisor of a pod', 'KiB', summarise(supervisorsOf(cgroup).map(residentKiB)), 64),
    ];
    await Promise.all(names.map((name) => driver.remove(name)));
    return [...measured, inMegabytes('agent, idle', idleAgent, undefined)];
  },
};

function inMegabytes(what: string, kib: readonly number[], budget: number | undefined): Measurement {
  return measurement(what, 'MB', summarise(kib.map((each) => (each * 1024) / 1e6)), budget);
}

function measurement(what: string, unit: Unit, ours: Summary, budget: number | undefined): Measurement {
  return { what, unit, ours, peers: [], budgets: budget === undefined ? [] : [atMost(budget)] };
}

/** Our node processes of the cluster that have the word in their command line. */
function processesOf(cgroup: string, word: string): readonly number[] {
  return pids().filter((pid) => {
    const line = commandLineOf(pid);
    return isOf(pid, cgroup) && line.includes(`podwright.ts ${word} `) && !line.startsWith('sh ');
  });
}

function supervisorsOf(cgroup: string): readonly number[] {
  return pids().filter((pid) => isOf(pid, cgroup) && nameOf(pid).startsWith('podwright-pod'));
}

/** Whether a process lives in the cluster's cgroup: other clusters run on the same machine. */
function isOf(pid: number, cgroup: string): boolean {
  return read(`/proc/${pid}/cgroup`).includes(`/${basename(cgroup)}/`);
}

function pids(): readonly number[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(Number);
}

function commandLineOf(pid: number): string {
  return read(`/proc/${pid}/cmdline`).replaceAll('\0', ' ');
}

function nameOf(pid: number): string {
  return read(`/proc/${pid}/comm`);
}

/** VmRSS of proc_pid_status(5). */
function residentKiB(pid: number): number {
  return Number(/^VmRSS:\s+(\d+) kB/m.exec(read(`/proc/${pid}/status`))?.[1] ?? Number.NaN);
}

/** Nothing of a process that ended meanwhile. */
function read(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    if (errnoOf(error) === 'ENOENT' || errnoOf(error) === 'ESRCH') return '';
    throw error;
  }
}
