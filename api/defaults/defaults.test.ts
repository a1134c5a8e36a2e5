import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { admitCreate } from '#api/pod/admission.ts';
import { decodeObject } from '#api/wire/decode.ts';
import { applyDefaults } from './defaults.ts';
import { at } from '#api/wire/json.ts';
import { findKindByName } from '#api/schema/kinds.ts';
import type { JsonObject } from '#api/meta/object.ts';
import { serviceNeeds, withServiceAllocation } from '#api/service/allocation.ts';
import { settleFamilies } from '#api/service/families.ts';
import { prepareCreate } from '#api/strategy/strategy.ts';

interface Observed {
  readonly in: { readonly apiVersion: string; readonly kind: string } & JsonObject;
  readonly out: JsonObject & {
    readonly metadata: {
      readonly uid: string;
      readonly creationTimestamp: string;
      readonly namespace?: string;
    };
  };
}

const observed: { readonly objects: Readonly<Record<string, Observed>> } = JSON.parse(
  readFileSync(new URL('../fixtures/defaults-observed-1.36.2.json', import.meta.url), 'utf8').replaceAll(
    // A source that only the vendor's build adds to token volumes.
    ',{"configMap":{"name":"openshift-service-ca.crt","items":[{"key":"service-ca.crt","path":"service-ca.crt"}]}}',
    '',
  ),
);

describe('applyDefaults(), admitCreate() and prepareCreate() give what kube-apiserver 1.36.2 gave', () => {
  it.each(Object.entries(observed.objects))('%s', (_name, given) => {
    expect(create(given)).toEqual(given.out);
  });
});

describe('applyDefaults()', () => {
  it.each(Object.entries(observed.objects))('changes nothing the second time: %s', (_name, given) => {
    const kind = kindOf(given);
    const { object } = decodeObject(kind, given.in);
    const once = applyDefaults(kind, object);
    expect(applyDefaults(kind, once)).toEqual(once);
  });

  it('gives an address of a load balancer its mode, and a name none', () => {
    const kind = kindOf({ in: { apiVersion: 'v1', kind: 'Service' } });
    const ingress = [
      { ip: '203.0.113.5' },
      { ip: '203.0.113.6', ipMode: 'Proxy' },
      { hostname: 'lb.example' },
    ];
    const spec = { type: 'LoadBalancer' };
    expect(applyDefaults(kind, { spec, status: { loadBalancer: { ingress } } })['status']).toEqual({
      loadBalancer: { ingress: [{ ip: '203.0.113.5', ipMode: 'VIP' }, ingress[1], ingress[2]] },
    });
  });

  it.each<[name: string, kind: string, given: JsonObject, want: JsonObject]>([
    ['a list gives the first', 'Node', { podCIDRs: ['a', 'b'] }, { podCIDR: 'a', podCIDRs: ['a', 'b'] }],
    ['the first gives a list', 'Node', { podCIDR: 'a' }, { podCIDR: 'a', podCIDRs: ['a'] }],
    ['the first counts', 'Node', { podCIDR: 'c', podCIDRs: ['a', 'b'] }, { podCIDR: 'c', podCIDRs: ['c'] }],
    ['none stays none', 'Node', {}, {}],
    ['a list gives the first', 'Pod', { podIPs: [{ ip: 'a' }] }, { podIP: 'a', podIPs: [{ ip: 'a' }] }],
    ['the first gives a list', 'Pod', { podIP: 'a' }, { podIP: 'a', podIPs: [{ ip: 'a' }] }],
    [
      'the first counts',
      'Pod',
      { podIP: 'c', podIPs: [{ ip: 'a' }, { ip: 'b' }] },
      { podIP: 'c', podIPs: [{ ip: 'c' }] },
    ],
  ])('of a field that is the first of a list, %s: %s', (_name, name, given, want) => {
    const holder = name === 'Node' ? 'spec' : 'status';
    const kind = kindOf({ in: { apiVersion: 'v1', kind: name } });
    expect(applyDefaults(kind, { [holder]: given })[holder]).toEqual(want);
  });

  it('drops the configuration of an affinity that a Service does not have', () => {
    const kind = kindOf({ in: { apiVersion: 'v1', kind: 'Service' } });
    const sessionAffinityConfig = { clientIP: { timeoutSeconds: 5 } };
    const spec = (sessionAffinity: string): unknown =>
      applyDefaults(kind, { spec: { sessionAffinity, sessionAffinityConfig } })['spec'];
    expect(spec('None')).not.toHaveProperty('sessionAffinityConfig');
    expect(spec('ClientIP')).toHaveProperty('sessionAffinityConfig', sessionAffinityConfig);
  });

  it('does not change its input', () => {
    const kind = kindOf({ in: { apiVersion: 'v1', kind: 'Secret' } });
    const secret = { metadata: { name: 'x' }, stringData: { a: 'b' } };
    applyDefaults(kind, secret);
    expect(secret).toEqual({ metadata: { name: 'x' }, stringData: { a: 'b' } });
  });
});

function kindOf(given: Pick<Observed, 'in'>): NonNullable<ReturnType<typeof findKindByName>> {
  const kind = findKindByName(given.in.apiVersion, given.in.kind);
  if (kind === undefined) throw new Error(`no kind ${given.in.kind}`);
  return kind;
}

function create(given: Observed): JsonObject {
  const kind = kindOf(given);
  const { object, unknownFields } = decodeObject(kind, given.in);
  expect(unknownFields).toEqual([]);
  const { uid, creationTimestamp, namespace } = given.out.metadata;
  const suffix = /kube-api-access-(\w{5})/.exec(JSON.stringify(given.out))?.[1];
  const admitted = admitCreate(kind, applyDefaults(kind, object), {
    tokenVolumeSuffix: suffix,
    storageProtection: true,
  });
  const created = prepareCreate(kind, admitted, { now: Date.parse(creationTimestamp), uid, namespace });
  return kind.kind === 'Service' ? allocate(created) : created;
}

function allocate(service: JsonObject): JsonObject {
  const settled = settleFamilies(service, undefined, [4]).service;
  const needs = serviceNeeds(settled);
  return withServiceAllocation(settled, {
    clusterIps: needs.clusterIps.map(() => '10.96.0.0'),
    nodePorts: new Map(needs.nodePorts.map((index) => [index, 32_769 + index])),
  });
}

describe('a pod that limits itself as a whole', () => {
  const requestsOf = (containers: readonly JsonObject[], resources: JsonObject): unknown => {
    const kind = findKindByName('v1', 'Pod');
    if (kind === undefined) throw new Error('no kind Pod');
    return at(applyDefaults(kind, { spec: { containers, resources } }), 'spec.resources.requests');
  };
  const limits = { cpu: '2', memory: '1Gi' };

  it('requests its limit where no container says', () => {
    expect(requestsOf([{ name: 'c' }], { limits })).toEqual(limits);
  });

  it('requests what its containers do, and what it says itself before that', () => {
    const asking = (cpu: string): JsonObject => ({ name: cpu, resources: { requests: { cpu } } });
    expect(requestsOf([asking('100m'), asking('1')], { limits })).toEqual({ cpu: '1100m', memory: '1Gi' });
    expect(requestsOf([asking('100m')], { limits, requests: { cpu: '200m' } })).toEqual({
      cpu: '200m',
      memory: '1Gi',
    });
  });
});
