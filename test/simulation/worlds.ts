import { mkdirSync } from 'node:fs';
import path from 'node:path';
import { silentLogger, type Logger } from '#base/log.ts';
import { startApiServer } from '#control-plane/apiserver/server.ts';
import { narrowScripts } from './faults/narrow-scripts.ts';
import { plants } from './faults/plants.ts';
import { faultText } from './faults/plan.ts';
import { kindOfFault, shrink } from './shrink.ts';
import { narrowed, scriptOf, simulate, type Outcome, type Script } from './simulate.ts';
import { stepText } from './users/steps.ts';
import type { Door } from './world/door.ts';
import { MemoryDisc } from './world/memory-disc.ts';
import { Program } from './world/program.ts';

export interface WorldsOptions {
  readonly door: Door;
  readonly directory: string;
  readonly firstSeed: number;
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
  readonly write: (line: string) => void;
}

const linesTold = 40;
const startTries = 100_000;

/** @returns whether nothing was wrong in any world */
export async function runWorlds(options: WorldsOptions): Promise<boolean> {
  const { directory, write } = options;
  await prepare(options.door, directory);
  const startMs = options.processorMs();
  let virtualMs = 0;
  let worlds = 0;
  let isWell = true;
  for (let seed = options.firstSeed; virtualMs < options.hours * 3_600_000; seed++) {
    const script = scriptFor(options, seed);
    const outcome = await run(options, script, options.isTraced ? write : undefined);
    virtualMs += outcome.virtualMs;
    worlds++;
    if (outcome.fault === undefined) {
      write(`seed ${seed}: well, ${outcome.writes} writes, trace ${outcome.hash}`);
      continue;
    }
    isWell = false;
    write(`seed ${seed}: ${outcome.fault}`);
    write(`trace ${outcome.hash}`);
    if (options.isShrunk) await tellLeast(options, script, outcome);
    if (!options.isKept) return false;
  }
  const spentHours = (options.processorMs() - startMs) / 3_600_000;
  const hours = virtualMs / 3_600_000;
  write(
    `${worlds} worlds, ${hours.toFixed(1)} hours of clusters: ${Math.round(hours / spentHours)} an hour of processor`,
  );
  return isWell;
}

function scriptFor({ each, plant }: WorldsOptions, seed: number): Script {
  const script = scriptOf(seed, each);
  const narrow = plant === undefined ? undefined : narrowScripts[plant];
  return narrow === undefined ? script : narrowed(script, narrow);
}

function run(
  { door, directory, plant, isLogged, write }: WorldsOptions,
  script: Script,
  onLine?: (line: string) => void,
): Promise<Outcome> {
  return simulate(script, {
    ...{ door, directory },
    ...(plant === undefined ? {} : { plant: plants[plant] }),
    ...(onLine === undefined ? {} : { onLine }),
    ...(isLogged ? { logger: writingLogger(write) } : {}),
  });
}

/** What has to happen for it, and the end of what happens then. */
async function tellLeast(options: WorldsOptions, script: Script, outcome: Outcome): Promise<void> {
  const { write } = options;
  const kind = kindOfFault(outcome);
  const isStillWrong = async (fewer: Script): Promise<boolean> =>
    kindOfFault(await run(options, fewer)) === kind;
  const { script: least, tries } = await shrink(script, { isStillWrong, triesMax: options.triesMax });
  const { fault, hash, lines } = await run(options, least);
  write(`least of ${tries} tries: ${least.faults.length} faults, ${least.steps.length} steps of users`);
  for (const one of least.faults) write(`  ${faultText(one)}`);
  for (const one of least.steps) write(`  ${stepText(one)}`);
  for (const line of lines.slice(-linesTold)) write(`    ${line}`);
  write(`it ends: ${fault ?? 'well'}; trace ${hash}`);
}

/** Certificates, and all that is loaded when it is first needed: a world finds it there. */
export async function prepare(door: Door, directory: string): Promise<void> {
  mkdirSync(path.join(directory, 'server'), { recursive: true });
  const time = door.enter(0);
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
  }).finally(() => (start.isOver = true));
  started.catch(() => undefined);
  for (let tries = 0; tries < startTries && !start.isOver; tries++)
    await time.run(time.nowMs + 100, door.settle);
  await started;
  await Promise.all(['jose', 'prom-client', 'reflect-metadata'].map((name) => import(name)));
  program.crash();
}

function writingLogger(write: (line: string) => void): Logger {
  const line =
    (level: string) =>
    (fields: Readonly<Record<string, unknown>>, message: string): void =>
      write(`  ${level} ${message} ${JSON.stringify(fields)}`);
  const logger: Logger = { ...silentLogger, error: line('error'), warn: line('warn'), child: () => logger };
  return logger;
}
