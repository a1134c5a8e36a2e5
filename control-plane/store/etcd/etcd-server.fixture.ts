import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const program = '/usr/bin/etcd';

/** Why there are no tests on a real etcd; '' where it is installed. */
export const noEtcd: string = existsSync(program) ? '' : 'etcd is not installed (Debian: etcd-server)';

/** Real members on loopback, in a scratch directory. */
export interface EtcdServers extends AsyncDisposable {
  /** Of each member. */
  readonly urls: readonly string[];
  /** Stops a member at once, as a power cut would. */
  kill(member: number): Promise<void>;
  /** Starts a member that was killed, on what it had written. */
  start(member: number): Promise<void>;
  /** SIGSTOP and SIGCONT: it holds its connections and says nothing. */
  freeze(member: number): void;
  thaw(member: number): void;
}

export async function startEtcd(
  options: {
    readonly members?: number;
    /** With them clients are asked by TLS, and show a certificate of the same authority. */
    readonly tls?: { readonly cert: string; readonly key: string; readonly ca: string };
    /** Between heartbeats; an election begins after ten without one. Default 20: quick, where the machine is not busy. */
    readonly heartbeatMs?: number;
  } = {},
): Promise<EtcdServers> {
  const { members = 1, tls, heartbeatMs = 20 } = options;
  const directory = mkdtempSync(join(tmpdir(), 'podwright-etcd-'));
  const ports = await freePorts(members * 2);
  const urlOf = (port: number | undefined): string => `http://127.0.0.1:${port}`;
  const urls = ports
    .slice(0, members)
    .map(urlOf)
    .map((url) => (tls === undefined ? url : url.replace('http:', 'https:')));
  const peers = ports.slice(members).map(urlOf);
  const cluster = peers.map((url, member) => `m${member}=${url}`).join(',');
  const processes: (ChildProcess | undefined)[] = [];
  const start = async (member: number): Promise<void> => {
    const [client = '', peer = ''] = [urls[member], peers[member]];
    const dataDir = join(directory, `m${member}`);
    mkdirSync(dataDir, { recursive: true, mode: 0o700 });
    const own = ['--name', `m${member}`, '--data-dir', dataDir];
    const listen = ['--listen-client-urls', client, '--advertise-client-urls', client];
    const meet = ['--listen-peer-urls', peer, '--initial-advertise-peer-urls', peer];
    const [heartbeat, election] = [String(heartbeatMs), String(10 * heartbeatMs)];
    const pace = ['--heartbeat-interval', heartbeat, '--election-timeout', election, '--pre-vote'];
    const log = ['--logger', 'zap', '--log-level', 'error'];
    const secure =
      tls === undefined
        ? []
        : ['--client-cert-auth', '--cert-file', tls.cert, '--key-file', tls.key, '--trusted-ca-file', tls.ca];
    const args = [...own, ...listen, ...meet, '--initial-cluster', cluster, ...pace, ...log, ...secure];
    processes[member] = spawn(program, args, { stdio: 'ignore' });
  };
  const kill = async (member: number): Promise<void> => {
    const child = processes[member];
    processes[member] = undefined;
    if (child === undefined || child.exitCode !== null) return;
    child.kill('SIGKILL');
    await once(child, 'exit');
  };
  for (let member = 0; member < members; member++) await start(member);
  return {
    urls,
    kill,
    start,
    freeze: (member) => void processes[member]?.kill('SIGSTOP'),
    thaw: (member) => void processes[member]?.kill('SIGCONT'),
    [Symbol.asyncDispose]: async () => {
      for (let member = 0; member < members; member++) await kill(member);
      rmSync(directory, { recursive: true, force: true });
    },
  };
}

/** Ports that were free a moment ago. */
async function freePorts(count: number): Promise<readonly number[]> {
  const servers = Array.from({ length: count }, () => createServer().listen(0, '127.0.0.1'));
  await Promise.all(servers.map((server) => once(server, 'listening')));
  const ports = servers.map((server) => {
    const address = server.address();
    return typeof address === 'object' && address !== null ? address.port : 0;
  });
  await Promise.all(servers.map((server) => once(server.close(), 'close')));
  return ports;
}
