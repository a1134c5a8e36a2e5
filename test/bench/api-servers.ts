/** The API servers that are measured side by side on loopback: ours, and kube-apiserver with etcd. */
import { spawn, type ChildProcess } from 'node:child_process';
import { generateKeyPairSync } from 'node:crypto';
import { once } from 'node:events';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

import { repositoryRoot } from '#bin/paths.ts';
import { freePort } from '#test/cluster/cluster.ts';
import { accessOf } from './bench-cluster.ts';
import { openClient, type Access } from './h2-client.ts';
import { findProgram } from './measure.ts';

export interface BenchServer extends AsyncDisposable {
  readonly name: string;
  readonly access: Access;
  /** Of all its processes. */
  residentMegabytes(): number;
}

const readyTimeoutMs = 60_000;

export interface BenchServerOptions {
  /** Every request is recorded, at level Metadata, in a file. */
  readonly isAudited?: boolean;
}

/** The flags by which both servers record every request; the files are beside their directory, which is the server's own. */
function auditFlags(directory: string, { isAudited = false }: BenchServerOptions): readonly string[] {
  if (!isAudited) return [];
  const policy = `${directory}-audit-policy.yaml`;
  writeFileSync(policy, 'apiVersion: audit.k8s.io/v1\nkind: Policy\nrules: [{ level: Metadata }]\n');
  return [`--audit-policy-file=${policy}`, `--audit-log-path=${directory}-audit.log`];
}

export async function startOurServer(
  directory: string,
  options: BenchServerOptions = {},
): Promise<BenchServer> {
  const port = await freePort();
  mkdirSync(directory, { recursive: true });
  const kubeconfig = join(directory, 'kubeconfig');
  const command = [process.execPath, '--disable-warning=ExperimentalWarning', 'bin/podwright.ts', 'server'];
  const server = start(
    [
      ...command,
      '--data',
      directory,
      '--listen',
      `127.0.0.1:${port}`,
      '--advertise-address',
      '127.0.0.1',
      ...auditFlags(directory, options),
    ],
    join(directory, 'server.log'), // A name that a server takes for its own.
  );
  await eventually('podwright server', () => existsSync(kubeconfig), [server]);
  return ready('podwright', accessOf(kubeconfig), [server]);
}

/** Where the upstream programs are unpacked, see the conformance run. */
const kubernetesDirectory = join(homedir(), '.cache/podwright/kubernetes-1.20.2');

/** Why the peer cannot be run here; undefined if it can. */
export function missingKube(): string | undefined {
  if (!existsSync(join(kubernetesDirectory, 'kube-apiserver')))
    return `no kube-apiserver in ${kubernetesDirectory}`;
  return findProgram('etcd') === undefined ? 'etcd not installed' : undefined;
}

export async function startKube(directory: string, options: BenchServerOptions = {}): Promise<BenchServer> {
  mkdirSync(directory, { recursive: true });
  const [clientPort, peerPort, port] = [await freePort(), await freePort(), await freePort()];
  const etcdUrl = `http://127.0.0.1:${clientPort}`;
  const peerUrl = `http://127.0.0.1:${peerPort}`;
  const etcd = start(
    [
      findProgram('etcd') ?? '',
      `--data-dir=${join(directory, 'etcd')}`,
      `--listen-client-urls=${etcdUrl}`,
      `--advertise-client-urls=${etcdUrl}`,
      `--listen-peer-urls=${peerUrl}`,
      `--initial-advertise-peer-urls=${peerUrl}`,
      `--initial-cluster=default=${peerUrl}`,
      '--quota-backend-bytes=4294967296',
    ],
    join(directory, 'etcd.log'),
  );
  const key = join(directory, 'sa.key');
  const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
  writeFileSync(key, privateKey.export({ type: 'pkcs1', format: 'pem' }));
  const token = 'bench';
  writeFileSync(join(directory, 'tokens'), `${token},admin,admin,system:masters\n`);
  const server = start(
    [
      join(kubernetesDirectory, 'kube-apiserver'),
      `--etcd-servers=${etcdUrl}`,
      '--bind-address=127.0.0.1',
      '--advertise-address=127.0.0.1',
      `--secure-port=${port}`,
      '--insecure-port=0',
      `--cert-dir=${directory}`,
      `--token-auth-file=${join(directory, 'tokens')}`,
      '--authorization-mode=Node,RBAC',
      '--service-cluster-ip-range=10.96.0.0/16',
      '--service-account-issuer=https://kubernetes.default.svc',
      `--service-account-signing-key-file=${key}`,
      `--service-account-key-file=${key}`,
      ...auditFlags(directory, options),
    ],
    join(directory, 'apiserver.log'),
  );
  const access = { server: `https://127.0.0.1:${port}`, token };
  return ready('kube-apiserver + etcd', access, [server, etcd]);
}

function start(command: readonly string[], log: string): ChildProcess {
  const child = spawn('sh', ['-c', 'log=$1; shift; exec "$@" >"$log" 2>&1', 'sh', log, ...command], {
    stdio: 'ignore',
    cwd: repositoryRoot,
  });
  // The row's end, however it comes, is theirs.
  process.once('exit', () => child.kill('SIGKILL'));
  return child;
}

async function eventually(
  what: string,
  claim: () => boolean | Promise<boolean>,
  processes: readonly ChildProcess[],
): Promise<void> {
  const giveUpMs = performance.now() + readyTimeoutMs;
  while (!(await claim())) {
    const isDead = processes.some(({ exitCode }) => exitCode !== null);
    if (isDead || performance.now() > giveUpMs) throw new Error(`start ${what}: not ready`);
    await sleep(50);
  }
}

async function ready(name: string, access: Access, processes: readonly ChildProcess[]): Promise<BenchServer> {
  await eventually(name, () => isReady(access), processes);
  return {
    name,
    access,
    residentMegabytes: () => processes.reduce((sum, { pid = 0 }) => sum + residentMegabytes(pid), 0),
    [Symbol.asyncDispose]: async () => {
      for (const child of processes) {
        if (child.exitCode !== null || child.signalCode !== null) continue;
        const ended = once(child, 'exit');
        child.kill('SIGKILL');
        await ended;
      }
    },
  };
}

async function isReady(access: Access): Promise<boolean> {
  try {
    await using client = await openClient(access);

    await client.request('GET', '/readyz');
    await client.request('GET', '/api/v1/namespaces/default');
    return true;
  } catch {
    return false; // Not yet; whoever waits gives up in the end.
  }
}

function residentMegabytes(pid: number): number {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8');
  return (Number(/^VmRSS:\s+(\d+) kB/m.exec(status)?.[1]) * 1024) / 1e6;
}
