import { beforeEach, describe, expect, it } from 'vitest';
import { events, pods } from '#api/schema/kind-ref.ts';
import type { PodClaims } from '#agent/device/claims/pod-claims.ts';
import type { PodHealths } from '#agent/kubelet/ports.ts';
import { startTestNode, type TestNode } from '#agent/kubelet/test-node.fixture.ts';

let calls: string[];
/** Thrown by the next calls. */
let failures: string[];
let recorded: Set<string>;

beforeEach(() => {
  [calls, failures, recorded] = [[], [], new Set()];
});

const claims: PodClaims = {
  prepare: async ({ metadata }) => {
    calls.push(`prepare ${metadata?.name ?? ''}`);
    recorded.add(metadata?.uid ?? '');
    fail();
    return new Map();
  },
  unprepare: async (uid) => {
    if (!recorded.has(uid)) return;
    calls.push('unprepare');
    fail();
    recorded.delete(uid);
  },
  podUids: () => recorded,
  records: () => [],
};

function fail(): void {
  const failure = failures.shift();
  if (failure !== undefined) throw new Error(failure);
}

const start = (): Promise<TestNode> => startTestNode({ claims });
const resourceClaims = [{ name: 'gpu', resourceClaimName: 'mine' }];
const phaseOf = (node: TestNode, name: string): string | undefined => node.get(name)?.status?.phase;
const remove = (node: TestNode, name: string): Promise<void> =>
  node.client.delete(pods, { namespace: 'default', name }, { gracePeriodSeconds: 1 });

describe('a pod with claims', () => {
  it('starts when they are ready, and tells why they are not', async () => {
    await using node = await start();
    failures.push('no power');
    node.create('a', { resourceClaims });
    await node.settle();
    expect([phaseOf(node, 'a'), node.startedConfigs.length]).toEqual(['Pending', 0]);
    await node.advance(500);
    expect(node.client.all(events).map(({ reason, message }) => `${reason}: ${message}`)).toContain(
      'FailedPrepareDynamicResources: Failed to prepare dynamic resources: no power',
    );
    await node.advance(500);
    expect([phaseOf(node, 'a'), calls.length]).toEqual(['Running', 2]);
  });

  it('gives them back when it is stopped, and goes when that is done', async () => {
    await using node = await start();
    node.create('a', { resourceClaims });
    await node.settle();
    failures.push('busy');
    await remove(node, 'a');
    await node.advance(2000);
    expect(calls).toEqual(['prepare a', 'unprepare', 'unprepare']);
    expect([node.get('a'), recorded.size]).toEqual([undefined, 0]);
  });

  it('of which nothing is left is looked for', async () => {
    await using node = await start();
    node.create('a', { resourceClaims });
    await node.settle();
    const uid = node.get('a')?.metadata?.uid ?? '';
    await node.restart(async () => {
      await node.client.delete(pods, { namespace: 'default', name: 'a' }, { gracePeriodSeconds: 0 });
      await node.runtime.stopSandbox(uid, AbortSignal.timeout(1000));
      await node.runtime.removePod(uid, AbortSignal.timeout(1000));
    });
    await node.settle();
    expect(recorded.size).toBe(0);
  });
});

it('a container whose claims are devices of CDI does not start where those are not read', async () => {
  const device = { driver: 'd', requests: [], cdiIds: ['d/x=1'] };
  const named: PodClaims = { ...claims, prepare: async () => new Map([['gpu', [device]]]) };
  await using node = await startTestNode({ claims: named });
  const main = { name: 'main', image: 'busybox', resources: { claims: [{ name: 'gpu' }] } };
  node.create('a', { resourceClaims, containers: [main, { name: 'other', image: 'busybox' }] });
  await node.settle();
  const states = node.get('a')?.status?.containerStatuses?.map(({ state }) => state?.waiting?.message);
  expect(states).toEqual(['CDI device d/x=1 is not supported by this node', undefined]);
});

it('a node without drivers says so', async () => {
  await using node = await startTestNode();
  node.create('a', { resourceClaims });
  await node.settle();
  await node.advance(500);
  expect(node.client.all(events).map(({ message }) => message)).toContain(
    'Failed to prepare dynamic resources: spec.resourceClaims is not supported by this node',
  );
});

it('how devices of claims are shows in the status, and what changes is written', async () => {
  let health = 'Healthy';
  let tell: (uids: readonly string[]) => void = () => undefined;
  const claimHealths: PodHealths = {
    healthOf: () => new Map([['c', [{ name: 'claim:gpu', resources: [{ resourceID: 'x', health }] }]]]),
    onChange: (listener) => {
      tell = listener;
      return { [Symbol.dispose]: () => undefined };
    },
  };
  await using node = await startTestNode({ claims, workers: { claimHealths } });
  node.create('p', { containers: [{ name: 'c', image: 'busybox' }], resourceClaims });
  await node.settle();
  const shown = (): unknown => node.get('p')?.status?.containerStatuses?.[0]?.allocatedResourcesStatus;
  expect(shown()).toEqual([{ name: 'claim:gpu', resources: [{ resourceID: 'x', health: 'Healthy' }] }]);
  health = 'Unhealthy';
  tell([node.get('p')?.metadata?.uid ?? '', 'no-such-pod']);
  await node.settle();
  expect(shown()).toEqual([{ name: 'claim:gpu', resources: [{ resourceID: 'x', health: 'Unhealthy' }] }]);
});
