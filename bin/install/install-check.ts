/** Looks at what an installed program will find on this host; changes nothing. */
import { createPrivateKey, X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { networkInterfaces } from 'node:os';
import { join, resolve } from 'node:path';

import { systemClock } from '#base/clock.ts';
import { describeError, errnoOf, PodwrightError } from '#base/errors.ts';
import { loadKubeconfig } from '#client/kubeconfig.ts';
import type { AgentCommandOptions, ServerCommandOptions } from '#bin/options/command-options.ts';
import { adminKubeconfigProblems } from '#bin/admin-kubeconfig.ts';
import { findCgroupRoot } from '#bin/program/cgroup-root.ts';
import { nodeNameOf } from '#bin/credentials/node-identity.ts';
import { checkClaim } from '#bin/ownership/claim-directory.ts';
import { claimCgroup, defaultCgroup } from '#bin/ownership/own-cgroup.ts';
import { agentOptionProblems } from '#bin/options/agent-problems.ts';
import { serverOptionProblems } from '#bin/options/program-options.ts';
import { filesRead } from '#bin/options/path-options.ts';
import { resolvConfProblems } from '#bin/options/resolv-conf-option.ts';

/** A supervisor's socket lies below it, and a socket's path has 107 bytes. unix(7) */
const runBytesMax = 40;

/** @throws E_USAGE with all that is wrong, in one line */
export async function checkServerInstall(
  options: ServerCommandOptions,
  { isInstalled }: { readonly isInstalled: boolean },
): Promise<void> {
  const wrong = [...serverOptionProblems(options), ...adminKubeconfigProblems(options.adminKubeconfig)];
  wrong.push(...fileProblems(options, wrong));
  if (options.listenFd !== undefined)
    wrong.push('--listen-fd: a unit inherits no socket; give --listen HOST:PORT');
  if (wrong.length === 0 && !isInstalled) wrong.push(...(await listenProblems(options.listen)));
  wrong.push(...problemOf(() => checkClaim(resolve(options.data), { role: 'server', option: '--data' })));
  refuseIf('server', wrong);
}

/** @throws E_USAGE with all that is wrong, in one line */
export function checkAgentInstall(
  options: AgentCommandOptions,
  { hasCredentials = true }: { readonly hasCredentials?: boolean } = {},
): void {
  const [data, run] = [resolve(options.data), resolve(options.run)];
  const logs = options.podLogsDir === undefined ? undefined : resolve(options.podLogsDir);
  const wrong = [
    ...agentOptionProblems(options),
    ...resolvConfProblems(options),
    ...(hasCredentials ? credentialProblems(options) : []),
  ];
  wrong.push(...fileProblems(options, wrong));
  for (const ip of options.nodeIp)
    if (!isOwnAddress(ip)) wrong.push(`--node-ip ${ip}: no interface of this host has it`);
  if (Buffer.byteLength(run) > runBytesMax) wrong.push(`--run ${run}: longer than ${runBytesMax} bytes`);
  if (run === data) wrong.push(`--run ${run}: the same directory as --data`);
  wrong.push(...problemOf(() => checkClaim(data, { role: 'agent', option: '--data' })));
  wrong.push(...problemOf(() => checkClaim(run, { role: 'run', option: '--run' })));
  if (logs !== undefined)
    wrong.push(...problemOf(() => checkClaim(logs, { role: 'logs', option: '--pod-logs-dir' })));
  wrong.push(
    ...problemOf(() => {
      const root = findCgroupRoot();
      claimCgroup({ path: options.cgroup ?? defaultCgroup(root), root });
    }),
  );
  refuseIf('agent', wrong);
}

function refuseIf(role: string, wrong: readonly string[]): void {
  if (wrong.length === 0) return;
  throw new PodwrightError(
    'E_USAGE',
    `install ${role}: ${[...new Set(wrong)].join('; ')}; nothing was written`,
  );
}

/** Files that the program reads as it starts: a unit of one that is not there would be started again and again. */
function fileProblems(options: object, told: readonly string[]): readonly string[] {
  return filesRead(options)
    .filter(({ flag, path }) => !told.some((text) => text.startsWith(`${flag}: read ${path}`)))
    .flatMap(({ flag, path }) => {
      try {
        readFileSync(resolve(path));
        return [];
      } catch (error) {
        return [`${flag} ${path}: ${errnoOf(error) ?? describeError(error)}`];
      }
    })
    .toArray();
}

function problemOf(check: () => void): readonly string[] {
  try {
    check();
    return [];
  } catch (error) {
    return [describeError(error)];
  }
}

/** Whether the port can be had: tried, and let go of at once. */
async function listenProblems(listen: readonly string[]): Promise<readonly string[]> {
  const problems = await Promise.all(
    listen.map(async (text) => {
      const at = text.lastIndexOf(':');
      const host = text.slice(0, at).replaceAll(/^\[|\]$/g, '');
      const { promise, resolve: done } = Promise.withResolvers<readonly string[]>();
      const server = createServer();
      server.once('error', (error) => done([`--listen ${text}: ${reasonOf(error)}`]));
      server.listen({ host, port: Number(text.slice(at + 1)), exclusive: true }, () =>
        server.close(() => done([])),
      );
      return promise;
    }),
  );
  return problems.flat();
}

function reasonOf(error: Error): string {
  switch (errnoOf(error)) {
    case 'EADDRINUSE':
      return 'another program listens there';
    case 'EADDRNOTAVAIL':
      return 'no interface of this host has that address';
    default:
      return error.message;
  }
}

function isOwnAddress(text: string): boolean {
  return Object.values(networkInterfaces())
    .flatMap((each) => each ?? [])
    .some(({ address }) => address === text);
}

/** The directory that the server's --node wrote, whole, and of this node. */
function credentialProblems({ credentials, nodeName }: AgentCommandOptions): readonly string[] {
  const directory = resolve(credentials);
  const option = `--credentials ${directory}`;
  const files = new Map<string, string>();
  const missing: string[] = [];
  for (const name of ['kubeconfig', 'serving.crt', 'serving.key', 'ca.crt']) {
    try {
      files.set(name, readFileSync(join(directory, name), 'utf8'));
    } catch (error) {
      missing.push(`${name}: ${errnoOf(error) ?? 'unreadable'}`);
    }
  }
  if (missing.length > 0) {
    return [
      `${option}: ${missing.join(', ')}; copy the directory that podwright server --node NAME=IP wrote, DATA/nodes/NAME`,
    ];
  }
  return [
    ...problemOf(() => {
      const access = loadKubeconfig(join(directory, 'kubeconfig'), systemClock);
      nodeNameOf(access.clientCertPem, { nodeName, credentials: directory });
    }),
    ...problemOf(() => checkServing(option, files)),
  ];
}

function checkServing(option: string, files: ReadonlyMap<string, string>): void {
  const parse = <T>(name: string, read: (pem: string) => T): T => {
    try {
      return read(files.get(name) ?? '');
    } catch (cause) {
      throw new PodwrightError('E_INVALID', `${option}: ${name} is damaged`, { cause });
    }
  };
  parse('ca.crt', (pem) => new X509Certificate(pem));
  const certificate = parse('serving.crt', (pem) => new X509Certificate(pem));
  const key = parse('serving.key', (pem) => createPrivateKey(pem));
  if (!certificate.checkPrivateKey(key)) {
    throw new PodwrightError('E_INVALID', `${option}: serving.key is not the key of serving.crt`);
  }
}
