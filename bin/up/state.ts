import { constants, readFileSync } from 'node:fs';
import { open, rm } from 'node:fs/promises';
import { join } from 'node:path';

import { writeDurably } from '#base/durable-file.ts';
import { errnoOf, isPodwrightError, PodwrightError } from '#base/errors.ts';
import { familyOfIp } from '#base/ip.ts';
import { shellWord } from '#base/shell-word.ts';
import { dataDirError } from '#bin/program/data-dir.ts';
import { directoryProblem, fileProblem, lstatIfThere, readOnlyProblem } from '#bin/ownership/marker.ts';
import { clusterRunDir } from '#bin/paths.ts';

/** What `down`, `status` and a second `up` need to know of a running `up`; DIR/up.json. Paths are computed, never read from it. */
export interface UpState {
  readonly pid: number;
  /** Field 22 of /proc/PID/stat: tells a process from a later one with the same pid. */
  readonly startTicks: string;
  readonly port: number;
  readonly hosts: readonly UpHost[];
  /** Computed from the data directory's path. */
  readonly runDir: string;
}

/** What is written. */
export type WrittenState = Omit<UpState, 'runDir'>;

export interface UpHost {
  readonly name: string;
  readonly ip: string;
  readonly pid: number;
  readonly dataDir: string;
}

const stateFile = (dataDir: string): string => join(dataDir, 'up.json');

/** The start time of a process in clock ticks, or undefined if there is none. proc(5), /proc/PID/stat field 22. */
export function startTicksOf(pid: number): string | undefined {
  const stat = readProc(pid, 'stat');
  return stat?.slice(stat.lastIndexOf(')') + 2).split(' ')[19];
}

/** Whether a process has let go of all that it held. Its command is empty before its files are closed. */
export function hasEnded({ pid, startTicks }: Pick<UpState, 'pid' | 'startTicks'>): boolean {
  return isEnded(readProc(pid, 'stat'), startTicks);
}

/**
 * By its line of /proc/PID/stat (proc_pid_stat(5)): it is gone, or a zombie with no other thread; the first thread can be one while
 * others still hold what all share.
 */
export function isEnded(stat: string | undefined, startTicks: string): boolean {
  const [state, ...fields] = stat?.slice(stat.lastIndexOf(')') + 2).split(' ') ?? [];
  const [threads, started] = [fields[16], fields[18]];
  if (stat === undefined || started !== startTicks || state === 'X') return true;
  return state === 'Z' && Number(threads) <= 1;
}

/** Whether a process is a launcher of ours: its words are those of `podwright up`. */
export function isLauncher(pid: number): boolean {
  const words = (readProc(pid, 'cmdline') ?? '').split('\0');
  const at = words.findIndex((word) => /(^|\/)bin\/podwright\.ts$/.test(word));
  return at >= 0 && words[at + 1] === 'up';
}

function readProc(pid: number, file: string): string | undefined {
  try {
    return readFileSync(`/proc/${pid}/${file}`, 'latin1');
  } catch (error) {
    if (errnoOf(error) === 'ENOENT' || errnoOf(error) === 'ESRCH') return undefined;
    throw error;
  }
}

/** Whether the launcher that wrote the state lives: the pid is its own still, and its command is `podwright up`. */
export function isAlive({ pid, startTicks }: Pick<UpState, 'pid' | 'startTicks'>): boolean {
  return startTicksOf(pid) === startTicks && isLauncher(pid);
}

/** @throws E_PERMISSION when it is not root's; E_INVALID when it is damaged; see dataDirError */
export async function readState(dataDir: string): Promise<UpState | undefined> {
  const path = stateFile(dataDir);
  const text = await readOwnFile(dataDir, path);
  if (text === undefined) return undefined;
  const state = parseState(text);
  if (typeof state !== 'string') {
    return { ...state, runDir: clusterRunDir(dataDir) };
  }
  throw new PodwrightError(
    'E_INVALID',
    `read ${path}: it is damaged (${state}); podwright down --data ${shellWord(dataDir)} ends what runs and removes it`,
  );
}

/** A file of root's in a directory of root's: anybody else's word is no reason to signal or remove anything. */
async function readOwnFile(dataDir: string, path: string): Promise<string | undefined> {
  const refuse = (what: string, problem: string): PodwrightError =>
    new PodwrightError(
      'E_PERMISSION',
      `read ${path}: ${what}${problem}; it is not podwright's, which runs as root; name the right directory with --data`,
    );
  const { O_RDONLY, O_NOFOLLOW, O_NONBLOCK } = constants;
  try {
    await using file = await open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK);

    const stats = lstatIfThere(`${dataDir}/.`);
    const unfit = stats === undefined ? 'it is gone' : directoryProblem(stats, 0);
    if (unfit !== undefined) throw refuse(`of ${dataDir}, `, unfit);
    const problem = fileProblem(await file.stat(), 0);
    if (problem !== undefined) throw refuse('', problem);
    return await file.readFile('utf8');
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return undefined;
    if (errnoOf(error) === 'ELOOP') throw refuse('', 'it is a symbolic link');
    throw dataDirError(dataDir, error);
  }
}

/** The highest that a kernel of 64 bits can be told to give (PID_MAX_LIMIT of linux/threads.h); 0, 1 and below are nobody's. */
const pidMax = 4_194_304;
const isPid = (value: unknown): value is number =>
  typeof value === 'number' && Number.isInteger(value) && value > 1 && value <= pidMax;
const isText = (value: unknown, pattern: RegExp): value is string =>
  typeof value === 'string' && pattern.test(value);

/** Pure. What is wrong with it, where it is none. */
export function parseState(text: string): WrittenState | string {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return 'not JSON';
  }
  if (typeof value !== 'object' || value === null) return 'not an object';
  const { pid, startTicks, port, hosts } = value as Partial<Record<keyof UpState, unknown>>;
  if (!isPid(pid)) return `pid is ${JSON.stringify(pid)}`;
  if (!isText(startTicks, /^\d{1,20}$/)) return `startTicks is ${JSON.stringify(startTicks)}`;
  if (typeof port !== 'number' || !Number.isInteger(port) || port < 1 || port > 65_535)
    return `port is ${JSON.stringify(port)}`;
  if (!Array.isArray(hosts)) return 'hosts is no list';
  const parsed = hosts.map(parseHost);
  const broken = parsed.findIndex((host) => host === undefined);
  if (broken >= 0) return `hosts[${broken}] is none`;
  return { pid, startTicks, port, hosts: parsed.flatMap((host) => host ?? []) };
}

function parseHost(value: unknown): UpHost | undefined {
  if (typeof value !== 'object' || value === null) return undefined;
  const { name, ip, pid, dataDir } = value as Partial<Record<keyof UpHost, unknown>>;
  if (!isText(name, /^(server|node-\d{1,3})$/) || !isAddress(ip)) return undefined;
  return isPid(pid) && isText(dataDir, /^\//) ? { name, ip, pid, dataDir } : undefined;
}

export async function writeState(dataDir: string, state: WrittenState): Promise<void> {
  await writeDurably(stateFile(dataDir), JSON.stringify(state, undefined, 2));
}

function isAddress(value: unknown): value is string {
  return typeof value === 'string' && familyOfIp(value) !== undefined;
}

/** As readState, but a damaged one is no reason to stop: names of cgroup and launcher are known without it. */
export async function readLeftState(
  dataDir: string,
): Promise<{ readonly state: UpState | undefined; readonly damage: PodwrightError | undefined }> {
  try {
    return { state: await readState(dataDir), damage: undefined };
  } catch (error) {
    if (!isPodwrightError(error, 'E_INVALID')) throw error;
    return { state: undefined, damage: error };
  }
}

/** @throws E_UNSUPPORTED where the file system is read-only */
export async function removeState(dataDir: string): Promise<void> {
  const file = stateFile(dataDir);
  try {
    await rm(file, { force: true });
  } catch (error) {
    const problem = readOnlyProblem(dataDir);
    if (problem === undefined) throw error;
    throw new PodwrightError('E_UNSUPPORTED', `remove ${file}: ${problem}`, { cause: error });
  }
}
