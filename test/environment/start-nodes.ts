import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { createInterface } from 'node:readline';

import { PodwrightError } from '#base/errors.ts';
import { compileCachePath, repositoryRoot } from '#bin/paths.ts';
import { makeScratch, startGuard, type RunningCluster } from './scratch.ts';

/**
 * The launcher in the background, until the standard input ends; then it is told to end, and what it was kept from taking away is.
 * Arguments: the directory, the data directory, the command.
 */
const runUntilEnd = `
scratch=$1 data=$2; shift 2
"$@" up --data "$data" $UP_OPTIONS </dev/null & up=$!
exec >/dev/null 2>&1
cat
kill -TERM $up
wait $up || "$@" down --data "$data" --purge
rm -rf -- "$scratch"`;

const wordsMax = 200;

/** `podwright up`, as a process that ends when this one does. @throws {E_PERMISSION} {E_INTERNAL} with what it said */
export async function startNodes(nodes: number): Promise<RunningCluster> {
  if (process.getuid?.() !== 0)
    throw new PodwrightError('E_PERMISSION', 'start a cluster with nodes: namespaces and cgroups need root');
  await using undo = new AsyncDisposableStack();

  const scratch = makeScratch();
  const data = join(scratch, 'data');
  const program = [
    process.execPath,
    '--disable-warning=ExperimentalWarning',
    join(repositoryRoot, 'bin', 'podwright.ts'),
  ];
  const environment = { UP_OPTIONS: `--nodes ${nodes} --port ${await freePort()}`, ...compileCache() };
  const guard = undo.use(
    startGuard(runUntilEnd, [scratch, data, ...program], { output: 'pipe', environment }),
  );
  await untilReady(guard.child);
  guard.unref();
  const kubeconfigPath = join(data, 'kubeconfig');
  const kubeconfig = readFileSync(kubeconfigPath, 'utf8');
  const owned = undo.move();
  return { kubeconfig, kubeconfigPath, [Symbol.asyncDispose]: () => owned.disposeAsync() };
}

/** Programs that have been loaded before start in half the time. Beside them, where that may be written. */
function compileCache(): Readonly<Record<string, string>> {
  const { NODE_COMPILE_CACHE: given } = process.env;
  return given === undefined ? { NODE_COMPILE_CACHE: join(repositoryRoot, compileCachePath) } : {};
}

async function untilReady(child: ReturnType<typeof startGuard>['child']): Promise<void> {
  const { stdout, stderr } = child;
  if (stdout === null || stderr === null) throw new PodwrightError('E_INTERNAL', 'start a cluster: no pipes');
  const said: string[] = [];
  const note = (line: string): void => {
    if (said.push(line) > wordsMax) said.shift();
  };
  createInterface({ input: stderr }).on('line', note);
  for await (const line of createInterface({ input: stdout })) {
    note(line);
    if (!line.startsWith('ready in')) continue;
    stdout.resume(); // What it says later is nobody's.
    return;
  }
  throw new PodwrightError('E_INTERNAL', `start a cluster: podwright up ended\n${said.join('\n')}`);
}

/** Nobody else's now; the launcher refuses it should that change. */
async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  server.close();
  await once(server, 'close');
  if (address === null || typeof address === 'string')
    throw new PodwrightError('E_INTERNAL', 'find a free port');
  return address.port;
}
