/** A second node joins by one command, on a host of its own beside those of `up`, is killed and comes back; its certificates are renewed. */
import type { ChildProcess } from 'node:child_process';
import { X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import { readdirSync, readFileSync } from 'node:fs';
import { basename, join } from 'node:path';

import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { repositoryRoot } from '#bin/paths.ts';
import { loadKubeconfig } from '#client/kubeconfig.ts';
import { systemClock } from '#base/clock.ts';
import { findCgroupRoot } from '#bin/program/cgroup-root.ts';
import { canTestClusters, eventually } from './cluster.ts';
import { serverIp, startHosts, type TestHosts } from './hosts.ts';

/** Renewed within 24 s after they were issued, and no sooner than after 10 s: 70 to 90 % of what is dated back five minutes. */
const signing = ['--cluster-signing-duration', '60s'];
const name = 'joined';

const canTest = canTestClusters();

describe.skipIf(!canTest)('a node that joins (needs root, kubectl, ip, nft)', { timeout: 300_000 }, () => {
  let hosts: TestHosts;
  let agent: ChildProcess | undefined;
  let line: readonly string[] = [];
  /** Of the node when it had joined. */
  let first: X509Certificate | undefined;
  beforeAll(async () => {
    hosts = await startHosts();
    await hosts.startServer(signing);
  }, 300_000);
  afterAll(async () => {
    if (agent !== undefined) await ended(agent, 'SIGTERM');
    await hosts?.[Symbol.asyncDispose]();
  }, 300_000);

  const podwright = (host: 'server' | 'node', args: readonly string[]) =>
    hosts.inHost(host, [join(repositoryRoot, 'podwright'), ...args]);
  const credentials = (): string => join(hosts.directory, 'agent', 'credentials');
  const options = (): readonly string[] => [
    ...['--data', join(hosts.directory, 'agent'), '--run', join(hosts.directory, 'run', 'agent')],
    ...['--cgroup', join(findCgroupRoot(), basename(hosts.directory))],
  ];
  const certificate = (): X509Certificate =>
    new X509Certificate(loadKubeconfig(join(credentials(), 'kubeconfig'), systemClock).clientCertPem ?? '');

  async function startJoin(): Promise<void> {
    agent = hosts.spawn(
      'node',
      [join(repositoryRoot, 'podwright'), ...line, ...options(), '--name', name],
      'join.log',
    );
  }

  test('the server prints the line', async () => {
    const create = ['token', 'create', '--data', join(hosts.directory, 'server'), '--print-join-command'];
    const { code, stdout, stderr } = await podwright('server', create);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(stdout).toMatch(
      new RegExp(
        `^podwright join https://${serverIp}:6443 --token [a-z0-9]{6}\\.[a-z0-9]{16} --ca-hash sha256:[0-9a-f]{64}\n$`,
      ),
    );
    line = stdout.trim().split(' ').slice(1);
    const list = await podwright('server', ['token', 'list', '--data', join(hosts.directory, 'server')]);
    expect(list.stdout).toContain('authentication,signing');
  });

  test('with something wrong it says so in one line, and leaves nothing', async () => {
    const [command = '', url = '', ...rest] = line;
    const wrong = rest.map((word) => (word.startsWith('sha256:') ? `sha256:${'0'.repeat(64)}` : word));
    for (const [args, want] of [
      [
        [command, url, ...wrong],
        /^podwright: join .*the cluster's authority is sha256:[0-9a-f]{64}, not the one of --ca-hash.*\n$/,
      ],
      [[command, 'https://192.0.2.1:1', ...rest], /^podwright: join .*ECONNREFUSED.*\n$/],
    ] as const) {
      const { code, stderr } = await podwright('node', [...args, ...options()]);
      expect(code).toBe(1);
      expect(stderr).toMatch(want);
      expect(readdirSync(hosts.directory)).not.toContain('agent');
    }
  });

  test('with the line it joins and runs a pod', async () => {
    await startJoin();
    await eventually(
      'the node',
      async () => (await hosts.kubectl('get nodes -o name')).includes(`node/${name}`),
      120_000,
    );
    first = certificate();
    await hosts.kubectl(`wait --for=condition=Ready node/${name} --timeout=120s`);
    await hosts.kubectl('create -f -', { input: pod });
    await hosts.kubectl('wait --for=condition=Ready pod/p --timeout=120s');
    const requests = await hosts.kubectl('get csr');
    expect(requests).toMatch(/kube-apiserver-client-kubelet +system:bootstrap:[a-z0-9]{6} .*Approved,Issued/);
  });

  test('what it shows is signed once the Node is there: logs and exec go through', async () => {
    await eventually('exec', () =>
      hosts.kubectl('exec p -- echo through').then(
        (text) => text === 'through\n',
        () => false,
      ),
    );
    expect(await hosts.kubectl('logs p')).toContain('hello');
  });

  test('killed, it comes back by its certificate, whatever became of the token', async () => {
    const id = line[line.indexOf('--token') + 1]?.slice(0, 6) ?? '';
    const revoke = ['token', 'revoke', id, '--data', join(hosts.directory, 'server')];
    expect((await podwright('server', revoke)).stdout).toBe(`token ${id} revoked\n`);
    if (agent !== undefined) await ended(agent, 'SIGKILL');
    await startJoin();
    await eventually('the agent', async () =>
      readFileSync(join(hosts.directory, 'join.log'), 'utf8').includes(`${name} has its credentials in`),
    );
    await eventually(
      'exec',
      () =>
        hosts.kubectl('exec p -- echo again').then(
          (text) => text === 'again\n',
          () => false,
        ),
      180_000,
    );
    expect(await hosts.kubectl('get pod p -o jsonpath={.status.containerStatuses[0].restartCount}')).toBe(
      '0',
    );
  });

  test('its certificates are renewed before they end, without a restart', async () => {
    const before = first ?? certificate();
    await eventually(
      'a renewed certificate',
      async () => certificate().serialNumber !== before.serialNumber,
      120_000,
    );
    // Past the end of the first, which was good for a minute.
    await eventually('its end', async () => Date.now() > before.validToDate.getTime() + 2_000, 180_000);
    expect(await hosts.kubectl('exec p -- echo still')).toBe('still\n');
    await hosts.kubectl('create -f -', { input: pod.replace('name: p', 'name: q') });
    await hosts.kubectl('wait --for=condition=Ready pod/q --timeout=120s');
    expect(agent?.exitCode).toBeNull();
  });
});

const pod = `
apiVersion: v1
kind: Pod
metadata: { name: p }
spec:
  containers:
  - { name: c, image: 'podwright/demo:1', command: [sh, -c, 'echo hello; sleep 100000'] }
`;

async function ended(child: ChildProcess, signal: NodeJS.Signals): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const end = once(child, 'exit');
  child.kill(signal);
  await end;
}
