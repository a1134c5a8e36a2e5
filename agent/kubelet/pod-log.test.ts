import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { PodwrightError } from '#base/errors.ts';
import { secrets } from '#api/schema/kind-ref.ts';
import type { Container, PodSpec } from '#api/generated/objects.ts';
import { startTestNode, type TestNode } from './test-node.fixture.ts';

const main = (more: Partial<Container> = {}): Container => ({ name: 'main', image: 'busybox', ...more });
const shell = (script: string): Partial<Container> => ({ command: ['sh', '-c', script] });

interface Case {
  readonly name: string;
  readonly spec: Partial<PodSpec>;
  readonly fail?: (node: TestNode) => void;
  /** Of an event each; the node's log says what is the same once. */
  readonly lines?: number;
  readonly want: Readonly<Record<string, unknown>>;
}

const exec = { command: ['check'] };
const cases: readonly Case[] = [
  {
    name: 'an image that cannot be pulled',
    spec: { containers: [main({ image: 'nginx:1' })] },
    want: { reason: 'ErrImagePull', container: 'main', error: expect.stringContaining('nginx:1') },
  },
  {
    name: 'an image name that is none',
    spec: { containers: [main({ image: 'UPPER CASE' })] },
    want: { reason: 'InspectFailed', container: 'main' },
  },
  {
    name: 'a container that ends badly, with when it is started again',
    spec: { containers: [main(shell('exit 3'))] },
    want: { reason: 'Error', container: 'main', exitCode: 3, isStartedAgain: true },
  },
  {
    name: 'one that is not started again',
    spec: { restartPolicy: 'Never', containers: [main(shell('exit 3'))] },
    want: { reason: 'Error', container: 'main', exitCode: 3, isStartedAgain: false },
  },
  {
    name: 'a container that cannot be described',
    spec: {
      containers: [
        main({ env: [{ name: 'K', valueFrom: { configMapKeyRef: { name: 'none', key: 'k' } } }] }),
      ],
    },
    want: {
      reason: 'CreateContainerConfigError',
      error: expect.stringContaining('configmap "none" not found'),
    },
  },
  {
    name: 'a container that cannot be launched',
    spec: { containers: [main()] },
    fail: (node) =>
      void node.runtime.failNext.set('startContainer', new PodwrightError('E_LAUNCH', 'execute x: ENOENT')),
    want: { reason: 'StartError', container: 'main', error: expect.stringContaining('execute x: ENOENT') },
  },
  {
    name: 'a volume that cannot be made',
    spec: { volumes: [{ name: 'v', secret: { secretName: 'none' } }], containers: [main()] },
    want: {
      reason: 'FailedMount',
      error: 'MountVolume.SetUp failed for volume "v" : secret "none" not found',
    },
  },
  {
    name: 'a sandbox that the network refuses',
    spec: { containers: [main()] },
    fail: (node) =>
      void node.runtime.failNext.set('runSandbox', new PodwrightError('E_INVALID', 'bridge ADD: no address')),
    want: { reason: 'FailedCreatePodSandBox', error: expect.stringContaining('bridge ADD: no address') },
  },
  {
    name: 'a probe that fails, without what the container said',
    spec: { containers: [main({ readinessProbe: { exec } })] },
    want: {
      reason: 'Unhealthy',
      container: 'main',
      error: 'Readiness probe failed: its output is in the event',
    },
  },
  {
    name: 'a probe that has its container restarted',
    spec: { containers: [main({ livenessProbe: { exec, failureThreshold: 1 } })] },
    lines: 2,
    want: { reason: 'Killing', error: 'Container main failed liveness probe, will be restarted' },
  },
  {
    name: 'a hook that fails',
    spec: { containers: [main({ lifecycle: { postStart: { exec } } })] },
    lines: 2,
    want: { reason: 'FailedPostStartHook', error: 'PostStartHook failed: its output is in the event' },
  },
];

describe("the node's log", () => {
  it.each(cases)(
    'tells of $name, in one line with names and what to do',
    async ({ spec, fail, want, lines }) => {
      await using node = await startTestNode({ onExec: () => ({ exitCode: 1, stdout: 'hunter2' }) });

      fail?.(node);
      const pod = node.create('web', spec);
      await node.settle();
      await node.advance(0);
      const line = {
        level: 'warn',
        message: 'pod failure',
        pod: 'default/web',
        uid: pod.metadata?.uid,
        remedy: expect.stringMatching(/\w/),
      };
      const found = node.lines.filter(({ reason }) => reason === want['reason']);
      expect(found).toEqual(expect.arrayContaining([expect.objectContaining({ ...line, ...want })]));
      expect(found).toHaveLength(lines ?? 1);
    },
  );

  it('tells of a directory that cannot be made, and is quiet once it can', async () => {
    await using node = await startTestNode();

    const pod = node.create('web', { containers: [main()] });
    const blocked = path.join(node.directory, 'pods', pod.metadata?.uid ?? '', 'containers');
    mkdirSync(path.dirname(blocked), { recursive: true });
    writeFileSync(blocked, '');
    await node.settle();
    expect(node.get('web')?.status?.phase).toBe('Pending');
    rmSync(blocked);
    await node.advance(2000);
    expect(node.get('web')?.status?.phase).toBe('Running');
    const found = node.lines.filter(({ reason }) => reason === 'FailedMount');
    expect(found).toEqual([expect.objectContaining({ error: expect.stringContaining('ENOTDIR') })]);
  });

  it('never holds values of the environment, Secrets, or what a container wrote', async () => {
    await using node = await startTestNode({ onExec: () => ({ exitCode: 1, stdout: 'hunter2' }) });

    node.client.seed(secrets, {
      metadata: { name: 's', namespace: 'default' },
      data: { k: Buffer.from('hunter2').toString('base64') },
    });
    const env = [
      { name: 'A', value: 'hunter2' },
      { name: 'B', valueFrom: { secretKeyRef: { name: 's', key: 'k' } } },
    ];
    node.create('web', {
      volumes: [{ name: 'v', secret: { secretName: 's' } }],
      containers: [
        main({
          ...shell('echo hunter2; exit 3'),
          env,
          volumeMounts: [{ name: 'v', mountPath: '/v' }],
          lifecycle: { postStart: { exec } },
          readinessProbe: { exec },
        }),
      ],
    });
    await node.settle();
    await node.advance(30_000);
    expect(node.lines.length).toBeGreaterThan(0);
    expect(JSON.stringify(node.lines)).not.toMatch(/hunter2|aHVudGVyMg/);
  });
});
