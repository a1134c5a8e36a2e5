/** Logs of the kill campaign's containers, line by line over all files that they were rotated into. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

import { logFilesMax, type CampaignPod } from './campaign-pods.ts';

/** Of one start of a container: `N.log`, and `N.log.20261129-…`. */
export interface StartLog {
  /** N, which is counted from 0. */
  readonly start: number;
  /** Whether `N.log` itself is there: while a rotation is under way it is not. */
  readonly isOpen: boolean;
  /** Of each file, the oldest first. */
  readonly texts: readonly string[];
}

/** Undefined when the lines go on by one from the first to the last, from 0 unless the oldest files may have been removed. */
export function startFault({ start, isOpen, texts }: StartLog): string | undefined {
  if (!isOpen) return `${start}.log is not there`;
  if (texts.length > logFilesMax) return `${start}.log has ${texts.length} files`;
  const lines = linesOf(texts);
  const first = numberOf(lines[0] ?? '') ?? 0;
  if (first !== 0 && texts.length < logFilesMax) return `${start}.log begins with ${lines[0]}`;
  const at = lines.findIndex((line, index) => numberOf(line) !== first + index);
  return at < 0
    ? undefined
    : `line ${at} of the ${texts.length} files of ${start}.log is ${lines[at]}, not ${first + at}`;
}

/** What is wrong with all that a pod's container wrote; it was started once, or its supervisor was killed. */
export function logFault(logs: readonly StartLog[], pod: CampaignPod, isStruck: boolean): string | undefined {
  const fault = logs.map(startFault).find((each) => each !== undefined);
  if (fault !== undefined) return fault;
  if (pod.noise !== 'little' && logs.every(({ texts }) => texts.length === 1)) return 'it was not rotated';
  if (isStruck || pod.role === 'again') return undefined;
  const [only, ...others] = logs;
  if (only === undefined || others.length > 0) return `it has the logs of ${logs.length} starts`;
  const count = linesOf(only.texts).length;
  const isWhole = pod.role === 'ends' ? count === pod.linesMin : count >= pod.linesMin;
  return isWhole ? undefined : `it has ${count} lines`;
}

export interface ReadOptions {
  readonly pod: CampaignPod;
  readonly isStruck: () => boolean;
  readonly patienceMs: number;
}

/** Reads again while there is a fault: a file may just be rotated, and an agent may have to start before it is. */
export async function checkLogs(
  directory: string,
  { pod, isStruck, patienceMs }: ReadOptions,
): Promise<{ readonly fault: string | undefined; readonly rotated: number }> {
  const giveUpMs = Date.now() + patienceMs;
  for (;;) {
    const logs = readLogs(directory);
    const fault = logFault(logs, pod, isStruck());
    const rotated = logs.reduce((sum, { texts }) => sum + Math.max(0, texts.length - 1), 0);
    if (fault === undefined || Date.now() > giveUpMs) return { fault, rotated };
    await sleep(1000);
  }
}

function readLogs(directory: string): readonly StartLog[] {
  const names = existsSync(directory) ? readdirSync(directory).toSorted() : [];
  const starts = [...new Set(names.map((name) => Number(name.split('.')[0])))].toSorted((a, b) => a - b);
  return starts.map((start) => {
    const current = `${start}.log`;
    const files = [
      ...names.filter((name) => name.startsWith(`${current}.`)),
      ...names.filter((name) => name === current),
    ];
    return {
      start,
      isOpen: names.includes(current),
      texts: files.map((name) => join(directory, name)).map(textOf),
    };
  });
}

/** Nothing of what was removed meanwhile: it is read again. */
function textOf(path: string): string {
  return existsSync(path) ? readFileSync(path, 'utf8') : '';
}

/** Without what was not written to its end: the last line of all, of a writer that was killed or still writes. */
function linesOf(texts: readonly string[]): readonly string[] {
  return texts.join('').split('\n').slice(0, -1);
}

function numberOf(line: string): number | undefined {
  const number = /^\d{4}-\d\d-\d\dT[\d:.]+(?:Z|[+-]\d\d:\d\d) stdout F line (\d+)(?: x+)?$/.exec(line)?.[1];
  return number === undefined ? undefined : Number(number);
}
