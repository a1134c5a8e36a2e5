import { mkdirSync } from 'node:fs';
import path from 'node:path';
import { silentLogger, type Logger } from '#base/log.ts';
import { startApiServer } from '#control-plane/apiserver/server.ts';
import { plants } from './faults/plants.ts';
import { faultText } from './faults/plan.ts';
import { kindOfFault, shrink, untilEnd } from './shrink.ts';
import { scriptOf, simulate, type Outcome, type Script } from './simulate.ts';
import { stepText } from './users/steps.ts';
import { versionsOfWorlds } from './world/cluster.ts';
import { worldStartMs, type Door } from './world/door.ts';
import type { WorldsSum } from './worlds-sum.ts';
import { MemoryDisc } from './world/memory-disc.ts';
import { Program } from './world/program.ts';

export interface WorldsOptions {
  readonly door: Door;
  readonly directory: string;
  readonly firstSeed: number;
  /** From one seed to the next. */
  readonly stride: number;
  readonly hours: number;
  /** Hours of a world. */
  readonly each: number;
  readonly plant: string | undefined;
  readonly isTraced: boolean;
  readonly isLogged: boolean;
  /** Goes on after a world that is wrong. */
  readonly isKept: boolean;
  readonly isShrunk: boolean;
  /** Worlds in which something is left out, to find the least. */
  readonly triesMax: number;
  readonly processorMs: () => number;
  /** Told of lines, those of one world together. */
  readonly write: (text: string) => void;
}

const linesTold = 40;
const startTries = 100_000;
const closeTries = 20;

export async function runWorlds(options: WorldsOptions): Promise<WorldsSum> {
  const { directory, write } = options;
  const startMs = options.processorMs();
  const begun = await prepare(options.door, directory);
  let virtualMs = 0;
  let worlds = 0;
  let isWell = true;
  for (let seed = options.firstSeed; virtualMs < options.hours * 3_600_000; seed += options.stride) {
    const script = scriptOf(seed, options.each);
    const outcome = await run(options, { script, begun }, options.isTraced ? write : undefined);
    virtualMs += outcome.virtualMs;
    worlds++;
    if (outcome.fault === undefined) {
      write(`seed ${seed}: well, ${outcome.writes} writes, trace ${outcome.hash}`);
      continue;
    }
    isWell = false;
    const least = options.isShrunk ? await tellLeast(options, { script, begun }, outcome) : [];
    write([`seed ${seed}: ${outcome.fault}`, `trace ${outcome.hash}`, ...least].join('\n'));
    if (!options.isKept) break;
  }
  return { worlds, virtualMs, spentMs: options.processorMs() - startMs, isWell };
}

function run(
  { door, directory, plant, isLogged, write }: WorldsOptions,
  { script, begun }: { readonly script: Script; readonly begun: MemoryDisc },
  onLine?: (line: string) => void,
): Promise<Outcome> {
  return simulate(script, {
    ...{ door, directory, begun },
    ...(plant === undefined ? {} : { plant: plants[plant] }),
    ...(onLine === undefined ? {} : { onLine }),
    ...(isLogged ? { logger: writingLogger(write) } : {}),
  });
}

/** What has to happen for it, and the end of what happens then, in lines. */
async function tellLeast(
  options: WorldsOptions,
  { script, begun }: { readonly script: Script; readonly begun: MemoryDisc },
  outcome: Outcome,
): Promise<readonly string[]> {
  const kind = kindOfFault(outcome);
  const isStillWrong = async (fewer: Script): Promise<boolean> =>
    kindOfFault(await run(options, { script: fewer, begun })) === kind;
  const { script: least, tries } = await shrink(untilEnd(script, outcome), {
    isStillWrong,
    triesMax: options.triesMax,
  });
  const { fault, hash, lines } = await run(options, { script: least, begun });
  return [
    `least of ${tries} tries: ${least.faults.length} faults, ${least.steps.length} steps of users`,
    ...least.faults.map((one) => `  ${faultText(one)}`),
    ...least.steps.map((one) => `  ${stepText(one)}`),
    ...lines.slice(-linesTold).map((line) => `    ${line}`),
    `it ends: ${fault ?? 'well'}; trace ${hash}`,
  ];
}

/**
 * Certificates, and all that is loaded when it is first needed: a world finds it there.
 * @returns the disc of a server that has started, and of nobody else
 */
export async function prepare(door: Door, directory: string): Promise<MemoryDisc> {
  mkdirSync(path.join(directory, 'server'), { recursive: true });
  const time = door.enter(0, worldStartMs - 3_600_000);
  const program = new Program('first', time);
  const disc = new MemoryDisc({ time, random: () => 0, onDurable: () => undefined });
  const start = { isOver: false };
  const started = startApiServer({
    dataDir: path.join(directory, 'server'),
    listeners: [],
    advertiseAddress: '192.0.2.1',
    advertisePort: 6443,
    clock: program.clock,
    openDisk: () => disc.open(program),
    versions: versionsOfWorlds,
  }).finally(() => (start.isOver = true));
  started.catch(() => undefined);
  for (let tries = 0; tries < startTries && !start.isOver; tries++)
    await time.run(time.nowMs + 100, door.settleOutside);
  const api = await started;
  await Promise.all(['jose', 'prom-client', 'reflect-metadata'].map((name) => import(name)));
  const closed = api.close(); // Nothing of what it wrote last is lost.
  for (let tries = 0; tries < closeTries; tries++) await time.run(time.nowMs + 100, door.settleOutside);
  await closed;
  program.crash();
  return disc;
}

function writingLogger(write: (line: string) => void): Logger {
  const line =
    (level: string) =>
    (fields: Readonly<Record<string, unknown>>, message: string): void =>
      write(`  ${level} ${message} ${JSON.stringify(fields)}`);
  const logger: Logger = { ...silentLogger, error: line('error'), warn: line('warn'), child: () => logger };
  return logger;
}
