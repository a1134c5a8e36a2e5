/** A cluster whose nodes and Services a cloud sees to: `podwright cloud-controller` with the cloud of the tests, in a process of its own. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { repositoryRoot } from '#bin/paths.ts';
import { emptyState, readState, toyInstance, writeState } from '#control-plane/cloud/cloud.fixture.ts';
import { canTestClusters, eventually, startCluster, type TestCluster } from './cluster.ts';

const module = join(repositoryRoot, 'control-plane', 'cloud', 'cloud.fixture.ts');

describe.skipIf(!canTestClusters())(
  'a cluster of a cloud (needs root, kubectl, ip)',
  { timeout: 180_000 },
  () => {
    const stack = new AsyncDisposableStack();
    let cluster: TestCluster;
    let file: string;
    beforeAll(async () => {
      cluster = stack.use(await startCluster({ more: ['--server-option', 'cloud-provider=external'] }));
      file = join(cluster.dataDir, 'cloud.json');
    }, 180_000);
    afterAll(() => stack.disposeAsync(), 60_000);

    const start = (): void => {
      const child = spawn(
        join(repositoryRoot, 'podwright'),
        [
          ...[
            'cloud-controller',
            '--cloud-provider',
            module,
            '--cloud-config',
            join(cluster.dataDir, 'cloud.conf'),
          ],
          ...['--kubeconfig', cluster.kubeconfig, '--cluster-cidr', '10.244.0.0/16'],
          ...['--node-status-update-frequency', '1s', '--route-reconciliation-period', '1s'],
        ],
        { stdio: ['ignore', 'inherit', 'inherit'] },
      );
      stack.defer(async () => {
        if (child.exitCode !== null) return;
        const ended = once(child, 'exit');
        child.kill('SIGTERM');
        await ended;
      });
    };
    const path = (what: string, jsonpath: string): Promise<string> =>
      cluster.must(`get ${what} -o jsonpath={${jsonpath}}`);

    test('has no pods on a node before the cloud was asked, then what the cloud says of it', async () => {
      const taint = 'node.cloudprovider.kubernetes.io/uninitialized';
      expect(await path('node node-1', '.spec.taints[*].key')).toContain(taint);
      await cluster.must('run early --image=podwright/demo:1');
      await eventually('the pod is told why it waits', async () =>
        (await path('pod early', '.status.conditions[0].message')).includes(`untolerated taint`),
      );
      const own = await path('node node-1', '.status.addresses[?(@.type=="InternalIP")].address');
      const addresses = [
        { type: 'InternalIP', address: own },
        { type: 'ExternalIP', address: '203.0.113.7' },
      ];
      writeState(file, { ...emptyState(), instances: { 'node-1': toyInstance('node-1', { addresses }) } });
      await cluster.must('wait node/node-1 --for=condition=Ready --timeout=30s');
      writeFileSync(join(cluster.dataDir, 'cloud.conf'), `${file}\n`);
      start();
      await cluster.must('wait --for=condition=Ready pod/early --timeout=60s');
      expect(await path('node node-1', '.spec.providerID')).toBe('toy://node-1');
      expect(await cluster.must('get node node-1 -o wide --no-headers')).toContain('203.0.113.7');
      expect(await path('node node-1', '.metadata.labels.topology\\.kubernetes\\.io/zone')).toBe('toy-1a');
      await eventually(
        'the route is there',
        async () =>
          (await path('node node-1', '.status.conditions[?(@.type=="NetworkUnavailable")].reason')) ===
          'RouteCreated',
      );
      expect(readState(file).routes.map(({ node }) => node)).toEqual(['node-1']);
    });

    test('gives a Service the address of its balancer, and takes it away with it', async () => {
      await cluster.must('expose pod early --type=LoadBalancer --port=80 --name=web');
      await cluster.must(
        'wait svc/web --for=jsonpath={.status.loadBalancer.ingress[0].ip}=198.51.100.1 --timeout=60s',
      );
      expect(Object.values(readState(file).balancers)).toMatchObject([{ ports: [80], hosts: ['node-1'] }]);
      await eventually('kubectl describe tells it', async () =>
        /EnsuredLoadBalancer .*service-controller +Ensured load balancer/.test(
          await cluster.must('describe svc web'),
        ),
      );
      await cluster.must('delete svc web --timeout=60s');
      expect(readState(file).balancers).toEqual({});
    });

    test('tells of its loops where kube-prometheus looks for a kube-controller-manager', async () => {
      await cluster.must('create serviceaccount prometheus');
      await cluster.must('create clusterrole prometheus --verb=get --non-resource-url=/metrics');
      await cluster.must(
        'create clusterrolebinding prometheus --clusterrole=prometheus --serviceaccount=default:prometheus',
      );
      const token = (await cluster.must('create token prometheus')).trim();
      const read = async (...more: readonly string[]): Promise<string> =>
        (await cluster.inHost('server', ['curl', '-sk', ...more, 'https://172.31.255.1:10257/metrics']))
          .stdout;
      expect(await read()).toContain('forbidden');
      expect(await read('-H', `Authorization: Bearer ${token}`)).toMatch(
        /^workqueue_adds_total\{name="deployment"\} \d/m,
      );
    });
  },
);
