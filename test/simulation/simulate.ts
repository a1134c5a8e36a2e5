import { createHash } from 'node:crypto';
import { rmSync } from 'node:fs';
import path from 'node:path';
import type { Logger } from '#base/log.ts';
import { describeError } from '#base/errors.ts';
import * as kinds from '#api/schema/kind-ref.ts';
import { createDice } from './dice.ts';
import { faultText, planFaults, type PlannedFault } from './faults/plan.ts';
import { staleCaches, unrestOf } from './judge/rest.ts';
import { act, letGo } from './users/act.ts';
import { ownKind, ownPlurals } from './users/own-kinds.ts';
import { planSteps, stepText, type PlannedStep } from './users/steps.ts';
import { SimulatedCluster, type Plant } from './world/cluster.ts';
import type { Door } from './world/door.ts';
import type { MemoryDisc } from './world/memory-disc.ts';

/** What happens in a world: of a seed, or what was left of it. */
export interface Script {
  readonly seed: number;
  readonly nodes: number;
  /** Its server starts for the first time. */
  readonly isNew: boolean;
  readonly endMs: number;
  /** For how long all its machines sleep when all is judged; 0: they stay awake. */
  readonly sleepMs: number;
  readonly faults: readonly PlannedFault[];
  readonly steps: readonly PlannedStep[];
}

export interface Outcome {
  /** What was wrong first; undefined: nothing. */
  readonly fault: string | undefined;
  /** Of the whole trace. */
  readonly hash: string;
  /** The end of the trace. */
  readonly lines: readonly string[];
  /** That went by while machines were awake. */
  readonly virtualMs: number;
  readonly writes: number;
}

export interface SimulateOptions {
  readonly door: Door;
  readonly directory: string;
  /** The disc of a server that has started before. */
  readonly begun: MemoryDisc;
  readonly plant?: Plant | undefined;
  readonly onLine?: (line: string) => void;
  readonly logger?: Logger;
}

const minuteMs = 60_000;
const startMs = 20_000;
/** After the last fault, for a cluster to be as it was asked to be. */
const restMsMax = 30 * minuteMs;
/** For which nobody writes then. */
const quietMs = 10 * minuteMs;
/** Longer than a node's silence and what pods tolerate of it, as is what follows, for which they are looked at. */
const [sleepMsMin, sleepMsMax] = [10 * minuteMs, 600 * minuteMs];
const wokenMs = 7 * minuteMs;
const linesKept = 400;

/** Of so many worlds the machines of one sleep. */
const sleepsOneIn = 8;

/** The world of a seed. Pure. */
export function scriptOf(seed: number, hours: number): Script {
  const { between, chance } = createDice(seed);
  const nodes = between(2, 3);
  const busyMs = between(2 * minuteMs, 12 * minuteMs);
  const busy = { startMs, endMs: startMs + busyMs, nodes };
  return {
    seed,
    nodes,
    isNew: chance(0.2),
    endMs: Math.round(hours * 60 * minuteMs),
    faults: planFaults(seed, { ...busy, count: between(0, 24) }),
    steps: planSteps(seed, { ...busy, count: between(10, 36) }),
    sleepMs: seed % sleepsOneIn === 1 ? between(sleepMsMin, sleepMsMax) : 0,
  };
}

/** Lets a world run to its end, or to what is wrong in it. */
export async function simulate(script: Script, options: SimulateOptions): Promise<Outcome> {
  const { door, directory } = options;
  const time = door.enter(script.seed);
  const hash = createHash('sha256');
  const lines: string[] = [];
  let fault: string | undefined;
  let isOver = false;
  const say = (text: string): void => {
    if (isOver) return; // What was begun in this world may end in the turns of the next.
    // Where its files are is of this process, and of no world.
    const line = `${(time.sinceMs / 1000).toFixed(3)} ${text.replaceAll(directory, '')}`;
    lines.push(line);
    if (lines.length > linesKept * 2) hash.update(textOf(lines.splice(0, linesKept)));
    options.onLine?.(line);
  };
  const onFault = (text: string): void => {
    if (fault === undefined) say(`FAULT ${text}`);
    fault ??= text;
  };
  for (let number = 1; number <= script.nodes; number++)
    rmSync(path.join(directory, `node-${number}`), { recursive: true, force: true });
  const cluster = new SimulatedCluster({
    ...{ time, seed: script.seed, nodes: script.nodes, directory, say, onFault, plant: options.plant },
    disc: script.isNew ? undefined : options.begun,
    ...(options.logger === undefined ? {} : { logger: options.logger }),
  });
  const originMs = time.nowMs;
  const until = (ms: number): Promise<void> => time.run(originMs + ms, door.settle);
  cluster.startAll();
  let lastMs = startMs;
  for (const planned of script.faults) {
    time.after(planned.atMs, () => {
      say(faultText(planned));
      cluster.begin(planned);
    });
    lastMs = Math.max(lastMs, planned.atMs);
  }
  for (const planned of script.steps) {
    time.after(planned.atMs, () => {
      say(stepText(planned));
      void take(cluster, planned).catch((error: unknown) =>
        say(`step ${planned.id}: ${describeError(error)}`),
      );
    });
    lastMs = Math.max(lastMs, planned.atMs);
  }
  const isWrong = (): boolean => fault !== undefined;
  for (let atMs = 0; atMs <= lastMs && !isWrong(); atMs += 10_000) {
    await until(atMs);
    cluster.lookAtLate();
  }
  if (!isWrong()) {
    say('all is well from here on');
    cluster.heal();
    await rest(cluster, { until, isOver: isWrong, onFault, fromMs: time.sinceMs });
  }
  if (!isWrong() && time.sinceMs < script.endMs) await until(script.endMs);
  if (!isWrong() && script.sleepMs > 0) {
    await sleepAndWake(cluster, { until, isOver: isWrong, onFault, fromMs: time.sinceMs }, script.sleepMs);
  }
  isOver = true;
  const { writes } = cluster.judge;
  const virtualMs = time.sinceMs;
  cluster.end();
  return {
    fault,
    hash: hash.update(textOf(lines)).digest('hex'),
    lines: lines.slice(-linesKept),
    virtualMs,
    writes,
  };
}

function textOf(lines: readonly string[]): string {
  return lines.map((line) => `${line}\n`).join('');
}

interface Rest {
  readonly until: (ms: number) => Promise<void>;
  readonly isOver: () => boolean;
  readonly onFault: (fault: string) => void;
  readonly fromMs: number;
}

/** All comes to be as it was asked for, within a bound; then nobody writes any more, and all caches are as the disc is. */
async function rest(cluster: SimulatedCluster, { until, isOver, onFault, fromMs }: Rest): Promise<void> {
  let atMs = fromMs;
  const uncordon = cluster.nodes.map(({ name }) => ({ kind: 'cordon', node: name, isOn: false }) as const);
  for (const step of uncordon) void take(cluster, { id: -1, atMs, step }).catch(() => undefined);
  let unrest: readonly string[] = ['nothing was looked at'];
  while (unrest.length > 0 && atMs < fromMs + restMsMax && !isOver()) {
    letAllGo(cluster);
    atMs += minuteMs / 2;
    await until(atMs);
    cluster.lookAtLate();
    unrest = unrestOf(cluster);
  }
  if (isOver()) return;
  if (unrest.length > 0) return onFault(`no rest: ${unrest.slice(0, 5).join('; ')}`);
  atMs += 5 * minuteMs;
  await until(atMs);
  const { writes } = cluster.judge;
  await until(atMs + quietMs);
  if (isOver()) return;
  const after = cluster.judge.writes - writes;
  const heartbeats = cluster.nodes.length * 3;
  if (after > heartbeats)
    return onFault(`no quiet: ${after} writes in ${quietMs / minuteMs} minutes of rest`);
  const [stale] = staleCaches(cluster);
  if (stale !== undefined) onFault(stale);
}

/** All machines sleep for so long, as one that all of them are does when its lid is closed: nobody was silent, and nothing is to be done. */
async function sleepAndWake(
  cluster: SimulatedCluster,
  { until, onFault, fromMs }: Rest,
  forMs: number,
): Promise<void> {
  const { time, say } = cluster.options;
  const { writes } = cluster.judge;
  say(`all machines sleep for ${Math.round(forMs / 1000)} s`);
  time.suspend(forMs);
  await until(fromMs + wokenMs);
  cluster.lookAtLate();
  const [unrest] = [...unrestOf(cluster), ...staleCaches(cluster)];
  if (unrest !== undefined) onFault(`after a sleep: ${unrest}`);
  const after = cluster.judge.writes - writes;
  if (after > cluster.nodes.length * 3) onFault(`after a sleep: ${after} writes`);
}

/** What is held and is to go is let go by who holds it. */
function letAllGo({ judge, users }: SimulatedCluster): void {
  for (const kind of [kinds.configMaps, ...ownPlurals.map(ownKind)]) {
    for (const { metadata } of judge.ledger.all(kind.resource)) {
      const { name = '', namespace = '', deletionTimestamp, finalizers = [] } = metadata;
      if (deletionTimestamp === undefined || finalizers.length === 0) continue;
      void letGo(users, kind, { name, namespace }).catch(() => undefined);
    }
  }
}

const stepTries = 5;

/** A user tries again where nobody answered. */
async function take(cluster: SimulatedCluster, { step }: PlannedStep): Promise<void> {
  for (let tries = 1; ; tries++) {
    try {
      return await act(cluster.users, step);
    } catch (error) {
      if (tries >= stepTries || !/no answer|connection reset|HTTP 5/.test(describeError(error))) throw error;
      await cluster.options.time.sleep(3000);
    }
  }
}
