/**
 * Upstream's scheduler of the archive and ours are asked of the same pods on the same server: they must let the same nodes pass, and refuse the
 * others for the same reasons. PODWRIGHT_FUZZ_SEED repeats a run, PODWRIGHT_SCHEDULER_ROUNDS makes it longer, PODWRIGHT_SCHEDULER_LOG is where
 * upstream's says what it does.
 */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { createRandom } from '#base/random.fixture.ts';
import { systemClock } from '#base/clock.ts';
import { silentLogger } from '#base/log.ts';
import type { Pod } from '#api/generated/objects.ts';
import { pods as podKind } from '#api/schema/kind-ref.ts';
import { createApiClient } from '#client/api-client.ts';
import { createInformers } from '#client/informers.ts';
import { listAll } from '#client/list-all.ts';
import { startTestServer, type TestServer } from '#control-plane/apiserver/test-server.fixture.ts';
import { schedulerSettings } from '#control-plane/scheduler/config/scheduler-configuration.ts';
import { startScheduler } from '#control-plane/scheduler/scheduler.ts';
import {
  oldProgramLacks,
  serveOldVersions,
  startOldProgram,
  writeKubeconfig,
} from './old-program.fixture.ts';
import { namespaceNames, randomCluster, storageOf, type RandomCluster } from './random-cluster.fixture.ts';
import { listenToSchedulers, verdictOf, type Listening, type Verdict } from './verdicts.fixture.ts';

const lacks = oldProgramLacks('kube-scheduler');
const seed = Number(process.env['PODWRIGHT_FUZZ_SEED'] ?? Date.now() % 1_000_000);
const rounds = Number(process.env['PODWRIGHT_SCHEDULER_ROUNDS'] ?? 1);
const schedulers = ['ours', 'theirs'] as const;
const merge = { 'content-type': 'application/merge-patch+json' };

/** The filters of both, in the order of 1.36: the first that refuses gives the reason. */
const filters = [
  ...['NodeUnschedulable', 'NodeName', 'TaintToleration', 'NodeAffinity', 'NodePorts', 'NodeResourcesFit'],
  ...['VolumeRestrictions', 'NodeVolumeLimits', 'VolumeBinding', 'VolumeZone'],
  ...['PodTopologySpread', 'InterPodAffinity'],
];

describe.skipIf(lacks !== undefined)(
  `beside upstream's scheduler of 1.20 (${lacks ?? 'it is there'}), seed ${seed}`,
  () => {
    it('lets the same nodes pass, and refuses the others for the same reasons', async () => {
      await using stack = new AsyncDisposableStack();
      const test = stack.use(await startTestServer());
      const listening = stack.use(await listenToSchedulers());
      await makeStorage(test);
      startOurs(test, listening, stack);
      await startTheirs(test, listening, stack);
      const random = createRandom(seed);
      for (let round = 0; round < rounds; round++) {
        const cluster = randomCluster(random);
        await makeCluster(test, cluster);
        await expect
          .poll(() => differences(test, listening, cluster), {
            ...{ timeout: 120_000, interval: 500 },
            message: `round ${round}: ${JSON.stringify(cluster)}`,
          })
          .toEqual([]);
        await removeCluster(test, cluster);
      }
    });
  },
);

function extenderOf(listening: Listening, scheduler: string) {
  return {
    ...{ urlPrefix: listening.urlOf(scheduler), filterVerb: 'filter', nodeCacheCapable: true },
    ...{ weight: 1, enableHTTPS: false, httpTimeout: '60s' },
  };
}

function startOurs(test: TestServer, listening: Listening, stack: AsyncDisposableStack): void {
  const client = createApiClient({ transport: test.server.transport(), userAgent: 'ours' });
  const informers = stack.use(createInformers({ client, clock: systemClock }));
  const settings = schedulerSettings({
    profiles: [{ schedulerName: 'ours' }],
    extenders: [extenderOf(listening, 'ours')],
    podMaxBackoffSeconds: 1,
  });
  stack.use(startScheduler({ informers, client, clock: systemClock, logger: silentLogger, settings }));
}

/** As its own user, with its roles alone. */
async function startTheirs(
  test: TestServer,
  listening: Listening,
  stack: AsyncDisposableStack,
): Promise<void> {
  const user = { name: 'system:kube-scheduler', groups: ['system:authenticated'] };
  const front = stack.use(await serveOldVersions(test.server.transport(user)));
  const [kubeconfig, config] = ['theirs.kubeconfig', 'theirs.yaml'].map((name) => join(test.directory, name));
  if (kubeconfig === undefined || config === undefined) return;
  writeKubeconfig(kubeconfig, front.url);
  const enabled = filters.map((name) => ({ name }));
  writeFileSync(
    config,
    JSON.stringify({
      ...{ apiVersion: 'kubescheduler.config.k8s.io/v1beta1', kind: 'KubeSchedulerConfiguration' },
      leaderElection: { leaderElect: false },
      clientConnection: { kubeconfig, contentType: 'application/json', qps: 1000, burst: 2000 },
      ...{
        healthzBindAddress: '',
        metricsBindAddress: '',
        podInitialBackoffSeconds: 1,
        podMaxBackoffSeconds: 1,
      },
      profiles: [{ schedulerName: 'theirs', plugins: { filter: { disabled: [{ name: '*' }], enabled } } }],
      extenders: [extenderOf(listening, 'theirs')],
    }),
  );
  const log = process.env['PODWRIGHT_SCHEDULER_LOG'] ?? join(test.directory, 'theirs.log');
  stack.use(startOldProgram('kube-scheduler', [`--config=${config}`, '--secure-port=0', '-v=4'], log));
}

async function makeStorage(test: TestServer): Promise<void> {
  for (const name of namespaceNames) {
    if (name !== 'default') await test.make('/api/v1/namespaces', { metadata: { name } });
    await test.make(`/api/v1/namespaces/${name}/serviceaccounts`, { metadata: { name: 'default' } });
  }
  for (const { path, object, status } of storageOf(namespaceNames)) {
    const { metadata } = await test.make(path, object);
    if (status !== undefined) await patch(test, `${path}/${String(metadata?.['name'])}/status`, { status });
  }
}

async function patch(test: TestServer, path: string, body: object): Promise<void> {
  const { status, text } = await test.call('PATCH', path, { body, headers: merge });
  if (status !== 200) throw new Error(`PATCH ${path}: ${status} ${text}`);
}

/** Each pod that waits is there twice, for either of them. */
async function makeCluster(test: TestServer, { nodes, running, pods }: RandomCluster): Promise<void> {
  for (const { metadata, spec, status } of nodes) {
    const path = `/api/v1/nodes/${metadata?.name}`;
    await test.make('/api/v1/nodes', { metadata, spec });
    await patch(test, `${path}/status`, { status });
    await patch(test, path, { spec: { taints: spec?.taints ?? [] } }); // A new one is said not to be ready.
  }
  for (const pod of running) await test.make(pathOf(pod), pod);
  for (const pod of pods)
    for (const scheduler of schedulers)
      await test.make(pathOf(pod), {
        metadata: { ...pod.metadata, name: nameFor(pod, scheduler) },
        spec: { ...pod.spec, schedulerName: scheduler },
      });
}

function pathOf({ metadata }: Pod): string {
  return `/api/v1/namespaces/${metadata?.namespace}/pods`;
}

function nameFor({ metadata }: Pod, scheduler: string): string {
  return `${metadata?.name}-${scheduler}`;
}

async function removeCluster(test: TestServer, { nodes, running, pods }: RandomCluster): Promise<void> {
  const body = { gracePeriodSeconds: 0 };
  for (const pod of running) await test.call('DELETE', `${pathOf(pod)}/${pod.metadata?.name}`, { body });
  for (const pod of pods)
    for (const scheduler of schedulers)
      await test.call('DELETE', `${pathOf(pod)}/${nameFor(pod, scheduler)}`, { body });
  for (const { metadata } of nodes) await test.call('DELETE', `/api/v1/nodes/${metadata?.name}`);
}

interface Difference {
  readonly pod: Pod;
  readonly ours: Verdict | undefined;
  readonly theirs: Verdict | undefined;
}

async function differences(
  test: TestServer,
  listening: Listening,
  { pods }: RandomCluster,
): Promise<readonly Difference[]> {
  const client = createApiClient({ transport: test.server.transport(), userAgent: 'test' });
  const { items } = await listAll(client, podKind, {});
  const known = new Map(items.map((pod) => [pod.metadata?.name, pod]));
  return pods.flatMap((pod) => {
    const [ours, theirs] = schedulers.map((scheduler) => {
      const name = nameFor(pod, scheduler);
      return verdictOf(known.get(name), listening.feasible(scheduler, name));
    });
    const isSame = ours !== undefined && JSON.stringify(ours) === JSON.stringify(theirs);
    return isSame ? [] : [{ pod, ours, theirs }];
  });
}
