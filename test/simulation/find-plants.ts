/**
 * `node test/simulation/find-plants.ts [--tries N] [NAME…]`: the first seed by which each plant is found, for faults/plant-seeds.ts; with
 * `--known`, whether they are by those that stand there.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { enableCompileCache } from 'node:module';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { openDoor } from './world/door.ts';

enableCompileCache(path.join(import.meta.dirname, '../../build/compile-cache'));
const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    tries: { type: 'string', default: '12' },
    each: { type: 'string', default: '0.1' },
    known: { type: 'boolean', default: false },
  },
});
const directory = mkdtempSync(path.join(tmpdir(), 'simulate-'));
process.once('exit', () => rmSync(directory, { recursive: true, force: true }));
const door = openDoor();
const { prepare } = await import('./worlds.ts');
const { plants } = await import('./faults/plants.ts');
const { plantSeeds } = await import('./faults/plant-seeds.ts');
const { narrowScripts } = await import('./faults/narrow-scripts.ts');
const { narrowed, scriptOf, simulate } = await import('./simulate.ts');
await prepare(door, directory);
for (const [name, plant] of Object.entries(plants)) {
  if (positionals.length > 0 && !positionals.includes(name)) continue;
  const known = plantSeeds.find(({ plant: one }) => one === name);
  if (values.known && known === undefined) continue;
  const narrow = narrowScripts[name];
  let found = 'not found';
  const [first, last] =
    values.known && known !== undefined ? [known.seed, known.seed] : [1, Number(values.tries)];
  for (let seed = first; seed <= last; seed++) {
    const script = scriptOf(seed, Number(values.each));
    const { fault } = await simulate(narrow === undefined ? script : narrowed(script, narrow), {
      door,
      directory,
      plant,
    });
    if (fault === undefined) continue;
    found = `seed ${seed}: ${fault}`;
    break;
  }
  process.stdout.write(`${name}: ${found}\n`);
}
process.exit(0);
