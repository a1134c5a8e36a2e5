/**
 * Upstream's scheduler and controller manager of the archive in the place of ours, on a cluster whose own do the rest. Groups' versions that they ask
 * for and 1.36 has no more are shown to them by a front (old-program.fixture.ts); what they know by those alone stays ours (EndpointSlices).
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { systemClock } from '#base/clock.ts';
import { createHttpTransport } from '#client/http-transport.ts';
import { loadKubeconfig } from '#client/kubeconfig.ts';
import type { Transport } from '#client/transport.ts';
import {
  oldProgramLacks,
  serveOldVersions,
  startOldProgram,
  writeKubeconfig,
} from '#test/scheduler/old-program.fixture.ts';
import { canTestClusters, eventually, startCluster, type TestCluster } from './cluster.ts';

const lacks = oldProgramLacks('kube-scheduler') ?? oldProgramLacks('kube-controller-manager');
/** By the names of both. */
const theirs = [
  ['deployment', 'deployment-controller'],
  ['replicaset', 'replicaset-controller'],
  ['job', 'job-controller'],
  ['endpoint', 'endpoints-controller'],
  ['namespace', 'namespace-controller'],
  ['garbagecollector', 'garbage-collector-controller'],
] as const;

/** Asks as somebody else. */
function as(user: string, transport: Transport): Transport {
  return {
    request: (request) =>
      transport.request({ ...request, headers: { ...request.headers, 'impersonate-user': user } }),
    [Symbol.asyncDispose]: () => transport[Symbol.asyncDispose](),
  };
}

describe.skipIf(!canTestClusters() || lacks !== undefined)(
  `a cluster of upstream's scheduler and controller manager (needs root, kubectl; ${lacks ?? 'they are there'})`,
  { timeout: 240_000 },
  () => {
    const stack = new AsyncDisposableStack();
    let cluster: TestCluster;
    beforeAll(async () => {
      const off = theirs.map(([, name]) => `-${name}`).join(',');
      cluster = stack.use(
        await startCluster({
          more: ['--server-option', 'disable-scheduler', '--server-option', `controllers=*,${off}`],
        }),
      );
      const admin = (): Transport =>
        stack.use(createHttpTransport(loadKubeconfig(cluster.kubeconfig, systemClock)));
      const [scheduler, manager] = ['scheduler', 'manager'].map((name) => join(cluster.dataDir, name));
      if (scheduler === undefined || manager === undefined) return;
      const front = stack.use(await serveOldVersions(as('system:kube-scheduler', admin())));
      writeKubeconfig(`${scheduler}.kubeconfig`, front.url);
      writeFileSync(
        `${scheduler}.yaml`,
        JSON.stringify({
          ...{ apiVersion: 'kubescheduler.config.k8s.io/v1beta1', kind: 'KubeSchedulerConfiguration' },
          leaderElection: { leaderElect: false },
          clientConnection: { kubeconfig: `${scheduler}.kubeconfig`, contentType: 'application/json' },
          ...{ healthzBindAddress: '', metricsBindAddress: '' },
        }),
      );
      stack.use(
        startOldProgram(
          'kube-scheduler',
          [`--config=${scheduler}.yaml`, '--secure-port=0'],
          `${scheduler}.log`,
        ),
      );
      // Each of its loops would ask as an account of its own: here all are the administrator.
      const other = stack.use(await serveOldVersions(admin()));
      writeKubeconfig(`${manager}.kubeconfig`, other.url);
      const args = [
        ...[`--kubeconfig=${manager}.kubeconfig`, '--kube-api-content-type=application/json'],
        ...[`--controllers=${theirs.map(([name]) => name).join(',')}`, '--leader-elect=false'],
        ...['--port=0', '--secure-port=0'],
      ];
      stack.use(startOldProgram('kube-controller-manager', args, `${manager}.log`));
    }, 240_000);
    afterAll(() => stack.disposeAsync(), 60_000);

    const path = (what: string, jsonpath: string): Promise<string> =>
      cluster.must(`get ${what} -o jsonpath={${jsonpath}}`);

    test('has a Deployment rolled out, and its Service lead to it', async () => {
      await cluster.must('create deployment web --image=podwright/demo:1 --replicas=2');
      await cluster.must('expose deployment web --port=80');
      await eventually(
        'both pods are ready',
        async () => (await path('deploy web', '.status.readyReplicas')) === '2',
      );
      const ips = (await path('pods -l app=web', '.items[*].status.podIP')).split(' ').toSorted();
      await eventually('its endpoints are the pods', async () => {
        const found = await path('endpoints web', '.subsets[*].addresses[*].ip');
        return found.split(' ').toSorted().join() === ips.join();
      });
      await cluster.must('scale deployment web --replicas=1');
      await eventually(
        'one of them goes',
        async () => (await path('pods -l app=web', '.items[*].metadata.name')).split(' ').length === 1,
      );
      await cluster.must('delete deployment web');
      await eventually(
        'what it owned goes with it',
        async () => (await path('pods,rs -l app=web', '.items')) === '[]',
      );
    });

    test('has the pods of a Job made, whose end a 1.36 does not let a 1.20 write', async () => {
      await cluster.must('create job once --image=podwright/demo:1 -- true');
      await eventually(
        'its pod has ended',
        async () => (await path('pods -l job-name=once', '.items[*].status.phase')) === 'Succeeded',
      );
      const log = (): string => readFileSync(join(cluster.dataDir, 'manager.log'), 'utf8');
      await eventually('it is told why', async () =>
        log().includes('Complete=True condition without the SuccessCriteriaMet=true condition'),
      );
    });

    test('has a namespace go with all that is in it', async () => {
      await cluster.must('create namespace gone');
      await cluster.must('-n gone create configmap c --from-literal=a=b');
      await cluster.must('-n gone create deployment d --image=podwright/demo:1');
      await eventually(
        'it runs',
        async () => (await path('-n gone deploy d', '.status.readyReplicas')) === '1',
      );
      await cluster.must('delete namespace gone --timeout=120s');
      expect((await cluster.kubectl('get namespace gone')).stderr).toContain('NotFound');
    });
  },
);
