import { expect, it } from 'vitest';
import type { JsonObject } from '#api/meta/object.ts';
import { formatQuantity } from '#api/meta/quantity.ts';
import { claimSurroundings } from './claim-surroundings.ts';
import { usageOf } from './usage.ts';

const claims = { group: 'resource.k8s.io', resource: 'resourceclaims' };
const ownerReferences = [{ apiVersion: 'v1', kind: 'Pod', name: 'p', uid: 'u', controller: true }];
const annotations = { 'resource.kubernetes.io/extended-resource-claim': 'true' };
const made = (name: string, creationTimestamp: string): JsonObject => ({
  metadata: { name, namespace: 'n', creationTimestamp, annotations, ownerReferences },
  spec: { devices: { requests: [{ name: 'r', exactly: { deviceClassName: 'gpu', count: 2 } }] } },
});
const first = made('first', '2026-01-01T00:00:00Z');
const second = made('second', '2026-01-02T00:00:00Z');
const podOf = (uid: string, requests: JsonObject, status: JsonObject = {}): JsonObject => ({
  metadata: { name: 'p', namespace: 'n', uid },
  spec: { containers: [{ name: 'c', resources: { requests } }] },
  status,
});
const implicit = 'requests.deviceclass.resource.kubernetes.io/gpu';
const explicit = 'requests.example.com/gpu';
const gpus = (count: string): JsonObject => ({ 'example.com/gpu': count });
const whole = { [implicit]: '2', [explicit]: '2' };

/** Rows of upstream's TestResourceClaimEvaluatorUsage and what getVerifiedPodUsage looks at. */
it.each<{
  readonly name: string;
  readonly claim?: JsonObject;
  readonly pod?: JsonObject;
  readonly extendedResourceName?: string | undefined;
  readonly want: Readonly<Record<string, string>>;
}>([
  { name: 'of a class that stands for nothing', extendedResourceName: undefined, want: { [implicit]: '2' } },
  { name: 'that no pod is there for', want: whole },
  { name: 'of its pod', pod: podOf('u', gpus('2')), want: { [implicit]: '2' } },
  { name: 'of a pod that asks for less', pod: podOf('u', gpus('1')), want: { ...whole, [explicit]: '1' } },
  {
    name: 'of a pod that asks by the name of the class',
    pod: podOf('u', { 'deviceclass.resource.kubernetes.io/gpu': '2' }),
    want: { [explicit]: '2' },
  },
  { name: 'of another pod of that name', pod: podOf('v', gpus('2')), want: whole },
  { name: 'of a pod that is over', pod: podOf('u', gpus('2'), { phase: 'Failed' }), want: whole },
  {
    name: 'that its pod names',
    claim: second,
    pod: podOf('u', gpus('2'), { extendedResourceClaimStatus: { resourceClaimName: 'second' } }),
    want: { [implicit]: '2' },
  },
  {
    name: 'where its pod names another',
    pod: podOf('u', gpus('2'), { extendedResourceClaimStatus: { resourceClaimName: 'second' } }),
    want: whole,
  },
  { name: 'that is not the first of its pod', claim: second, pod: podOf('u', gpus('2')), want: whole },
  {
    name: 'that nobody made for its owner',
    claim: { ...first, metadata: { name: 'first', namespace: 'n', ownerReferences } },
    pod: podOf('u', gpus('2')),
    want: whole,
  },
])('usageOf() a claim $name', ({ claim = first, pod, want, ...more }) => {
  const extendedResourceName = 'extendedResourceName' in more ? more.extendedResourceName : 'example.com/gpu';
  const spec: JsonObject = extendedResourceName === undefined ? {} : { extendedResourceName };
  const around = claimSurroundings({
    classNamed: (name) => (name === 'gpu' ? { spec } : undefined),
    podNamed: () => pod,
    claimsOf: () => [first, second],
    nowMs: 0,
  });
  const told = [...usageOf(claims, claim, 0, around)].filter(([name]) => name.startsWith('requests.'));
  expect(Object.fromEntries(told.map(([name, amount]) => [name, formatQuantity(amount)]))).toEqual(want);
});
