import { readFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';

import { systemClock } from '#base/clock.ts';
import { describeError, isPodwrightError } from '#base/errors.ts';
import { shellWord } from '#base/shell-word.ts';
import { readAges, renderAges } from './credentials/certificate-ages.ts';
import { nodesHere, type NodeHere } from './nodes-here.ts';
import { print } from './terminal/print.ts';
import type { OutputFormat } from './terminal/progress.ts';
import { isAlive, readState } from './up/state.ts';

const mib = 1_048_576;

/** What runs here, one line each; exit code 1 when an agent does not answer. */
export async function runStatus(options: {
  readonly data: string;
  readonly output: OutputFormat;
}): Promise<void> {
  const say = (text: string, fields: unknown): void =>
    print(options.output === 'json' ? JSON.stringify(fields) : text);
  const state = await readState(resolve(options.data));
  if (state !== undefined) {
    const running = isAlive(state);
    const ended = `ended without cleaning up: podwright down --data ${shellWord(resolve(options.data))}`;
    say(`up        ${running ? `running, pid ${state.pid}` : ended}`, {
      up: { running, pid: state.pid, port: state.port },
    });
  }
  const kubeconfig = join(resolve(options.data), 'kubeconfig');
  const server = await serverIn(kubeconfig);
  if (server !== undefined)
    say(`API       ${server}, by KUBECONFIG=${shellWord(kubeconfig)}`, { kubeconfig, server });
  const ages = await readAges(resolve(options.data));
  const [first, ...troubles] = renderAges(ages, systemClock.now());
  if (first !== undefined) say(`certificates ${first}`, { certificates: ages });
  if (options.output === 'text') for (const trouble of troubles) print(`          ${trouble}`);
  for (const node of await nodesOf(options, say)) {
    try {
      const status = await node.control.status();
      const upSeconds = Math.round((systemClock.now() - status.startedAtMs) / 1000);
      say(
        `${node.name.padEnd(9)} pid ${status.pid}, ${status.pods} pods, up ${upSeconds} s, ${Math.round(status.rssBytes / mib)} MiB`,
        status,
      );
      if (status.clusterProblem === undefined) continue;
      if (options.output === 'text') print(`          ${status.clusterProblem}`);
      process.exitCode = 1;
    } catch (error) {
      say(`${node.name.padEnd(9)} ${describeError(error)}`, {
        node: node.name,
        error: describeError(error),
      });
      process.exitCode = 1;
    }
  }
}

/** The URL that the administrator's kubeconfig names; undefined where there is none, or not for us to read. */
async function serverIn(kubeconfig: string): Promise<string | undefined> {
  const text = await readFile(kubeconfig, 'utf8').catch(() => '');
  return /^ {4}server: (\S+)$/m.exec(text)?.[1];
}

/** A program that reads JSON gets some where nothing runs, too. */
async function nodesOf(
  { data, output }: { readonly data: string; readonly output: OutputFormat },
  say: (text: string, fields: unknown) => void,
): Promise<readonly NodeHere[]> {
  try {
    return await nodesHere(data);
  } catch (error) {
    if (output === 'json' && isPodwrightError(error, 'E_NOT_FOUND')) {
      say('', { nodes: [], error: describeError(error) });
      process.exitCode = 1;
      return [];
    }
    throw error;
  }
}
