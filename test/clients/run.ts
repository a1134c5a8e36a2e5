/**
 * `npm run test:clients`: what users of five clients do, against one cluster of two nodes. `-- --only kubectl-1.20,helm` some of them,
 * `--short` without the kubectls between the oldest and the newest, `--kubeconfig FILE` against a cluster that runs already; `--minutes N`
 * at most, after which it has failed (a lane of few minutes for each change: `--short --minutes 3`).
 */
import { cpSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';

import { describeError } from '#base/errors.ts';
import { startCluster } from '#test/cluster/cluster.ts';
import { fetchPrograms } from './programs.ts';
import type { Suite, SuiteContext } from './suite.ts';
import { suitesOf } from './suites.ts';
import { Tally } from './tally.ts';

/** Suites that run at the same time: each waits for the cluster most of its time. */
const atOnce = 3;
/** On two quiet cores it takes about three minutes, half of that with `--short`; what hangs is ended. */
const minutesMax = 20;

async function runSuites(suites: readonly Suite[], context: SuiteContext): Promise<void> {
  const queue = [...suites];
  const work = async (): Promise<void> => {
    for (let suite = queue.shift(); suite !== undefined; suite = queue.shift()) {
      const directory = join(context.scratch, suite.name);
      mkdirSync(directory, { recursive: true });
      try {
        await suite.run({ ...context, scratch: directory });
        context.tally.note('', `${suite.name}: through`);
      } catch (error) {
        context.tally.add(suite.name, 'set-up', { kind: 'failed', why: describeError(error) });
      }
    }
  };
  await Promise.all(Array.from({ length: atOnce }, work));
}

function ends<T>(list: readonly T[]): readonly T[] {
  return list.filter((_each, index) => index === 0 || index === list.length - 1);
}

const { values } = parseArgs({
  options: {
    only: { type: 'string' },
    kubeconfig: { type: 'string' },
    short: { type: 'boolean' },
    minutes: { type: 'string' },
  },
});

/** `timeUp` rejects once what hangs is to be ended, with the cluster that it hangs on. */
async function main(tally: Tally, timeUp: Promise<never>): Promise<void> {
  if (typeof fetched === 'string') throw new Error(fetched);
  const programs = values.short === true ? { ...fetched, kubectls: ends(fetched.kubectls) } : fetched;
  const only = values.only?.split(',');
  const suites = suitesOf(programs).filter(({ name }) => only === undefined || only.includes(name));
  const scratch = mkdtempSync(join(tmpdir(), 'podwright-clients-'));
  await using undo = new AsyncDisposableStack();
  undo.defer(() => rmSync(scratch, { recursive: true, force: true }));
  // A copy: whoever edits the tree meanwhile changes nothing of this run.
  const manifests = join(scratch, 'manifests');
  cpSync(join(import.meta.dirname, 'manifests'), manifests, { recursive: true });
  let { kubeconfig } = values;
  if (kubeconfig === undefined) {
    const cluster = undo.use(await startCluster({ nodes: 2 }));
    ({ kubeconfig } = cluster);
    tally.note('', 'the cluster is ready');
  }

  await Promise.race([runSuites(suites, { kubeconfig, manifests, scratch, tally }), timeUp]);
}

const tally = new Tally((line) => console.log(line));
/** Once the programs are there: fetching them is no part of what the lane is about. */
const fetched = await fetchPrograms((text) => tally.note('', text)).catch(describeError);
const minutes = Number(values.minutes ?? minutesMax);
const { promise: timeUp, reject: end } = Promise.withResolvers<never>();
timeUp.catch(() => undefined); // Nobody may be waiting for it yet.
const deadline = setTimeout(() => end(new Error(`not through within ${minutes} minutes`)), minutes * 60_000);
try {
  await main(tally, timeUp);
} catch (error) {
  tally.add('lane', 'all', { kind: 'failed', why: describeError(error) });
}
clearTimeout(deadline);
console.log(tally.closing());
// Suites that hang are not waited for.
process.exit(tally.isGood ? 0 : 1);
