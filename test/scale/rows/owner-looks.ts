import { setTimeout as sleep } from 'node:timers/promises';
import { eventsOf, hasNode, makeNodes, startControlPlane } from '#test/scale/control-plane.ts';
import { at, objectsOf, stringOf } from '#api/wire/json.ts';
import type { ScaleRow } from '#test/scale/row.ts';
import { measureTurns } from '#test/scale/turn-meter.ts';
import type { TestServer } from '#control-plane/apiserver/test-server.fixture.ts';

const namespace = '/namespaces/load';
const podPath = `/api/v1${namespace}/pods`;
const merge = { 'content-type': 'application/merge-patch+json' };
const labels = { of: 'd' };
const template = { metadata: { labels }, spec: { containers: [{ name: 'c', image: 'i' }] } };
const looks = 60;

/** Whose status follows its pods, and what it is made of for so many of them. */
interface Follower {
  readonly path: string;
  readonly name: string;
  readonly make: (test: TestServer, pods: number) => Promise<unknown>;
}

const workloads: Readonly<Record<string, Follower>> = {
  'replica-set': {
    path: `/apis/apps/v1${namespace}/replicasets`,
    name: 'd',
    make: (test, replicas) =>
      test.make(`/apis/apps/v1${namespace}/replicasets`, {
        metadata: { name: 'd' },
        spec: { replicas, selector: { matchLabels: labels }, template },
      }),
  },
  'daemon-pods': {
    path: `/apis/apps/v1${namespace}/daemonsets`,
    name: 'd',
    make: async (test, nodes) => {
      await makeNodes(test, nodes);
      await test.make(`/apis/apps/v1${namespace}/daemonsets`, {
        metadata: { name: 'd' },
        spec: { selector: { matchLabels: labels }, template },
      });
    },
  },
  'job-pods': {
    path: `/apis/batch/v1${namespace}/jobs`,
    name: 'd',
    make: (test, parallelism) =>
      test.make(`/apis/batch/v1${namespace}/jobs`, {
        metadata: { name: 'd' },
        spec: { parallelism, completions: parallelism, template: jobTemplate },
      }),
  },
  'stateful-set': {
    path: `/apis/apps/v1${namespace}/statefulsets`,
    name: 'd',
    make: (test, replicas) =>
      test.make(`/apis/apps/v1${namespace}/statefulsets`, {
        metadata: { name: 'd' },
        spec: {
          replicas,
          serviceName: 'd',
          podManagementPolicy: 'Parallel',
          selector: { matchLabels: labels },
          template,
        },
      }),
  },
  endpoints: {
    path: `/api/v1${namespace}/endpoints`,
    name: 'd',
    make: async (test, replicas) => {
      await workloads['replica-set']?.make(test, replicas);
      await test.make(`/api/v1${namespace}/services`, {
        metadata: { name: 'd' },
        spec: { selector: labels, ports: [{ port: 80 }], publishNotReadyAddresses: true },
      });
    },
  },
};
const jobTemplate = { ...template, spec: { ...template.spec, restartPolicy: 'Never' } };

/** A pod that becomes ready: its owner is looked at, however many pods it has. */
export const ownerLooks: readonly ScaleRow[] = Object.entries(workloads).map(([name, follower]) => ({
  name,
  operation: `pod that becomes ready, until ${name === 'endpoints' ? 'its Service' : 'its owner'} says so`,
  of: 'pods',
  sizes: [250, 1_000, 4_000],
  run: async (size) => {
    await using stack = new AsyncDisposableStack();

    const test = await startControlPlane(stack, 'load');
    if (name !== 'daemon-pods') await makeNodes(test, Math.ceil(size / 100));
    const { told } = await eventsOf(test, podPath, { count: size, selector: hasNode });
    await follower.make(test, size);
    await told;
    const names = await podNames(test);
    const becomeReady = async (index: number): Promise<void> => {
      const selector = `fieldSelector=metadata.name%3D${follower.name}`;
      const heard = await eventsOf(test, follower.path, { count: 1, selector });
      await test.call('PATCH', `${podPath}/${names[index] ?? ''}/status`, {
        body: { status: readyAt(index) },
        headers: merge,
      });
      await heard.told;
    };
    await settle(test);
    for (let index = 0; index < 5; index++) await becomeReady(index);
    const cost = await measureTurns(async () => {
      for (let index = 5; index < 5 + looks; index++) await becomeReady(index);
    });
    return { operations: looks, ...cost };
  },
}));

/** Until nothing was written for a while. */
async function settle({ server }: TestServer): Promise<void> {
  for (let before = -1; before !== server.store.revision; await sleep(1_000)) before = server.store.revision;
}

async function podNames(test: TestServer): Promise<readonly string[]> {
  const { json } = await test.call('GET', podPath);
  return objectsOf(json['items']).map((pod) => stringOf(at(pod, 'metadata.name')));
}

function readyAt(index: number): object {
  const podIP = `10.${index >> 16}.${(index >> 8) & 255}.${index & 255}`;
  const conditions = [{ type: 'Ready', status: 'True', lastTransitionTime: '2026-01-01T00:00:00Z' }];
  return { phase: 'Running', podIP, podIPs: [{ ip: podIP }], conditions };
}
