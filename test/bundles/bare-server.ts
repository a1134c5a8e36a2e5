/** `podwright server` alone, on loopback: no node is there, and none is needed for what these manifests say. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createWriteStream, existsSync } from 'node:fs';
import { join } from 'node:path';

import { systemClock } from '#base/clock.ts';
import { repositoryRoot } from '#bin/paths.ts';
import { createHttpTransport } from '#client/http-transport.ts';
import { loadKubeconfig } from '#client/kubeconfig.ts';
import { eventually, run, type CommandResult } from '#test/cluster/cluster.ts';

export interface Answer {
  readonly status: number;
  readonly text: string;
}

/** A request with JSON, where hundreds of kubectls would be waited for. */
export type Ask = (method: string, path: string, body?: unknown) => Promise<Answer>;

export interface BareServer extends AsyncDisposable {
  kubectl(args: readonly string[], input?: string): Promise<CommandResult>;
  readonly ask: Ask;
}

export interface ServerPlace {
  /** Empty, and the caller's; the log is `server.log` in it. */
  readonly directory: string;
  readonly port: number;
  /** The program. */
  readonly kubectl: string;
}

const commandMsMax = 300_000;

export async function startBareServer({ directory, port, kubectl }: ServerPlace): Promise<BareServer> {
  const log = createWriteStream(join(directory, 'server.log'));
  const child = spawn(
    join(repositoryRoot, 'podwright'),
    [
      ...['server', '--data', join(directory, 'data')],
      ...['--listen', `127.0.0.1:${port}`, '--advertise-address', '127.0.0.1'],
    ],
    { stdio: ['ignore', 'pipe', 'pipe'] },
  );
  child.stdout.pipe(log, { end: false });
  child.stderr.pipe(log, { end: false });
  const ended = once(child, 'exit');
  await using undo = new AsyncDisposableStack();
  undo.defer(async () => {
    child.kill('SIGTERM');
    await ended;
    log.end();
  });

  const kubeconfig = join(directory, 'data', 'kubeconfig');
  const command = [kubectl, '--kubeconfig', kubeconfig, '--cache-dir', join(directory, 'cache')];
  await eventually('the server is ready', async () => {
    if (child.exitCode !== null) throw new Error(`podwright server ended: ${directory}/server.log`);
    return existsSync(kubeconfig) && (await run([...command, 'get', '--raw', '/readyz'])).code === 0;
  });
  const transport = undo.use(createHttpTransport(loadKubeconfig(kubeconfig, systemClock)));
  const owned = undo.move();
  return {
    kubectl: (args, input) =>
      run([...command, ...args], { timeoutMs: commandMsMax, ...(input === undefined ? {} : { input }) }),
    ask: async (method, path, body) => {
      const { status, body: answer } = await transport.request({
        method,
        path,
        headers: { 'content-type': 'application/json' },
        ...(body === undefined ? {} : { body: Buffer.from(JSON.stringify(body)) }),
      });
      return { status, text: answer instanceof Uint8Array ? Buffer.from(answer).toString('utf8') : '' };
    },
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}
