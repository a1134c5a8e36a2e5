/** A cluster of ours for a test: `podwright up` in a directory of its own, driven by real clients. */
import { execFile, spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';

import { repositoryRoot } from '#bin/paths.ts';
import { readState, type UpState } from '#bin/up/state.ts';
import { createAsker } from './ask.ts';

export interface CommandResult {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

export interface RunOptions {
  readonly input?: string;
  readonly timeoutMs?: number;
  readonly environment?: Readonly<Record<string, string>>;
}

/** Runs a command to its end; never throws for its exit code. */
export function run(command: readonly string[], options: RunOptions = {}): Promise<CommandResult> {
  const [program = '', ...args] = command;
  const { promise, resolve } = Promise.withResolvers<CommandResult>();
  const child = execFile(
    program,
    args,
    {
      timeout: options.timeoutMs ?? 150_000,
      maxBuffer: 256 * 1_048_576,
      // A kubectl ends before its rubbish matters.
      env: { GOGC: '400', ...process.env, ...options.environment },
    },
    (error, stdout, stderr) => {
      const code = error === null ? 0 : typeof error.code === 'number' ? error.code : 255;
      resolve({ code, stdout, stderr: stderr === '' && code === 255 ? String(error) : stderr });
    },
  );
  child.stdin?.on('error', () => undefined); // The program may end before it read all.
  child.stdin?.end(options.input ?? '');
  return promise;
}

const pollMs = 50;
const pollMsMax = 500;

/**
 * Polls a claim about the outside world until it holds. The deadline is generous; nothing is measured by it. Between questions that take long (kubectl is 0.2 s of
 * processor time) the pause is as long, up to half a second: what it waits for wants the processors, too.
 */
export async function eventually<T>(
  what: string,
  probe: () => Promise<T | undefined | false>,
  deadlineMs = 120_000,
): Promise<T> {
  const giveUp = Date.now() + deadlineMs;
  for (;;) {
    const startMs = Date.now();
    const result = await probe();
    if (result !== undefined && result !== false) return result;
    if (Date.now() > giveUp) throw new Error(`${what}: not within ${deadlineMs} ms`);
    const pauseMs = Math.min(Math.max(Date.now() - startMs, pollMs), pollMsMax);
    await new Promise((resolve) => void setTimeout(resolve, pauseMs));
  }
}

export interface TestCluster extends AsyncDisposable {
  readonly dataDir: string;
  readonly kubeconfig: string;
  readonly port: number;
  readonly up: ChildProcess;
  state(): Promise<UpState>;
  /** What `up` printed so far. */
  said(): string;
  /** What the kubectl of the machine (1.32 or newer) does and prints; what `ask.ts` can tell as well is asked without it. */
  kubectl(args: string, options?: RunOptions): Promise<CommandResult>;
  /** Like kubectl, and throws with stderr when it fails; gives stdout. */
  must(args: string, options?: RunOptions): Promise<string>;
  /** Runs a command in the network namespace of a host of the cluster. */
  inHost(host: string, command: readonly string[], options?: RunOptions): Promise<CommandResult>;
  /** A kubeconfig for use inside the cluster's own network. */
  insideKubeconfig(): string;
}

const kubectlPaths = [
  '/usr/lib/google-cloud-sdk/bin/kubectl.1.32',
  '/usr/local/bin/kubectl',
  '/usr/bin/kubectl',
];

/** kubectl of the cloud SDK, where the machine has it, is a dispatcher; the versions beside it are the programs. */
export function findKubectl(): string {
  const found = kubectlPaths.find((path) => existsSync(path));
  if (found === undefined) throw new Error('find kubectl: install one of version 1.32 or newer');
  return found;
}

const programDirectories = ['/usr/sbin', '/usr/bin', '/sbin', '/bin'];

/** Whether this machine has what tests of whole clusters look with: root, kubectl, ip and nft. A fresh one has neither of the last. */
export function canTestClusters(): boolean {
  const has = (program: string): boolean =>
    programDirectories.some((directory) => existsSync(join(directory, program)));
  return process.getuid?.() === 0 && kubectlPaths.some((path) => existsSync(path)) && has('ip') && has('nft');
}

/** Words of a command line; single and double quotes group. */
export function words(text: string): readonly string[] {
  return [...text.matchAll(/"([^"]*)"|'([^']*)'|(\S+)/g)].map(
    ([, double, single, bare]) => double ?? single ?? bare ?? '',
  );
}

export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  server.close();
  await once(server, 'close');
  if (address === null || typeof address === 'string') throw new Error('find a free port');
  return address.port;
}

export async function startCluster(
  options: {
    readonly nodes?: number;
    readonly dataDir?: string;
    readonly umask?: string;
    /** Besides that of the tests: of the launcher, and of server and agents. */
    readonly environment?: Readonly<Record<string, string>>;
    /** More for `up`. */
    readonly more?: readonly string[];
    /** A network and a mount namespace play the machine, made ready by this script. */
    readonly machine?: string;
  } = {},
): Promise<TestCluster> {
  const parent = options.dataDir === undefined ? mkdtempSync(join(tmpdir(), 'podwright-')) : undefined;
  const dataDir = options.dataDir ?? join(parent ?? '', 'data');
  const port = await freePort();
  const nodes = String(options.nodes ?? 1);
  const { machine, more = [] } = options;
  const inMachine =
    machine === undefined ? [] : ['unshare', '--net', '--mount', 'sh', '-ec', `${machine}; exec "$@"`, 'sh'];
  const command = [
    ...inMachine,
    ...[join(repositoryRoot, 'podwright'), 'up', '--nodes', nodes, '--data', dataDir],
    ...['--port', String(port), ...more],
  ];
  const up = spawn('sh', ['-c', `umask ${options.umask ?? '022'}; exec "$@"`, 'sh', ...command], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, ...options.environment },
  });
  const said: string[] = [];
  const note = (chunk: Buffer): void => void said.push(chunk.toString());
  up.stderr.on('data', note);
  const ready = Promise.withResolvers<void>();
  createInterface({ input: up.stdout }).on('line', (line) => {
    said.push(`${line}\n`);
    if (line.startsWith('ready in')) ready.resolve();
  });
  up.once('exit', (code) =>
    ready.reject(new Error(`podwright up ended with ${code}:\n${said.join('')}\n${logs(dataDir)}`)),
  );
  await ready.promise;
  return cluster({ dataDir, port, up, parent, said: () => said.join(''), isMachine: machine === undefined });
}

function logs(dataDir: string): string {
  return ['server/server.log', 'node-1/agent.log']
    .map((file) => join(dataDir, file))
    .filter((file) => existsSync(file))
    .map((file) => `--- ${file}\n${readFileSync(file, 'utf8').split('\n').slice(-20).join('\n')}`)
    .join('\n');
}

function cluster(parts: {
  dataDir: string;
  port: number;
  up: ChildProcess;
  parent: string | undefined;
  said: () => string;
  /** Whether its loopback is the machine's. */
  isMachine: boolean;
}): TestCluster {
  const { dataDir, port, up, parent, said, isMachine } = parts;
  const kubeconfig = join(dataDir, 'kubeconfig');
  const onMachine = ['nsenter', `--net=/proc/${up.pid}/ns/net`];
  const state = async (): Promise<UpState> => {
    const value = await readState(dataDir);
    if (value === undefined) throw new Error(`no cluster runs in ${dataDir}`);
    return value;
  };
  const asker = createAsker(kubeconfig);
  const kubectl: TestCluster['kubectl'] = async (args, options) =>
    (isMachine ? await asker.answer(words(args), options?.input) : undefined) ??
    run([...onMachine, findKubectl(), '--kubeconfig', kubeconfig, ...words(args)], options);
  return {
    dataDir,
    kubeconfig,
    port,
    up,
    state,
    said,
    kubectl,
    must: async (args, options) => {
      const result = await kubectl(args, options);
      if (result.code !== 0)
        throw new Error(`kubectl ${args}: ${result.code}\n${result.stderr}${result.stdout}`);
      return result.stdout;
    },
    inHost: async (name, command, options) => {
      const host = (await state()).hosts.find((each) => each.name === name);
      if (host === undefined) throw new Error(`no host ${name}`);
      return run(['nsenter', `--target=${host.pid}`, '--net', '--', ...command], options);
    },
    insideKubeconfig: () => {
      const file = join(dataDir, 'kubeconfig.inside');
      writeFileSync(
        file,
        readFileSync(kubeconfig, 'utf8').replace(/https:\/\/127\.0\.0\.1:\d+/, 'https://172.31.255.1:6443'),
        { mode: 0o600 },
      );
      return file;
    },
    [Symbol.asyncDispose]: async () => {
      await asker[Symbol.asyncDispose]();
      if (up.exitCode === null && up.signalCode === null) {
        const exited = once(up, 'exit');
        up.kill('SIGINT');
        await exited;
      }
      if (parent !== undefined) rmSync(parent, { recursive: true, force: true });
    },
  };
}
