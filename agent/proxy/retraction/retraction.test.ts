import { describe, expect, it } from 'vitest';
import { createFakeClock, type FakeClock } from '#base/clock.ts';
import { untilQuiet } from '#base/quiet.fixture.ts';
import { createRecordedLog } from '#base/recorded-log.fixture.ts';
import type { Endpoint, EndpointSlice, Node, Pod, Service } from '#api/generated/objects.ts';
import { createInformerCache, type InformerCache } from '#client/informer.ts';
import type { KubeObject } from '#api/meta/object.ts';
import { createAppliedRules, waitersMax } from './applied-rules.ts';
import { findPeers, findRetraction, peersMax } from './find-retraction.ts';
import type { AskPeer, PeerAnswer } from './peer-book.ts';
import { createRetraction, ownEndpoints, ownEndpointsIndex, underWayMsMin, unaskedMs } from './retraction.ts';

const pod: Pod = {
  metadata: { name: 'web-1', namespace: 'default', uid: 'u1', labels: { app: 'web' } },
  status: { podIPs: [{ ip: '10.244.0.3' }], conditions: [{ type: 'Ready', status: 'True' }] },
};
const unready: Pod = { ...pod, status: { ...pod.status, conditions: [] } };
const service: Service = {
  metadata: { name: 'web', namespace: 'default' },
  spec: { selector: { app: 'web' }, ipFamilies: ['IPv4'] },
};
const ready = { ready: true, serving: true, terminating: false };
const ending = { ready: false, serving: true, terminating: true };

function sliceOf(
  conditions: Endpoint['conditions'],
  { version = '5', manager = 'endpointslice-controller.k8s.io', uid = 'u1' } = {},
): EndpointSlice {
  const labels = { 'kubernetes.io/service-name': 'web', 'endpointslice.kubernetes.io/managed-by': manager };
  return {
    metadata: { name: 'web-x', namespace: 'default', resourceVersion: version, labels },
    addressType: 'IPv4',
    endpoints: [{ addresses: ['10.244.0.3'], conditions, nodeName: 'n1', targetRef: { kind: 'Pod', uid } }],
  };
}

function nodeOf(name: string, { status = 'True', runtime = 'podwright://0' } = {}): Node {
  const info = { containerRuntimeVersion: runtime } as NonNullable<NonNullable<Node['status']>['nodeInfo']>;
  return {
    metadata: { name, resourceVersion: '1' },
    status: {
      addresses: [{ type: 'InternalIP', address: '192.0.2.1' }],
      conditions: [{ type: 'Ready', status }],
      daemonEndpoints: { kubeletEndpoint: { Port: 10_250 } },
      nodeInfo: info,
    },
  };
}

describe('findRetraction()', () => {
  it.each([
    { name: 'a pod that no Service selects', pod, slices: [], services: [], want: { kind: 'none' } },
    { name: 'a slice that is on its way', pod, slices: [], services: [service], want: { kind: 'pending' } },
    {
      name: 'a pod that was never ready',
      pod: unready,
      slices: [],
      services: [service],
      want: { kind: 'none' },
    },
    {
      name: 'a ready endpoint',
      pod,
      slices: [sliceOf(ready)],
      services: [service],
      want: { kind: 'pending' },
    },
    {
      name: 'one that terminates',
      ...{ pod, slices: [sliceOf(ending)], services: [service], want: { kind: 'told', revision: 5 } },
    },
    {
      name: 'one that is published though it terminates',
      ...{ pod, slices: [sliceOf({ ...ending, ready: true })], services: [service] },
      want: { kind: 'told', revision: 5 },
    },
    {
      name: 'one that was not ready before',
      ...{ pod: unready, slices: [sliceOf({ ready: false })], services: [service] },
      want: { kind: 'told', revision: 5 },
    },
    {
      name: 'a slice that somebody else keeps',
      ...{ pod, slices: [sliceOf(ready, { manager: 'me' })], services: [], want: { kind: 'none' } },
    },
    {
      name: 'a Service of the other family',
      ...{ pod, slices: [], want: { kind: 'none' } },
      services: [{ ...service, spec: { ...service.spec, ipFamilies: ['IPv6'] } }],
    },
    {
      name: 'an ExternalName',
      ...{ pod, slices: [] },
      services: [{ ...service, spec: { ...service.spec, type: 'ExternalName' as const } }],
      want: { kind: 'none' },
    },
  ])('$name: $want.kind', ({ pod: one, slices, services, want }) => {
    expect(findRetraction(one, { slices, services })).toEqual(want);
  });
});

describe('findPeers()', () => {
  it('asks nodes of ours that are Ready, and knows of others', () => {
    const nodes = [
      nodeOf('n1'),
      nodeOf('n2'),
      nodeOf('dead', { status: 'Unknown' }),
      nodeOf('foreign', { runtime: 'containerd://2.1' }),
    ];
    const { asked, unasked } = findPeers(nodes, 'n1');
    expect(asked).toEqual([{ name: 'n2', host: '192.0.2.1', port: 10_250 }]);
    expect(unasked).toEqual(['foreign']);
  });

  it('asks so many at most', () => {
    const nodes = Array.from({ length: peersMax + 3 }, (_, i) => nodeOf(`n-${i}`));
    const { asked, unasked } = findPeers(nodes, 'me');
    expect([asked.length, unasked.length]).toEqual([peersMax, 3]);
  });
});

interface Scene {
  readonly clock: FakeClock;
  readonly slices: InformerCache<EndpointSlice>;
  readonly asked: readonly string[];
  readonly lines: ReturnType<typeof createRecordedLog>['lines'];
  /** Undefined: not asked to wait. Otherwise how long it took. */
  retract(timeoutMs?: number): Promise<number> | undefined;
  applyOwn(revision: number): void;
  advance(ms: number): Promise<void>;
}

function cacheOf<T extends KubeObject>(items: readonly T[]): InformerCache<T> {
  const cache = createInformerCache<T>((error) => {
    throw error;
  });
  cache.replace(items, '1');
  return cache;
}

function sceneOf(
  nodes: readonly Node[],
  answers: Readonly<Record<string, readonly PeerAnswer[]>>,
  services: readonly Service[] = [service],
): Scene {
  const clock = createFakeClock(0);
  const slices = cacheOf<EndpointSlice>([]);
  slices.ensureIndex(ownEndpointsIndex, ownEndpoints('n1'));
  const asked: string[] = [];
  const left = new Map(Object.entries(answers).map(([name, list]) => [name, [...list]]));
  const ask: AskPeer = async ({ name }, { revision }) => {
    asked.push(`${name} ${revision}`);
    const next = left.get(name)?.shift();
    return next ?? (await new Promise<never>(() => undefined));
  };
  const applied = createAppliedRules(clock);
  let revision = 0;
  applied.follow({ revision: () => revision, mode: () => 'nftables', tables: async () => [] });
  const { log, lines } = createRecordedLog();
  const retraction = createRetraction({
    ...{ nodeName: 'n1', services: cacheOf(services), endpointSlices: slices, nodes: cacheOf(nodes) },
    ...{ applied, ask, clock, log },
  });
  const advance = async (ms: number): Promise<void> => {
    await untilQuiet();
    clock.advance(ms);
    await untilQuiet();
  };
  return {
    ...{ clock, slices, asked, lines, advance },
    retract: (timeoutMs = 3000) => retraction.retract(pod, timeoutMs)?.then(() => clock.monotonic()),
    applyOwn: (now) => {
      revision = now;
      applied.note();
    },
  };
}

const modified = (object: EndpointSlice) => ({ type: 'MODIFIED', object }) as const;
const yes: PeerAnswer = { kind: 'applied', revision: 9 };

describe('createAppliedRules()', () => {
  it('tells at once how far the rules are where too many wait', async () => {
    const rules = createAppliedRules(createFakeClock(0));
    for (let i = 0; i < waitersMax; i++) void rules.reach(1, 1_000);
    expect(await rules.reach(1, 1_000)).toBe(0);
  });
});

describe('createRetraction()', () => {
  it('does not wait for a pod that no Service leads to', () => {
    const { slices, retract, asked } = sceneOf([nodeOf('n2')], {}, []);
    slices.apply(modified(sliceOf(ready, { uid: 'another' })));
    expect(retract()).toBeUndefined();
    expect(asked).toEqual([]);
  });

  it('waits for its slice, its own rules, those of other nodes, and what is under way', async () => {
    const { slices, asked, retract, applyOwn, advance } = sceneOf([nodeOf('n1'), nodeOf('n2')], {
      n2: [yes],
    });
    slices.apply(modified(sliceOf(ready, { version: '4' })));
    const retracted = retract();
    await advance(10);
    expect(asked).toEqual([]);
    slices.apply(modified(sliceOf(ending, { version: '6' })));
    await advance(5);
    expect(asked).toEqual(['n2 6']);
    applyOwn(6);
    await advance(underWayMsMin);
    expect(await retracted).toBe(15 + underWayMsMin);
  });

  it('asks again while a peer is not as far, and while its agent starts', async () => {
    const late: readonly PeerAnswer[] = [{ kind: 'applied', revision: 5 }, { kind: 'silent' }, yes];
    const { slices, asked, retract, applyOwn, advance, lines } = sceneOf([nodeOf('n1'), nodeOf('n2')], {
      n2: late,
    });
    slices.apply(modified(sliceOf(ending, { version: '6' })));
    applyOwn(6);
    const retracted = retract();
    await advance(100);
    await advance(100);
    expect(await retracted).toBeLessThan(300);
    expect(asked).toEqual(['n2 6', 'n2 6', 'n2 6']);
    expect(lines.filter(({ level }) => level === 'warn')).toEqual([]);
  });

  it('is over in time where a peer says nothing, and gives it little time from then on', async () => {
    const { slices, retract, applyOwn, advance, lines } = sceneOf([nodeOf('n1'), nodeOf('n2')], {});
    slices.apply(modified(sliceOf(ending, { version: '6' })));
    applyOwn(6);
    const retracted = retract();
    await advance(3000);
    expect(await retracted).toBe(3000);
    expect(lines.some(({ level }) => level === 'warn')).toBe(true);
  });

  it('gives a proxy of another make its time', async () => {
    const nodes = [nodeOf('n1'), nodeOf('other', { runtime: 'containerd://2.1' })];
    const { slices, retract, applyOwn, advance } = sceneOf(nodes, {});
    slices.apply(modified(sliceOf(ending, { version: '6' })));
    applyOwn(6);
    const retracted = retract();
    await advance(unaskedMs);
    await advance(500);
    expect(await retracted).toBe(unaskedMs + 500);
  });

  it('gives an agent that does not know the question the same', async () => {
    const { slices, retract, applyOwn, advance } = sceneOf([nodeOf('n1'), nodeOf('n2')], {
      n2: [{ kind: 'unknowing' }],
    });
    slices.apply(modified(sliceOf(ending, { version: '6' })));
    applyOwn(6);
    const retracted = retract();
    await advance(unaskedMs);
    await advance(500);
    expect(await retracted).toBe(unaskedMs + 500);
  });
});
