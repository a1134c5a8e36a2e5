/**
 * `npm run test:bundles`: what users type `kubectl apply -f` on first, on a `podwright server` each. All is applied by `kubectl apply --server-side`,
 * and on another server by `kubectl create`; each custom kind is used, value by value and rule by rule. `-- --only gateway-api,argo-cd` some
 * of them; `--kinds HTTPRoute` some kinds; `--port N` (and N+1). The bundles are in `../shared/real-world`, or where BUNDLES_DIR says.
 */
import { existsSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';

import { describeError } from '#base/errors.ts';
import { repositoryRoot } from '#bin/paths.ts';
import { fetchPrograms } from '#test/clients/programs.ts';
import { Tally } from '#test/clients/tally.ts';
import { freePort } from '#test/cluster/cluster.ts';
import { askRules } from './ask-rules.ts';
import { askValues } from './ask-values.ts';
import { startBareServer, type BareServer } from './bare-server.ts';
import { applyBundle, applyBundleAgain, applyByClient, createBundle, deleteBundle } from './bring-bundle.ts';
import { readBundles, unpackBundles, type Bundle } from './read-bundles.ts';
import { namespace, titleOf } from './sample-object.ts';
import { useKind } from './use-kind.ts';

const { values } = parseArgs({
  options: { only: { type: 'string' }, kinds: { type: 'string' }, port: { type: 'string' } },
});
const { BUNDLES_DIR: source = join(repositoryRoot, '..', 'shared', 'real-world') } = process.env;

async function tryBundle(
  bundle: Bundle,
  places: { readonly kubectl: string; readonly scratch: string },
): Promise<void> {
  const start = async (how: string): Promise<BareServer> => {
    const directory = join(places.scratch, `${bundle.name}-${how}`);
    mkdirSync(directory);
    const port = values.port === undefined ? await freePort() : Number(values.port);
    return startBareServer({ directory, port, kubectl: places.kubectl });
  };
  {
    await using server = await start('create');

    await createBundle(server, bundle, tally);
    await deleteBundle(server, bundle, tally);
    await applyByClient(server, bundle, tally);
  }
  await using server = await start('apply');

  await applyBundle(server, bundle, tally);
  await applyBundleAgain(server, bundle, tally);
  await server.kubectl(['create', 'namespace', namespace]);
  const only = values.kinds?.split(',');
  const rules = { all: 0, held: 0, unasked: 0 };
  for (const kind of bundle.kinds.filter(({ kind }) => only?.includes(kind) ?? true)) {
    await useKind(server, kind, tally);
    const { kept, refusedByRules, refused } = await askValues(server.ask, kind, tally);
    const { all, held, unasked } = await askRules(server.ask, kind, tally);
    rules.all += all;
    rules.held += held;
    rules.unasked += unasked;
    tally.note(
      '',
      `${titleOf(kind)}: ${kept} values kept, ${refusedByRules} refused by rules and alternatives, ${refused} wrong ones refused, ${held} of ${all} rules hold`,
    );
  }
  tally.note(
    '',
    `${bundle.name}: through; ${rules.held} of ${rules.all} rules hold, ${rules.unasked} are never asked`,
  );
}

async function main(): Promise<void> {
  if (!existsSync(source)) throw new Error(`find the bundles in ${source}: not there; set BUNDLES_DIR`);
  const { kubectls } = await fetchPrograms((text) => tally.note('', text));
  const kubectl = join(kubectls.at(-1)?.directory ?? '', 'kubectl');
  const scratch = mkdtempSync(join(tmpdir(), 'podwright-bundles-'));
  await using undo = new AsyncDisposableStack();
  undo.defer(() => rmSync(scratch, { recursive: true, force: true }));

  const unpacked = join(scratch, 'unpacked');
  await unpackBundles(source, unpacked);
  const only = values.only?.split(',');
  for (const bundle of readBundles(unpacked).filter(({ name }) => only?.includes(name) ?? true))
    await tryBundle(bundle, { kubectl, scratch }).catch((error: unknown) =>
      tally.add(bundle.name, 'set-up', { kind: 'failed', why: describeError(error) }),
    );
}

const tally = new Tally((line) => console.log(line));
try {
  await main();
} catch (error) {
  tally.add('lane', 'set-up', { kind: 'failed', why: describeError(error) });
}
console.log(tally.closing());
process.exitCode = tally.isGood ? 0 : 1;
