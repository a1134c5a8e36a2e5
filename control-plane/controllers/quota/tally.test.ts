import { describe, expect, it } from 'vitest';
import { createRandom } from '#base/random.fixture.ts';
import type { JsonObject } from '#api/meta/object.ts';
import type { KindName, Usage } from '#api/quota/usage.ts';
import { sumUsage, Tallies, type Counts } from './tally.ts';

type Pick = <T>(of: readonly T[]) => T;

/** Objects of kinds that quotas count each in a way of its own, as they come and as statuses change them. */
const makers: readonly { readonly kind: KindName; readonly make: (pick: Pick) => JsonObject }[] = [
  {
    kind: { group: '', resource: 'pods' },
    make: (pick) => ({
      spec: {
        containers: [
          { name: 'c', resources: pick([{}, { requests: { cpu: '100m' }, limits: { memory: '1Gi' } }]) },
          { name: 'd', resources: pick([{}, { requests: { cpu: '1', memory: '64Mi' } }]) },
        ],
        ...pick([{}, { activeDeadlineSeconds: 5 }]),
        ...pick([{}, { priorityClassName: 'high' }]),
      },
      status: { phase: pick(['Pending', 'Running', 'Running', 'Succeeded', 'Failed']) },
    }),
  },
  {
    kind: { group: '', resource: 'services' },
    make: (pick) => ({
      spec: {
        type: pick(['ClusterIP', 'NodePort', 'LoadBalancer']),
        ports: pick([[{ port: 80 }], [{ port: 80 }, { port: 81 }]]),
      },
    }),
  },
  {
    kind: { group: '', resource: 'persistentvolumeclaims' },
    make: (pick) => ({
      spec: {
        ...pick([{}, { storageClassName: 'gold' }]),
        resources: { requests: { storage: pick(['1Gi', '1500M', '2Gi']) } },
      },
      status: pick([{}, { currentVolumeAttributesClassName: 'fast' }]),
    }),
  },
  { kind: { group: 'apps', resource: 'deployments' }, make: () => ({}) },
];

const hard = {
  ...{ pods: '9', 'count/pods': '9', cpu: '9', 'requests.memory': '1Gi', 'limits.memory': '4Gi' },
  ...{ services: '9', 'services.nodeports': '9', 'services.loadbalancers': '9' },
  ...{ 'requests.storage': '9Gi', 'gold.storageclass.storage.k8s.io/requests.storage': '9Gi' },
  ...{ persistentvolumeclaims: '9', 'count/deployments.apps': '9', 'x.y': '1' },
};
const scopes = (scopeName: string, operator = 'Exists', values?: readonly string[]): JsonObject => ({
  scopeSelector: { matchExpressions: [{ scopeName, operator, ...(values === undefined ? {} : { values }) }] },
});
const quotas: readonly Counts[] = [
  { name: 'all' },
  { name: 'ending', scopes: ['Terminating'] },
  { name: 'best', scopes: ['BestEffort'] },
  { name: 'running', scopes: ['NotBestEffort', 'NotTerminating'] },
  { name: 'high', ...scopes('PriorityClass', 'In', ['high']) },
  { name: 'attributes', ...scopes('VolumeAttributesClass') },
].map(({ name, ...more }) => ({ metadata: { name, namespace: 'n' }, spec: { hard, ...more } }));

const amounts = (usage: Usage): string => [...usage].map(([name, { nanos }]) => `${name} ${nanos}`).join();

describe('Tallies', () => {
  it('say after any changes what a sum over all objects says, and whose sum is another one', () => {
    const seed = Number(process.env['PODWRIGHT_FUZZ_SEED'] ?? (Math.random() * 2 ** 31) | 0);
    console.log('seed', seed);
    const random = createRandom(seed);
    const pick: Pick = (of) => of[Math.floor(random() * of.length)] as (typeof of)[number];
    const tallies = new Tallies();
    const caches = makers.map((maker) => {
      const known = new Map<string, JsonObject>();
      return { ...maker, known, objects: { byIndex: () => [...known.values()] } };
    });
    for (let step = 0; step < 3_000; step++) {
      const { kind, make, known, objects } = pick(caches);
      const told = (): readonly string[] =>
        quotas.map((quota) => amounts(tallies.used(quota, { kind, objects, nowMs: 0 }).used));
      const before = told();
      const key = `o${Math.floor(random() * 12)}`;
      const [old, current] = [known.get(key), random() < 0.25 ? undefined : make(pick)];
      known.delete(key);
      if (current !== undefined) known.set(key, current);
      const changed = tallies.change('n', kind, { old, current });
      const after = told();
      expect(after).toEqual(
        quotas.map((quota) => amounts(sumUsage(quota, kind, { objects: objects.byIndex(), nowMs: 0 }))),
      );
      const isAnother = (_: unknown, index: number): boolean => before[index] !== after[index];
      expect(changed).toEqual(quotas.filter(isAnother).map(({ metadata }) => metadata?.name));
    }
  });

  it('are counted anew where a quota says something else, or a cache began anew', () => {
    const tallies = new Tallies();
    const kind = { group: '', resource: 'pods' };
    const pod = { spec: { containers: [] } };
    const podsUsed = (hardNow: Record<string, string>, objects: { byIndex: () => JsonObject[] }) => {
      const quota = { metadata: { name: 'q', namespace: 'n' }, spec: { hard: hardNow } };
      return amounts(tallies.used(quota, { kind, objects, nowMs: 0 }).used);
    };
    const first = { byIndex: () => [pod] };
    expect(podsUsed({ pods: '9' }, first)).toBe('pods 1000000000');
    expect(podsUsed({ 'count/pods': '9' }, first)).toBe('count/pods 1000000000');
    expect(podsUsed({ 'count/pods': '9' }, { byIndex: () => [pod, pod] })).toBe('count/pods 2000000000');
    tallies.forget('n', 'q');
    expect(tallies.change('n', kind, { old: pod, current: undefined })).toEqual([]);
  });

  it('take off a claim what it took, and count anew what it takes by another class', () => {
    const tallies = new Tallies();
    const kind = { group: 'resource.k8s.io', resource: 'resourceclaims' };
    const claim = {
      spec: { devices: { requests: [{ name: 'r', exactly: { deviceClassName: 'gpu', count: 2 } }] } },
    };
    const held = [claim];
    const objects = { byIndex: () => held };
    let extendedName: string | undefined = 'example.com/gpu';
    const around = { extendedNameOf: () => extendedName, podUsageOf: () => undefined };
    const quota = {
      metadata: { name: 'q', namespace: 'n' },
      spec: { hard: { 'requests.example.com/gpu': '9' } },
    };
    const used = (): string => amounts(tallies.used(quota, { kind, objects, nowMs: 0, around }).used);
    expect(used()).toBe('requests.example.com/gpu 2000000000');
    extendedName = undefined;
    held.pop();
    expect(tallies.change('n', kind, { old: claim, current: undefined })).toEqual(['q']);
    expect(used()).toBe('requests.example.com/gpu 0');
    extendedName = 'example.com/gpu';
    held.push({ ...claim });
    expect(tallies.recount(kind, 'other')).toEqual([]);
    expect(tallies.recount(kind)).toEqual(['n/q']);
    expect(used()).toBe('requests.example.com/gpu 2000000000');
  });
});
