/**
 * A server and a node as installed programs run, each in network, mount and UTS namespaces of their own, and "outside": a host
 * beyond the node's own default route, which has no route to pods and none to the link of the two.
 *
 *   server 192.0.2.1 ── 192.0.2.11 node 198.51.100.1 ── 198.51.100.2 outside (203.0.113.7 on lo: DNS, HTTP)
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { createInterface } from 'node:readline';

import { repositoryRoot } from '#bin/paths.ts';
import { findCgroupRoot } from '#bin/program/cgroup-root.ts';
import { programCommand, programEnvironment } from '#bin/program/program.ts';
import { eventually, findKubectl, run, words, type CommandResult, type RunOptions } from './cluster.ts';

export const outsideIp = '203.0.113.7';
export const nodeIpOutside = '198.51.100.1';
export const serverIp = '192.0.2.1';
export const nodeIp = '192.0.2.11';

type HostName = 'server' | 'node' | 'outside';

/** Programs of ours on hosts of the test's own. */
export interface TestHosts extends AsyncDisposable {
  readonly directory: string;
  /** The node's /etc/resolv.conf; written in place. */
  readonly resolvConf: string;
  startServer(more?: readonly string[]): Promise<void>;
  startAgent(more?: readonly string[]): Promise<void>;
  /** SIGTERM, if nothing else, and waits for its end; its pods go on. */
  stopAgent(signal?: NodeJS.Signals): Promise<void>;
  /** What `uninstall agent` does once the unit is stopped. */
  endNode(): Promise<CommandResult>;
  /** A program that stays, in the namespaces of a host; what it says goes to a file in the directory. Killed at the end. */
  spawn(host: HostName, command: readonly string[], log: string): ChildProcess;
  /** A command line that runs another in the namespaces of a host. */
  inside(host: HostName, command: readonly string[]): readonly string[];
  /** Runs a command in the namespaces of a host. */
  inHost(host: HostName, command: readonly string[], options?: RunOptions): Promise<CommandResult>;
  /** Throws with stderr when it fails; gives stdout. */
  kubectl(args: string, options?: RunOptions): Promise<string>;
}

const holderScript = `
set -e
mount --make-rshared /
mount -t tmpfs -o mode=0755 surround-run "$1/run"
mount --bind "$1/resolv.conf" /etc/resolv.conf
mount --bind "$1/var-log" /var/log
ip link set lo up
echo ready
exec >/dev/null
exec sleep infinity
`;

/** Answers every question about an A record with its own address, and every request with who asked. */
export const outsideScript = `
const dns = require('node:dgram').createSocket('udp4');
dns.on('message', (query, from) => {
  const end = query.indexOf(0, 12) + 5;
  const isA = query.readUInt16BE(end - 4) === 1;
  const head = Buffer.from(query.subarray(0, 12));
  head.writeUInt16BE(0x8180, 2);
  for (const [at, count] of [[4, 1], [6, isA ? 1 : 0], [8, 0], [10, 0]]) head.writeUInt16BE(count, at);
  const answer = Buffer.from([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 1, 0, 4, 203, 0, 113, 7]);
  dns.send(Buffer.concat([head, query.subarray(12, end), ...(isA ? [answer] : [])]), from.port, from.address);
});
dns.bind(53, '203.0.113.7');
require('node:http').createServer((request, response) => response.end(request.socket.remoteAddress))
  .listen(80, '203.0.113.7', () => console.log('ready'));
`;

export async function startHosts(): Promise<TestHosts> {
  await using undo = new AsyncDisposableStack();

  const directory = mkdtempSync(join(tmpdir(), 'podwright-hosts-'));
  undo.defer(() => rmSync(directory, { recursive: true, force: true }));
  for (const name of ['run', 'var-log']) mkdirSync(join(directory, name));
  const resolvConf = join(directory, 'resolv.conf');
  writeFileSync(resolvConf, `nameserver ${outsideIp}\n`);
  const pids = { server: 0, node: 0, outside: 0 };
  for (const name of ['server', 'node', 'outside'] as const) {
    const command = [
      'unshare',
      '--net',
      '--mount',
      '--uts',
      '--propagation',
      'slave',
      'sh',
      '-c',
      holderScript,
    ];
    const holder = start([...command, 'sh', directory], undo);
    await lineOf(holder);
    pids[name] = holder.pid ?? 0;
  }
  const inside = (host: HostName, command: readonly string[]): readonly string[] => [
    'nsenter',
    `--target=${pids[host]}`,
    '--net',
    '--mount',
    '--uts',
    '--',
    ...command,
  ];
  const inHost: TestHosts['inHost'] = (host, command, options) => run(inside(host, command), options);
  await layCables(pids, inHost);
  await lineOf(start(inside('outside', [process.execPath, '-e', outsideScript]), undo));

  const cgroup = join(findCgroupRoot(), basename(directory));
  const agentData = join(directory, 'agent');
  const ownKubeconfig = join(directory, 'server', 'kubeconfig');
  const endNode = (): Promise<CommandResult> => {
    const script = join(repositoryRoot, 'test', 'cluster', 'end-node.fixture.ts');
    const command = [process.execPath, script, cgroup, join(directory, 'run', 'agent'), agentData];
    return inHost('node', command, { timeoutMs: 200_000 });
  };
  undo.defer(async () => {
    if (!existsSync(agentData)) return;
    const { code, stderr } = await endNode();
    if (code !== 0) throw new Error(`end the node: ${stderr}`);
  });
  const running = undo.use(new AsyncDisposableStack());
  const programs = createPrograms({ directory, inside, undo: running });
  const owned = undo.move();
  return {
    directory,
    resolvConf,
    inside,
    inHost,
    spawn: (host, command, log) => {
      const file = openSync(join(directory, log), 'a');
      return start(inside(host, command), running, { stdio: ['ignore', file, file, 'ignore'] });
    },
    endNode,
    startServer: (more = []) =>
      programs.start('server', [
        ...['--data', join(directory, 'server'), '--listen', `${serverIp}:6443`],
        ...['--advertise-address', serverIp, '--node', `n1=${nodeIp}`, ...more],
      ]),
    startAgent: (more = []) =>
      programs.start('agent', [
        ...['--data', agentData, '--run', join(directory, 'run', 'agent'), '--node-ip', nodeIp],
        ...['--credentials', join(directory, 'server', 'nodes', 'n1'), '--cgroup', cgroup, ...more],
      ]),
    stopAgent: (signal = 'SIGTERM') => programs.stop('agent', signal),
    kubectl: async (args, options) => {
      const command = [findKubectl(), '--kubeconfig', ownKubeconfig, ...words(args)];
      const { code, stdout, stderr } = await inHost('server', command, options);
      if (code !== 0) throw new Error(`kubectl ${args}: ${stderr}`);
      return stdout;
    },
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

interface ProgramsInput {
  readonly directory: string;
  readonly inside: (host: HostName, command: readonly string[]) => readonly string[];
  readonly undo: AsyncDisposableStack;
}

interface Programs {
  start(role: 'server' | 'agent', args: readonly string[]): Promise<void>;
  stop(role: 'server' | 'agent', signal: NodeJS.Signals): Promise<void>;
}

/** Our two programs; each is waited for until it says that it is ready. */
function createPrograms({ directory, inside, undo }: ProgramsInput): Programs {
  const running = new Map<string, ChildProcess>();
  return {
    start: async (role, args) => {
      const ready = join(directory, `${role}.ready`);
      rmSync(ready, { force: true });
      const log = openSync(join(directory, `${role}.log`), 'a');
      const environment = { ...programEnvironment(role), PODWRIGHT_READY_FD: '3' };
      const command = [...programCommand(role, ['--disable-warning=ExperimentalWarning']), ...args];
      const stdio = ['ignore', log, log, openSync(ready, 'w')] as const;
      const child = start(inside(role === 'agent' ? 'node' : 'server', command), undo, {
        environment,
        stdio,
      });
      running.set(role, child);
      await eventually(
        `${role} ready`,
        async () => {
          if (child.exitCode !== null)
            throw new Error(`${role} ended:\n${readFileSync(join(directory, `${role}.log`), 'utf8')}`);
          return readFileSync(ready, 'utf8') !== '';
        },
        240_000,
      );
    },
    stop: async (role, signal) => {
      const child = running.get(role);
      if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
      const ended = once(child, 'exit');
      child.kill(signal);
      await ended;
    },
  };
}

interface StartOptions {
  readonly environment?: Readonly<Record<string, string>>;
  readonly stdio?: readonly ['ignore', number, number, number | 'ignore'];
}

/** nsenter executes what it is given, so the child is the program itself. */
function start(
  command: readonly string[],
  undo: AsyncDisposableStack,
  options: StartOptions = {},
): ChildProcess {
  const [program = '', ...args] = command;
  const child = spawn(program, args, {
    stdio: options.stdio === undefined ? ['ignore', 'pipe', 'inherit'] : [...options.stdio],
    env: { ...process.env, ...options.environment },
    cwd: '/',
  });
  undo.defer(async () => {
    if (child.exitCode !== null || child.signalCode !== null) return;
    const ended = once(child, 'exit');
    child.kill('SIGKILL');
    await ended;
  });
  return child;
}

async function lineOf(child: ChildProcess): Promise<void> {
  if (child.stdout === null) throw new TypeError('its output is a pipe');
  await Promise.race([
    once(createInterface({ input: child.stdout }), 'line'),
    once(child, 'exit').then(([code]) => {
      throw new Error(`${child.spawnargs.join(' ')} ended with ${String(code)}`);
    }),
  ]);
}

async function layCables(
  pids: Readonly<Record<HostName, number>>,
  inHost: TestHosts['inHost'],
): Promise<void> {
  const commands: readonly (readonly [HostName, string])[] = [
    ['server', `ip link add eth0 type veth peer name eth0 netns ${pids.node}`],
    ['server', `ip address add ${serverIp}/24 dev eth0`],
    ['server', 'ip link set eth0 up'],
    ['node', `ip address add ${nodeIp}/24 dev eth0`],
    ['node', 'ip link set eth0 up'],
    ['node', `ip link add eth1 type veth peer name eth0 netns ${pids.outside}`],
    ['node', `ip address add ${nodeIpOutside}/24 dev eth1`],
    ['node', 'ip link set eth1 up'],
    ['outside', 'ip address add 198.51.100.2/24 dev eth0'],
    ['outside', 'ip link set eth0 up'],
    ['outside', `ip address add ${outsideIp}/32 dev lo`],
    ['node', 'ip route add default via 198.51.100.2'],
  ];
  for (const [host, command] of commands) {
    const { code, stderr } = await inHost(host, words(command));
    if (code !== 0) throw new Error(`${command}: ${stderr}`);
  }
}
