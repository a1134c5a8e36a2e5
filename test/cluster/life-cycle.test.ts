/** Restarts, back-off, earlier logs, readiness, and what is left when a cluster ends. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';

import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { clusterId, repositoryRoot } from '#bin/paths.ts';
import { clusterCgroupsOf } from '#bin/up/cluster-cgroups.ts';
import { canTestClusters, eventually, freePort, run, startCluster, type TestCluster } from './cluster.ts';

const canRun = canTestClusters();
const image = 'podwright/demo:1';

describe.skipIf(!canRun)('pods of podwright up (needs kubectl)', () => {
  let cluster: TestCluster;

  beforeAll(async () => {
    cluster = await startCluster({ umask: '077' });
  });

  afterAll(async () => {
    await cluster?.[Symbol.asyncDispose]();
  });

  it('gives pods of other users than root what they may see, whatever umask it was started with', async () => {
    const script =
      'ls / /data /data/sub >/dev/null && cat /etc/hosts >/dev/null && echo x >/data/sub/file && echo fine';
    const pod = {
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { name: 'other-user' },
      spec: {
        restartPolicy: 'Never',
        securityContext: { runAsUser: 1000 },
        volumes: [{ name: 'data', emptyDir: {} }],
        containers: [
          {
            name: 'c',
            image,
            command: ['sh', '-c', script],
            volumeMounts: [
              { name: 'data', mountPath: '/data' },
              { name: 'data', mountPath: '/data/sub', subPath: 'sub' },
            ],
          },
        ],
      },
    };
    await cluster.must('create -f -', { input: JSON.stringify(pod) });
    await eventually('its log', async () => (await cluster.kubectl('logs other-user')).stdout === 'fine\n');
    await cluster.must('delete pod other-user --grace-period=0 --force');
  });

  it('keeps its secrets to root, and lets others through to the kubeconfig', async () => {
    const modeOf = (path: string): string => (statSync(join(cluster.dataDir, path)).mode & 0o777).toString(8);
    expect(modeOf('.')).toBe('711');
    for (const directory of ['server', 'node-1', 'server/pki', 'server/store', 'server/nodes'])
      expect(modeOf(directory), directory).toBe('700');
    for (const file of ['kubeconfig', 'egress.sock', 'node-1/agent.sock', 'server/pki/ca.key'])
      expect(modeOf(file), file).toBe('600');
  });

  it('shows exit code 3, restarts with back-off, and keeps the earlier log', async () => {
    await cluster.must(`run failing --image=${image} -- sh -c "echo run at $(date +%s%N); exit 3"`);
    const field = (path: string): Promise<string> =>
      cluster.must(`get pod failing -o jsonpath={.status.containerStatuses[0].${path}}`);
    await eventually('a restart', async () => Number(await field('restartCount')) >= 1);
    expect(await field('lastState.terminated.exitCode')).toBe('3');
    await eventually('back-off', async () => (await field('state.waiting.reason')) === 'CrashLoopBackOff');
    expect(await cluster.must('logs failing --previous')).toMatch(/^run at/);
    await eventually('the event', async () =>
      (await cluster.must('get events --field-selector involvedObject.name=failing')).includes('BackOff'),
    );
    await cluster.must('delete pod failing --grace-period=0 --force');
  });

  it('takes a pod out of its Service when readiness fails, and back in', async () => {
    const manifest = JSON.stringify({
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { name: 'ready', labels: { app: 'ready' } },
      spec: {
        containers: [
          {
            name: 'c',
            image,
            command: ['sh', '-c', 'touch /tmp/ok; sleep 3600'],
            readinessProbe: { exec: { command: ['cat', '/tmp/ok'] }, periodSeconds: 1, failureThreshold: 1 },
          },
        ],
      },
    });
    await cluster.must('apply -f -', { input: manifest });
    await cluster.must('expose pod ready --port=80');
    await eventually('Endpoints', async () => (await cluster.kubectl('get endpoints ready')).code === 0);
    const addresses = (): Promise<string> =>
      cluster.must('get endpoints ready -o jsonpath={.subsets[*].addresses[*].ip}');
    await eventually('an endpoint', async () => (await addresses()) !== '');
    await cluster.must('exec ready -- rm /tmp/ok');
    await eventually('no endpoint', async () => (await addresses()) === '');
    await cluster.must('exec ready -- touch /tmp/ok');
    await eventually('the endpoint again', async () => (await addresses()) !== '');
    await cluster.must('delete pod,service ready --grace-period=1');
  });
});

async function network(): Promise<string> {
  const commands = [
    ['ip', 'addr'],
    ['ip', 'route', 'show', 'table', 'all'],
    ['nft', 'list', 'ruleset'],
    ['sysctl', 'net'],
  ];
  const outputs = await Promise.all(commands.map((command) => run(command)));
  const volatile = /^net\.netfilter\.nf_conntrack_count|nf_conntrack_max|^.*valid_lft.*$/;
  return outputs
    .map(({ stdout }) =>
      stdout
        .split('\n')
        .filter((line) => !volatile.test(line))
        .join('\n'),
    )
    .join('\n---\n');
}

const mounts = (): readonly string[] => readFileSync('/proc/self/mountinfo', 'utf8').split('\n');

describe.skipIf(!canRun)('the end of podwright up (needs kubectl)', () => {
  it('leaves no process, mount, cgroup or file, and never changed the network of the machine', async () => {
    const before = { network: await network(), mounts: mounts() };
    const cluster = await startCluster({ nodes: 2 });
    await cluster.must(`create deployment web --image=${image} --replicas=4`);
    await cluster.must('rollout status deployment web --timeout=120s');
    expect(await network()).toBe(before.network);
    const { hosts, runDir } = await cluster.state();
    const [cgroup = ''] = clusterCgroupsOf(cluster.dataDir);
    expect(existsSync(cgroup)).toBe(true);
    const uids = (await cluster.must('get pods -o jsonpath={.items[*].metadata.uid}')).split(' ');
    expect(uids).toHaveLength(4);

    await cluster[Symbol.asyncDispose]();

    expect(await network()).toBe(before.network);
    const added = mounts().filter((mount) => !before.mounts.includes(mount));
    // Tests that run beside this one mount below directories of their own.
    const isOthers = (mount: string): boolean =>
      mount.includes(` ${tmpdir()}/`) && !mount.includes(cluster.dataDir);
    expect(added.filter((mount) => !isOthers(mount))).toEqual([]);
    expect(existsSync(cluster.dataDir)).toBe(false);
    expect(existsSync(cgroup)).toBe(false);
    expect(existsSync(runDir)).toBe(false);
    for (const { pid } of hosts) expect(existsSync(`/proc/${pid}`)).toBe(false);
    const commands = await run(['ps', '-eo', 'args']);
    expect(commands.stdout.split('\n').filter((line) => uids.some((uid) => line.includes(uid)))).toEqual([]);
  });

  it.each([
    { signal: 'SIGTERM', code: 143 },
    { signal: 'SIGINT', code: 130 },
  ] as const)('comes at once with $signal while it starts, and leaves nothing', async ({ signal, code }) => {
    const parent = mkdtempSync(join(tmpdir(), 'podwright-'));
    try {
      const dataDir = join(parent, 'data');
      const port = String(await freePort());
      const up = spawn(
        join(repositoryRoot, 'podwright'),
        ['up', '--nodes', '4', '--data', dataDir, '--port', port],
        {
          stdio: ['ignore', 'pipe', 'inherit'],
        },
      );
      const exited = once(up, 'exit');
      const lines: string[] = [];
      const output = createInterface({ input: up.stdout });
      output.on('line', (line) => {
        if (lines.push(line) === 1) up.kill(signal); // The first step is done.
      });
      const [[exitCode]] = await Promise.all([exited, once(output, 'close')]);

      expect(exitCode).toBe(code);
      expect(lines.at(-1)).toBe(`${signal}: stopped before the cluster was ready`);
      expect(lines.join('\n')).not.toMatch(/ready in|kubectl/);
      expect(existsSync(dataDir)).toBe(false);
      expect(existsSync(`/run/podwright-${clusterId(dataDir)}`)).toBe(false);
    } finally {
      rmSync(parent, { recursive: true });
    }
  });
});
