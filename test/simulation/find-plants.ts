/**
 * `node test/simulation/find-plants.ts [--seed S] [--tries N] [NAME…]`: the first seed, from S on, by which each plant is found, for faults/plant-seeds.ts; with
 * `--known`, whether they are by those that stand there.
 */
import { enableCompileCache } from 'node:module';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { makeScratchDirectory } from './scratch.ts';
import { openDoor } from './world/door.ts';

enableCompileCache(path.join(import.meta.dirname, '../../build/compile-cache'));
const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    seed: { type: 'string', default: '1' },
    tries: { type: 'string', default: '12' },
    each: { type: 'string', default: '0.1' },
    known: { type: 'boolean', default: false },
  },
});
const directory = makeScratchDirectory();
const door = openDoor();
const { prepare } = await import('./worlds.ts');
const { plants } = await import('./faults/plants.ts');
const { plantSeeds } = await import('./faults/plant-seeds.ts');
const { scriptOf, simulate } = await import('./simulate.ts');
const begun = await prepare(door, directory);
for (const [name, plant] of Object.entries(plants)) {
  if (positionals.length > 0 && !positionals.includes(name)) continue;
  const known = plantSeeds.find(({ plant: one }) => one === name);
  if (values.known && known === undefined) continue;
  let found = 'not found';
  const [first, last] =
    values.known && known !== undefined
      ? [known.seed, known.seed]
      : [Number(values.seed), Number(values.seed) + Number(values.tries) - 1];
  for (let seed = first; seed <= last; seed++) {
    const { fault } = await simulate(scriptOf(seed, Number(values.each)), { door, directory, begun, plant });
    if (fault === undefined) continue;
    found = `seed ${seed}: ${fault}`;
    break;
  }
  process.stdout.write(`${name}: ${found}\n`);
}
process.stdout.write('', () => process.exit(0));
