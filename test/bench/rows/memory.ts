import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';

import { errnoOf } from '#base/errors.ts';
import { createPodDriver, podNames } from '#test/bench/bench-cluster.ts';
import { summarise } from '#test/bench/measure.ts';
import { atMost, type Measurement, type Row, type Summary, type Unit } from '#test/bench/row.ts';

const podsMax = 100;
/** For a collector to run where it will. */
const settleMs = 3_000;

/** Resident memory of an idle server, and of a node with a hundred pods. */
export const memory: Row = {
  name: 'memory',
  inNamespaces: true,
  run: async () => {
    await using driver = await createPodDriver();

    const { dataDir } = driver.cluster;
    const processes = (word: string): readonly number[] => processesOf(dataDir, word);
    await sleep(settleMs);
    const idleServer = processes(' server ').map(residentKiB);
    const idleAgent = processes(' agent ').map(residentKiB);
    const names = podNames('memory', podsMax);
    await Promise.all(names.map((name) => driver.create(name)));
    await sleep(settleMs);
    const measured = [
      inMegabytes('server, idle', idleServer, 150),
      inMegabytes(`agent with ${podsMax} pods`, processes(' agent ').map(residentKiB), 130),
      measurement('supervisor of a pod', 'KiB', summarise(supervisors(driver.cluster.up.pid).map(residentKiB)), 64),
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

/** Our node processes that have the data directory and the word in their command line. */
function processesOf(dataDir: string, word: string): readonly number[] {
  return pids().filter((pid) => {
    const line = `${commandLineOf(pid)} `;
    return line.includes('podwright.ts') && line.includes(dataDir) && line.includes(word) && !line.startsWith('sh ');
  });
}

/** Supervisors in the mount namespaces of this bench: no other cluster of the machine sees its directories. */
function supervisors(_up: number | undefined): readonly number[] {
  return pids().filter((pid) => /^(supervisor|podwright)\b/.test(nameOf(pid)));
}

function pids(): readonly number[] {
  return readdirSync('/proc').filter((name) => /^\d+$/.test(name)).map(Number);
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
