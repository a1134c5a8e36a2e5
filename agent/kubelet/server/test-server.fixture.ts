import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import net from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { systemClock, type Clock } from '#base/clock.ts';
import { PodwrightError } from '#base/errors.ts';
import { silentLogger } from '#base/log.ts';
import type { Pod } from '#api/generated/objects.ts';
import type { JsonObject } from '#api/meta/object.ts';
import { objectOf } from '#api/wire/json.ts';
import type { ApiClient } from '#client/client.ts';
import { createFakeRuntime, type FakeRuntime } from '#agent/runtime/runtime.fake.ts';
import type { ContainerConfig, ExecSession, SandboxConfig } from '#agent/runtime/runtime.ts';
import { HttpCounts } from '#agent/kubelet/stats/http-counts.ts';
import { createAppliedRules } from '#agent/proxy/retraction/applied-rules.ts';
import { createAccess, defaultAccess, type AccessOptions } from './access/access.ts';
import { createReviews } from './access/reviews.ts';
import { startKubeletServer, type KubeletServer } from './kubelet-server.ts';

/** PEM texts of an authority, a server for 127.0.0.1, and clients of two groups. */
export interface TestPki {
  readonly ca: string;
  readonly server: { readonly key: string; readonly cert: string };
  readonly admin: { readonly key: string; readonly cert: string };
  readonly nobody: { readonly key: string; readonly cert: string };
}

export function makePki(directory: string): TestPki {
  const run = (...args: readonly string[]): void =>
    void execFileSync('openssl', args, { cwd: directory, stdio: 'pipe' });
  const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'];
  run('req', '-x509', ...key, '-keyout', 'ca.key', '-out', 'ca.pem', '-subj', '/CN=test-ca', '-days', '2');
  const issue = (name: string, subject: string): { key: string; cert: string } => {
    run('req', ...key, '-keyout', `${name}.key`, '-out', `${name}.csr`, '-subj', subject);
    writeFileSync(path.join(directory, 'ext'), 'subjectAltName=IP:127.0.0.1');
    const files = [
      '-in',
      `${name}.csr`,
      '-CA',
      'ca.pem',
      '-CAkey',
      'ca.key',
      '-CAcreateserial',
      '-out',
      `${name}.pem`,
    ];
    run('x509', '-req', ...files, '-days', '2', '-extfile', 'ext');
    return { key: read(directory, `${name}.key`), cert: read(directory, `${name}.pem`) };
  };
  return {
    ca: read(directory, 'ca.pem'),
    server: issue('server', '/O=system:nodes/CN=system:node:n'),
    admin: issue('admin', '/CN=kube-apiserver-kubelet-client'),
    nobody: issue('nobody', '/O=system:nodes/CN=system:node:other'),
  };
}

function read(directory: string, name: string): string {
  return readFileSync(path.join(directory, name), 'utf8');
}

/** A kubelet server whose one pod, default/web, runs commands of this machine and echoes on every port. */
export interface TestServer extends AsyncDisposable {
  readonly server: KubeletServer;
  readonly pki: TestPki;
  readonly pod: Pod;
  readonly runtime: FakeRuntime;
  readonly reviews: FakeReviews;
}

/** Whom the tests' API server knows. */
export const tokens: Readonly<Record<string, string>> = { t1: 'system:serviceaccount:monitoring:prometheus' };

/** An API server that answers reviews: those in `tokens` may read metrics, `admin` everything. */
export interface FakeReviews extends Pick<ApiClient, 'create'> {
  /** What it was asked, in short. */
  readonly asked: string[];
  isDown: boolean;
}

export function createFakeReviews(): FakeReviews {
  const asked: string[] = [];
  const fake: FakeReviews = {
    asked,
    isDown: false,
    create: async (_kind, object) => {
      if (fake.isDown) throw new PodwrightError('E_CONNECTION', 'nobody answers');
      return { ...object, status: answer(objectOf(objectOf(object)['spec'])) };
    },
  };
  const answer = (spec: JsonObject): unknown => {
    if (spec['token'] !== undefined) {
      asked.push(`who is ${String(spec['token'])}`);
      const username = tokens[String(spec['token'])];
      return username === undefined
        ? { authenticated: false }
        : { authenticated: true, user: { username, uid: 'u', groups: ['system:serviceaccounts'] } };
    }
    const { verb, subresource, resource, name } = objectOf(spec['resourceAttributes']);
    asked.push(
      `${String(spec['user'])} ${String(verb)} ${String(resource)}/${String(name)}/${String(subresource)}`,
    );
    const isReader = Object.values(tokens).includes(String(spec['user'])) && subresource === 'metrics';
    return { allowed: spec['user'] === 'kube-apiserver-kubelet-client' || isReader };
  };
  return fake;
}

export async function startTestServer(
  more: { readonly access?: AccessOptions; readonly clock?: Clock } = {},
): Promise<TestServer> {
  await using undo = new AsyncDisposableStack();

  const directory = mkdtempSync(path.join(tmpdir(), 'kubelet-server-'));
  undo.defer(() => rmSync(directory, { recursive: true, force: true }));
  const pki = makePki(directory);
  const pod: Pod = {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: 'web', namespace: 'default', uid: 'u1' },
    spec: { nodeName: 'n', containers: [{ name: 'main', image: 'busybox' }] },
    status: { phase: 'Running' },
  };
  const echo = net.createServer(
    { allowHalfOpen: true },
    (socket) => void socket.on('error', () => undefined).pipe(socket),
  );
  echo.listen(0, '127.0.0.1');
  await once(echo, 'listening');
  undo.defer(() => void echo.close());
  const address = echo.address();
  const echoPort = typeof address === 'object' && address !== null ? address.port : 0;
  const runtime = createFakeRuntime({
    clock: systemClock,
    onConnect: async (_uid, port) => {
      const socket = net.connect({ port: port === 9 ? 9 : echoPort, host: '127.0.0.1', allowHalfOpen: true });
      await once(socket, 'connect');
      return socket;
    },
  });
  undo.use(runtime);
  runtime.exec = (_uid, _id, { args }) => Promise.resolve(execHere(args));
  const { id } = runtime.images.add('busybox');
  const signal = new AbortController().signal;
  await runtime.runSandbox(sandboxConfig, signal);
  const logPath = path.join(directory, 'logs', '0.log');
  mkdirSync(path.dirname(logPath));
  writeFileSync(logPath, '2026-01-01T00:00:00Z stdout F one\n2026-01-01T00:00:01Z stderr F two\n');
  await runtime.startContainer(
    'u1',
    { ...containerConfig, imageId: id, stdio: { ...containerConfig.stdio, logPath } },
    signal,
  );
  const reviews = createFakeReviews();
  const requests = new HttpCounts();
  const { access = defaultAccess, clock = systemClock } = more;
  const applied = createAppliedRules(clock);
  applied.follow({ revision: () => 7, mode: () => 'nftables', tables: async () => [] });
  const server = await startKubeletServer({
    access: createAccess(access, createReviews({ client: reviews, nodeName: 'n', clock }), silentLogger),
    hosts: ['127.0.0.1'],
    port: 0,
    tls: { ...pki.server, clientCa: pki.ca },
    runtime,
    clock: systemClock,
    logger: silentLogger,
    directories: {
      pods: directory,
      podsMemory: directory,
      volumes: directory,
      logs: directory,
      kubelet: directory,
    },
    pods: () => [pod],
    podByName: (namespace, name) => (namespace === 'default' && name === 'web' ? pod : undefined),
    readStats: () => Promise.reject(new Error('not asked for here')),
    config: {},
    flags: { 'max-pods': '110' },
    requests,
    applied,
    networkFacts: (uids) => Promise.resolve(uids as never), // Said back.
    probeMetrics: () => '',
    metrics: () => requests.render(),
  });
  undo.use(server);
  const owned = undo.move();
  return { server, pki, pod, runtime, reviews, [Symbol.asyncDispose]: () => owned.disposeAsync() };
}

/** A command of this machine in place of one in a container. */
function execHere(args: readonly string[]): ExecSession {
  const [command = 'true', ...rest] = args;
  const child = spawn(command, rest, { stdio: 'pipe' });
  const exit = Promise.withResolvers<number>();
  child.once('error', () => exit.resolve(127));
  child.once('exit', (code) => exit.resolve(code ?? 137));
  child.stdin.on('error', () => undefined);
  return {
    streams: {
      stdin: child.stdin,
      stdout: child.stdout,
      stderr: child.stderr,
      resize: (columns, rows) => void child.stdin.write(`${columns}x${rows}\n`),
      [Symbol.asyncDispose]: async () => void child.stdin.destroy(),
    },
    exitCode: exit.promise,
    kill: async () => void child.kill('SIGKILL'),
  };
}

const sandboxConfig: SandboxConfig = {
  uid: 'u1',
  namespace: 'default',
  name: 'web',
  attempt: 0,
  hostname: 'web',
  labels: {},
  annotations: {},
  hostNetwork: false,
  hostPid: false,
  hostIpc: false,
  sharePidNamespace: false,
  sysctls: {},
  portMappings: [],
  cgroupParent: 'kubepods/podu1',
  resources: {},
};

const containerConfig: ContainerConfig = {
  id: 'c'.repeat(64),
  name: 'main',
  attempt: 0,
  imageId: '',
  image: 'busybox',
  command: [],
  args: [],
  env: [],
  workingDir: undefined,
  mounts: [],
  user: { fsGroups: [] },
  runAsNonRoot: false,
  security: {
    capabilities: [],
    noNewPrivileges: false,
    privileged: false,
    seccomp: 'unconfined',
    readonlyRoot: false,
    maskedPaths: [],
    readonlyPaths: [],
  },
  devices: [],
  rlimits: [],
  oomScoreAdj: 0,
  resources: {},
  stdio: { logPath: undefined, stdin: false, stdinOnce: false, tty: false },
  stopSignal: undefined,
};
