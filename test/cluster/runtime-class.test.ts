/** Pods of RuntimeClasses whose containers crun and runc make, and of one that nobody makes. */
import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { pidsOf } from './processes.ts';
import { canTestClusters, eventually, startCluster, type TestCluster } from './cluster.ts';

const runtimes = [
  ['crun', '/usr/bin/crun'],
  ['other', '/usr/sbin/runc'],
] as const;
const canRun = canTestClusters() && runtimes.every(([, program]) => existsSync(program));

const classOf = (name: string): object => ({
  ...{ apiVersion: 'node.k8s.io/v1', kind: 'RuntimeClass', metadata: { name }, handler: name },
  overhead: { podFixed: { memory: '16Mi' } },
});
const script =
  'trap "exit 5" TERM; echo from $(cat /etc/hostname); touch /ready; while :; do sleep 0.1; done';
const podOf = (name: string, more: object = {}): object => ({
  ...{ apiVersion: 'v1', kind: 'Pod', metadata: { name } },
  spec: {
    ...{ runtimeClassName: name, restartPolicy: 'Never', terminationGracePeriodSeconds: 20, ...more },
    containers: [
      {
        ...{ name: 'c', image: 'podwright/demo:1', command: ['sh', '-c', script] },
        readinessProbe: { exec: { command: ['test', '-e', '/ready'] }, periodSeconds: 1 },
      },
    ],
  },
});

describe.skipIf(!canRun)('RuntimeClasses (needs kubectl, crun, runc)', () => {
  let cluster: TestCluster;
  const create = (...objects: readonly object[]): Promise<string> =>
    cluster.must('create -f -', {
      input: JSON.stringify({ apiVersion: 'v1', kind: 'List', items: objects }),
    });

  beforeAll(async () => {
    const more = runtimes.flatMap(([name, program]) => ['--runtime-handler', `${name}=${program}`]);
    cluster = await startCluster({ more });
    await create(classOf('crun'), classOf('other'), classOf('nobody'));
  });

  afterAll(async () => cluster?.[Symbol.asyncDispose]());

  it('the node says who makes containers, and what each can', async () => {
    const text = await cluster.must('get node node-1 -o jsonpath={.status.runtimeHandlers}');
    const handlers: readonly { readonly name: string; readonly features: object }[] = JSON.parse(text);
    expect(handlers.map(({ name }) => name)).toEqual(['', 'podwright', 'crun', 'other']);
    expect(handlers[2]?.features).toMatchObject({ userNamespaces: true });
    expect(handlers[3]?.features).toEqual({ recursiveReadOnlyMounts: true, userNamespaces: true });
  });

  it('their pods run, are probed, exec’d, logged, and end over a kill of the agent', async () => {
    const names = runtimes.map(([name]) => name);
    // What is as in any pod the suite of runtimes asks (handlers.kernel.test.ts).
    await create(...names.map((name) => podOf(name, { hostUsers: false })));
    await cluster.must('wait --for=condition=Ready pod crun other --timeout=60s');
    for (const name of names) {
      expect(await cluster.must(`logs ${name}`)).toBe(`from ${name}\n`);
      expect(await cluster.must(`exec ${name} -- hostname`)).toBe(`${name}\n`);
      const ids = await cluster.must(`exec ${name} -- cat /proc/self/uid_map`);
      expect(ids).toMatch(/^ *0 +[1-9]\d* +65536\n$/);
      const memory = await cluster.must(`get pod ${name} -o jsonpath={.spec.overhead.memory}`);
      expect(memory).toBe('16Mi');
    }
    const [agent] = pidsOf(new RegExp(`podwright\\.ts agent .*${cluster.dataDir}/node-1 `));
    if (agent === undefined) throw new Error('find the agent: none runs');
    process.kill(agent, 'SIGKILL');
    await cluster.must('delete pod crun other --wait=false');
    for (const name of names) {
      await eventually(`the end of ${name}`, async () => {
        const { stdout } = await cluster.kubectl(`get pod ${name} --ignore-not-found -o name`);
        return stdout === '';
      });
    }
    expect(await readFile('/proc/self/mountinfo', 'utf8')).not.toContain(
      `${cluster.dataDir}/node-1/containers`,
    );
  });

  it('of a handler that is not there the pod waits, in the kubelet’s words', async () => {
    await create(podOf('nobody'));
    await eventually('the event', async () => {
      const { stdout } = await cluster.kubectl(
        'get events --field-selector involvedObject.name=nobody,reason=FailedCreatePodSandBox -o jsonpath={.items[*].message}',
      );
      return stdout.includes('Failed to create pod sandbox: RuntimeHandler "nobody" not supported');
    });
    expect(await cluster.must('get pod nobody -o jsonpath={.status.phase}')).toBe('Pending');
  });
});
