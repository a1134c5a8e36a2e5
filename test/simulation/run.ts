/**
 * `npm run simulate -- --hours N [--seed S] [--plant NAME] [--jobs N]`: worlds one after another, in so many processes beside each other,
 * until so many hours have gone by in them.
 */
import { enableCompileCache } from 'node:module';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { runInProcesses, type Told } from './jobs.ts';
import { makeScratchDirectory } from './scratch.ts';
import { openDoor } from './world/door.ts';
import { sumText, type WorldsSum } from './worlds-sum.ts';

enableCompileCache(path.join(import.meta.dirname, '../../build/compile-cache'));
const processorMs = (): number => process.cpuUsage().user / 1000 + process.cpuUsage().system / 1000;
const { values } = parseArgs({
  options: {
    hours: { type: 'string', default: '10' },
    seed: { type: 'string' },
    plant: { type: 'string' },
    each: { type: 'string', default: '1' },
    trace: { type: 'boolean', default: false },
    log: { type: 'boolean', default: false },
    keep: { type: 'boolean', default: false },
    tries: { type: 'string', default: '60' },
    jobs: { type: 'string', default: '1' },
    stride: { type: 'string', default: '1' },
  },
});
const jobs = Number(values.jobs);
const firstSeed = Number(values.seed ?? Date.now() % 1_000_000);
const write = (text: string): void => {
  if (process.send === undefined) process.stdout.write(`${text}\n`);
  else process.send({ kind: 'text', text } satisfies Told);
};
const sum = jobs > 1 ? await runBeside() : await runHere();
if (process.send === undefined) {
  write(sumText(sum));
  // Worlds leave the event loop no turn to write in: what waits for the reader of a pipe goes first.
  process.stdout.write('', () => process.exit(sum.isWell ? 0 : 1));
} else process.send({ kind: 'sum', sum } satisfies Told, () => process.exit(sum.isWell ? 0 : 1));

/** Each process has its share of the seeds. */
function runBeside(): Promise<WorldsSum> {
  const own = ['jobs', 'seed', 'stride', 'hours'];
  const others = Object.entries(values)
    .filter(([name]) => !own.includes(name))
    .flatMap(([name, value]) =>
      typeof value === 'string' ? [`--${name}`, value] : value ? [`--${name}`] : [],
    );
  const hours = String(Number(values.hours) / jobs);
  return runInProcesses({
    program: import.meta.filename,
    argsOf: (job) => [
      ...others,
      ...['--seed', String(firstSeed + job), '--stride', String(jobs), '--hours', hours],
    ],
    ...{ jobs, isKept: values.keep, write },
  });
}

async function runHere(): Promise<WorldsSum> {
  const directory = makeScratchDirectory();
  process.once('SIGTERM', () => process.exit(1)); // Of the one who started it, where another world was wrong.
  const door = openDoor();
  const { runWorlds } = await import('./worlds.ts');
  return runWorlds({
    ...{ door, directory, firstSeed, processorMs, write },
    stride: Number(values.stride),
    hours: Number(values.hours),
    each: Number(values.each),
    plant: values.plant,
    isTraced: values.trace,
    isLogged: values.log,
    isKept: values.keep,
    isShrunk: Number(values.tries) > 0,
    triesMax: Number(values.tries),
  });
}
