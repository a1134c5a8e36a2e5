import { readFile, rm } from 'node:fs/promises';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

import { writeDurably } from '#base/durable-file.ts';
import { PodwrightError, errnoOf } from '#base/errors.ts';
import { dataDirError } from '#bin/data-dir.ts';

/** What `down`, `status` and a second `up` need to know of a running `up`; DIR/up.json. */
export interface UpState {
  readonly pid: number;
  /** Field 22 of /proc/PID/stat: tells a process from a later one with the same pid. */
  readonly startTicks: string;
  readonly cgroup: string;
  readonly runDir: string;
  readonly port: number;
  /** The data directory was made by this `up`, so its end may remove it. */
  readonly ownsDataDir: boolean;
  readonly hosts: readonly {
    readonly name: string;
    readonly ip: string;
    readonly pid: number;
    readonly dataDir: string;
  }[];
}

const stateFile = (dataDir: string): string => join(dataDir, 'up.json');

/** The start time of a process in clock ticks, or undefined if there is none. proc(5), /proc/PID/stat field 22. */
export function startTicksOf(pid: number): string | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
    return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19];
  } catch (error) {
    if (errnoOf(error) === 'ENOENT' || errnoOf(error) === 'ESRCH') return undefined;
    throw error;
  }
}

export function isAlive(state: Pick<UpState, 'pid' | 'startTicks'>): boolean {
  return startTicksOf(state.pid) === state.startTicks;
}

/** @throws see dataDirError; E_INVALID */
export async function readState(dataDir: string): Promise<UpState | undefined> {
  let text: string;
  try {
    text = await readFile(stateFile(dataDir), 'utf8');
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return undefined;
    throw dataDirError(dataDir, error);
  }
  try {
    return JSON.parse(text) as UpState; // Written by writeState only, into a directory private to root.
  } catch (cause) {
    throw new PodwrightError(
      'E_INVALID',
      `read ${stateFile(dataDir)}: not JSON; podwright down --purge removes the cluster`,
      { cause },
    );
  }
}

export async function writeState(dataDir: string, state: UpState): Promise<void> {
  await writeDurably(stateFile(dataDir), JSON.stringify(state, undefined, 2));
}

export async function removeState(dataDir: string): Promise<void> {
  await rm(stateFile(dataDir), { force: true });
}
