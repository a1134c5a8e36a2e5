/** `npm run simulate -- --hours N [--seed S] [--plant NAME]`: worlds one after another, until so many hours have gone by in them. */
import { mkdtempSync, rmSync } from 'node:fs';
import { enableCompileCache } from 'node:module';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { openDoor } from './world/door.ts';

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
  },
});
const firstSeed = Number(values.seed ?? Date.now() % 1_000_000);
const directory = mkdtempSync(path.join(tmpdir(), 'simulate-'));
process.once('exit', () => rmSync(directory, { recursive: true, force: true }));
const door = openDoor();
const { runWorlds } = await import('./worlds.ts');
const isWell = await runWorlds({
  ...{ door, directory, firstSeed, processorMs },
  hours: Number(values.hours),
  each: Number(values.each),
  plant: values.plant,
  isTraced: values.trace,
  isLogged: values.log,
  isKept: values.keep,
  isShrunk: Number(values.tries) > 0,
  triesMax: Number(values.tries),
  write: (line) => process.stdout.write(`${line}\n`),
});
process.exit(isWell ? 0 : 1);
