/** `podwright join`: this host becomes a node of a cluster, by an address, a token and a hash. */
import { existsSync } from 'node:fs';
import { mkdir, readdir, rename, rm, rmdir } from 'node:fs/promises';
import { connect } from 'node:net';
import { hostname } from 'node:os';
import { basename, dirname, join, resolve } from 'node:path';
import { X509Certificate } from 'node:crypto';

import { systemClock } from '#base/clock.ts';
import { writeDurably, syncDirectory } from '#base/durable-file.ts';
import { describeError, errnoOf, PodwrightError } from '#base/errors.ts';
import { withoutZone } from '#base/ip.ts';
import { readCredentials } from '#bin/credentials/follow-credentials.ts';
import { isSignedBy } from '#bin/credentials/node-files.ts';
import { nodeNameOf } from '#bin/credentials/node-identity.ts';
import { checkClaim, claimDirectory } from '#bin/ownership/claim-directory.ts';
import { print } from '#bin/terminal/print.ts';
import type { AgentCommandOptions } from '#bin/options/command-options.ts';
import { agentOptionProblems } from '#bin/options/agent-problems.ts';
import { resolvConfProblems } from '#bin/options/resolv-conf-option.ts';
import { readTarget, type JoinTarget } from './arguments.ts';
import { discover, patienceMs } from './discover.ts';
import { approvalWaitMs, obtainCredentials } from './obtain.ts';

/** Those of the agent, and what to join by. */
export type JoinCommandOptions = Omit<AgentCommandOptions, 'nodeName' | 'nodeIp' | 'credentials'> & {
  readonly token: string;
  readonly caHash: string;
  readonly name?: string;
  readonly nodeIp?: readonly string[];
  readonly credentials?: string;
  /** Make a unit of the agent, rather than run it here. */
  readonly install?: boolean;
};

/**
 * Gets the credentials, writes them all or none, and goes on as the agent. Safe to repeat: where a node has its credentials of that cluster,
 * nothing is asked for.
 */
export async function runJoin(url: string, given: JoinCommandOptions): Promise<void> {
  const { token, caHash, name = hostname().toLowerCase(), install, ...rest } = given;
  const target = readTarget(url, { token, caHash, name });
  process.title = 'podwright join'; // The token is nothing for ps to show for as long as the agent runs.
  const credentials = resolve(rest.credentials ?? join(rest.data, 'credentials'));
  const nodeIp = rest.nodeIp ?? [await addressTowards(target.server)];
  const made = { nodeIp, credentials, rotateCertificates: true };
  const givenOptions = [...(rest.givenOptions ?? []), ...Object.keys(made)];
  const options: AgentCommandOptions = { ...rest, ...made, givenOptions };
  checkOptions(options);
  if (install === true) await (await import('#bin/install/install.ts')).checkInstallAhead(options);
  if (isJoined(credentials, target)) print(`${target.nodeName} has its credentials in ${credentials}`);
  else await joinCluster(target, options);
  if (install === true) await (await import('#bin/install/install.ts')).runInstall('agent', options);
  else await (await import('#bin/agent.ts')).runAgent(options);
}

/** Before anything is asked of the cluster. @throws {E_USAGE} with all that is wrong */
function checkOptions(options: AgentCommandOptions): void {
  const problems = [...agentOptionProblems(options), ...resolvConfProblems(options)];
  if (problems.length > 0)
    throw new PodwrightError('E_USAGE', `join: ${problems.join('; ')}; nothing was written`);
  checkClaim(resolve(options.data), { role: 'agent', option: '--data' });
}

async function joinCluster(target: JoinTarget, options: AgentCommandOptions): Promise<void> {
  const { signal } = new AbortController(); // A signal to the process ends it: nothing is written before all is there.
  const context = { clock: systemClock, signal };
  const caCertPem = await discover(target, { ...context, patienceMs });
  print(`${target.server} is the cluster of the token and the hash`);
  const files = await obtainCredentials(target, {
    ...context,
    caCertPem,
    nodeIps: options.nodeIp,
    waitMs: approvalWaitMs,
    tell: print,
  });
  using _claim = claimDirectory(resolve(options.data), { role: 'agent', mode: 0o700, option: '--data' });

  await writeWhole(options.credentials, files);
  print(`credentials of ${target.nodeName} written to ${options.credentials}`);
}

/** Whether the directory holds credentials of that node and cluster that have not ended. @throws {E_USAGE} for those of another node */
function isJoined(directory: string, { nodeName, server }: JoinTarget): boolean {
  if (!existsSync(join(directory, 'kubeconfig'))) return false;
  const { access } = readCredentials(directory, systemClock);
  nodeNameOf(access.clientCertPem, { nodeName, credentials: directory });
  const { clientCertPem = '', caPem = '' } = access;
  if (access.server !== server || !isSignedBy(clientCertPem, caPem)) {
    throw new PodwrightError(
      'E_EXISTS',
      `join ${server}: ${directory} holds credentials of a node of ${access.server}; remove that directory first, if the node is to leave it`,
    );
  }
  return new X509Certificate(clientCertPem).validToDate.getTime() > systemClock.now();
}

/** All files or none: written beside the directory, which then takes its place. */
export async function writeWhole(
  directory: string,
  files: readonly (readonly [name: string, text: string])[],
): Promise<void> {
  const draft = join(dirname(directory), `.${basename(directory)}.draft`);
  const replaced = `${draft}.old`;
  for (const left of [draft, replaced]) await removeFlat(left); // Of one that was cut off.
  try {
    await mkdir(draft, { recursive: true, mode: 0o700 });
    for (const [name, text] of files) await writeDurably(join(draft, name), text);
    const isThere = await movedAway(directory, replaced);
    await rename(draft, directory);
    await syncDirectory(dirname(directory));
    if (isThere) await removeFlat(replaced);
  } catch (error) {
    await removeFlat(draft);
    throw error;
  }
}

async function movedAway(from: string, to: string): Promise<boolean> {
  try {
    await rename(from, to);
    return true;
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return false;
    throw error;
  }
}

/** A directory of files, which holds no others. */
async function removeFlat(directory: string): Promise<void> {
  try {
    for (const name of await readdir(directory)) await rm(join(directory, name));
    await rmdir(directory);
  } catch (error) {
    if (errnoOf(error) !== 'ENOENT') throw error;
  }
}

const connectMs = 10_000;

/** The address of this host from which it reaches the server: that is where the server reaches it, unless there is something between. */
async function addressTowards(server: string): Promise<string> {
  const { hostname: host, port } = new URL(server);
  const { promise, resolve: found, reject } = Promise.withResolvers<string>();
  const socket = connect({ host: host.replaceAll(/^\[|\]$/g, ''), port: Number(port === '' ? 443 : port) });
  socket.once('connect', () => found(withoutZone(socket.localAddress ?? '')));
  socket.once('error', reject);
  using _limit = systemClock.after(connectMs, () =>
    reject(new PodwrightError('E_TIMEOUT', `no answer in ${connectMs} ms`)),
  );

  try {
    return await promise;
  } catch (cause) {
    throw new PodwrightError(
      'E_CONNECTION',
      `join ${server}: ${describeError(cause)}; does the server run, is the address right, and does a firewall let it through? Nothing was written`,
      { cause },
    );
  } finally {
    socket.destroy();
  }
}
