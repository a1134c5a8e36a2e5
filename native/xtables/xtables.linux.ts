import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { PodwrightError, errnoOf } from '#base/errors.ts';
import type { IpFamily } from '#base/ip.ts';
import { ownNetns } from '#native/netlink/netlink.ts';
import type { Nft } from '#native/nft/nft.ts';
import { parseSaved } from './parse.ts';
import type { Xtables } from './xtables.ts';

const prefixes: Readonly<Record<IpFamily, string>> = { 4: 'iptables', 6: 'ip6tables' };

/** Of 10,000 Services of five endpoints iptables-save writes some 30 MiB. */
const savedBytesMax = 256 * 1024 * 1024;

/** 10,000 Services take some seconds. */
const programMsMax = 120_000;

/** How long another program may hold the lock of the legacy tables. */
const lockSeconds = 10;

/** The programs of the host, in the network namespace of this process's first thread. `nft` knows whether the newer filter has tables. */
export function createXtables(environment: NodeJS.ProcessEnv, nft: Nft): Xtables {
  // An agent may be started with a user's path, which lacks these.
  const env = { ...environment, PATH: `${environment['PATH'] ?? ''}:/usr/sbin:/sbin`, LC_ALL: 'C' };
  const run = (program: string, args: readonly string[], input: string): Promise<string> =>
    runProgram(program, { args, input, env });
  return {
    hasTables: async (family) => {
      const isNewer = await nft.hasTable(ownNetns, { family: family === 4 ? 'ip' : 'ip6', name: 'nat' });
      return isNewer || (await hasLegacyTables(family));
    },
    save: async (family) => parseSaved(await run(`${prefixes[family]}-save`, [], '')),
    restore: async (family, text) => {
      if (text === '') return;
      await run(`${prefixes[family]}-restore`, ['--noflush', '-w', String(lockSeconds)], text);
    },
  };
}

/** The kernel tells which legacy tables the namespace has; without its module there is no such file. */
async function hasLegacyTables(family: IpFamily): Promise<boolean> {
  try {
    return (await readFile(`/proc/net/${family === 4 ? 'ip' : 'ip6'}_tables_names`, 'utf8')).includes('nat');
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return false;
    throw error;
  }
}

function runProgram(
  program: string,
  given: { readonly args: readonly string[]; readonly input: string; readonly env: NodeJS.ProcessEnv },
): Promise<string> {
  const { args, input, env } = given;
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  const options = { env, maxBuffer: savedBytesMax, timeout: programMsMax, killSignal: 'SIGKILL' } as const;
  const child = execFile(program, args, options, (error, stdout, stderr) => {
    if (error === null) resolve(stdout);
    else reject(programError(program, { error, stderr, input }));
  });
  child.stdin?.on('error', () => undefined); // It ended before it had read all: its words say why.
  child.stdin?.end(input);
  return promise;
}

function programError(
  program: string,
  { error, stderr, input }: { readonly error: Error; readonly stderr: string; readonly input: string },
): PodwrightError {
  if (errnoOf(error) === 'ENOENT')
    return new PodwrightError('E_UNSUPPORTED', `run ${program}: not installed; install iptables`, {
      cause: error,
    });
  if ('killed' in error && error.killed === true)
    return new PodwrightError('E_TIMEOUT', `run ${program}: no end after ${programMsMax / 1000} s`, {
      cause: error,
    });
  const words = stderr.trim().split('\n').slice(0, 4).join(' ');
  // `line 12: RULE_APPEND failed`, `Error occurred at line: 12`: what the line says is what one wants to know.
  const line = input.split('\n')[Number(/line:? (\d+)/.exec(words)?.[1] ?? 0) - 1];
  const which = line === undefined ? '' : ` (${line})`;
  return new PodwrightError('E_KERNEL', `run ${program}: ${words === '' ? error.message : words}${which}`, {
    cause: error,
  });
}
