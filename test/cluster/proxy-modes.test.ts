/** `up --proxy-mode`, from mode to mode on the same data, and addresses of load balancers of the cluster's own. */
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { canTestClusters, eventually, freePort, run, startCluster, type TestCluster } from './cluster.ts';

const canRun = canTestClusters() && existsSync('/usr/sbin/iptables-restore');
const vip = '203.0.113.1';

const serviceOf = (spec: object): string =>
  JSON.stringify({
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { name: 'web' },
    spec: { type: 'LoadBalancer', selector: { run: 'web' }, ...spec },
  });

describe.skipIf(!canRun)(
  'modes of the Service proxy (needs root, kubectl, ip, nft, iptables)',
  { timeout: 300_000 },
  () => {
    const directory = mkdtempSync(join(tmpdir(), 'podwright-modes-'));
    const dataDir = join(directory, 'data');
    let cluster: TestCluster;
    let local = 0;

    const start = (...more: readonly string[]): Promise<TestCluster> =>
      startCluster({ dataDir, more: ['--keep', '--expose', 'services', ...more] });
    beforeAll(async () => {
      local = await freePort();
      cluster = await start('--proxy-mode', 'iptables', '--load-balancer-cidr', '203.0.113.0/29');
      await cluster.must('run web --image=podwright/demo:1');
      await cluster.must('run client --image=podwright/demo:1');
      const ports = [{ port: local, targetPort: 8080 }];
      // Without node ports there is the address alone.
      const spec = { ports, allocateLoadBalancerNodePorts: false };
      await cluster.must('apply -f -', { input: serviceOf(spec) });
      await cluster.must('wait --for=condition=Ready pod/web pod/client --timeout=120s');
    }, 300_000);
    afterAll(async () => {
      await cluster?.[Symbol.asyncDispose]();
      await run([process.execPath, 'bin/podwright.ts', 'down', '--purge', '--data', dataDir]);
      rmSync(directory, { recursive: true, force: true });
    }, 300_000);

    /** From the node, from a pod, and from 127.0.0.1. */
    const expectAnswers = async (): Promise<void> => {
      const url = `http://${vip}:${local}/`;
      const ways: Readonly<Record<string, () => Promise<{ readonly stdout: string }>>> = {
        'the node': () => cluster.inHost('node-1', ['curl', '-sS', '-m', '5', url]),
        'a pod': () => cluster.kubectl(`exec client -- wget -qO- ${url}`),
        '127.0.0.1': () => run(['curl', '-sS', '-m', '5', `http://127.0.0.1:${local}/`]),
      };
      for (const [from, get] of Object.entries(ways))
        await eventually(`an answer from ${from}`, async () =>
          (await get()).stdout.includes('Hello from web'),
        );
    };
    const rulesOf = async (program: string, ...args: readonly string[]): Promise<string> =>
      (await cluster.inHost('node-1', [program, ...args])).stdout;

    test('a LoadBalancer has an address of the pool, which the node, pods and 127.0.0.1 reach by iptables', async () => {
      expect(await cluster.must('get service web -o jsonpath={.status.loadBalancer.ingress[*].ip}')).toBe(
        vip,
      );
      await expectAnswers();
      expect(await rulesOf('iptables-save', '-t', 'nat')).toMatch(/-A KUBE-SERVICES .* -j KUBE-EXT-/);
      expect(await rulesOf('nft', 'list', 'tables')).not.toContain('podwright-proxy');
      const events = await cluster.must('get events -o jsonpath={.items[*].reason}');
      expect(events).toContain('EnsuredLoadBalancer');
      const other = serviceOf({ ports: [{ port: 80 }], loadBalancerClass: 'example.com/other' });
      await cluster.must('apply -f -', { input: other.replace('"web"', '"other"') });
      expect(await cluster.must('get service other -o jsonpath={.status.loadBalancer}')).toBe('{}');
    });

    test('the next up may have another mode', async () => {
      await cluster[Symbol.asyncDispose]();
      cluster = await start('--proxy-mode', 'userspace');
      await cluster.must('wait --for=condition=Ready pod/web pod/client --timeout=120s');
      await expectAnswers();
      expect(await rulesOf('iptables-save')).not.toContain('KUBE-');
      expect(await rulesOf('nft', 'list', 'tables')).toContain('podwright-proxy');
    });

    test('an address is free with its Service', async () => {
      const other = serviceOf({ ports: [{ port: 80 }], loadBalancerIP: vip });
      await cluster.must('apply -f -', { input: other.replace('"web"', '"next"') });
      await eventually('why it has none', async () =>
        (await cluster.must('get events -o jsonpath={.items[*].message}')).includes(
          `${vip} is that of default/web`,
        ),
      );
      await cluster.must('delete service web');
      await eventually(
        'the address',
        async () =>
          (await cluster.must('get service next -o jsonpath={.status.loadBalancer.ingress[*].ip}')) === vip,
      );
    });
  },
);
