import { afterEach, describe, expect, it } from 'vitest';
import { createFakeClock } from '#base/clock.ts';
import { silentLogger } from '#base/log.ts';
import { watchPresence } from '#base/presence.ts';
import { untilTurnsEnd } from '#base/quiet.fixture.ts';
import { services } from '#api/schema/kind-ref.ts';
import type { Service, ServiceSpec } from '#api/generated/objects.ts';
import { loadBalancerClass, refuseSharing } from '#api/service/load-balancer.ts';
import { createFakeApiClient } from '#client/client.fake.ts';
import { createInformers } from '#client/informers.ts';
import { AddressPool } from './address-pool.ts';
import { planLoadBalancer, type LoadBalancerPlan } from './plan.ts';
import { runServiceLoadBalancers } from './reconcile.ts';

const balancer = (spec: Partial<ServiceSpec> = {}, ips: readonly string[] = [], name = 'web'): Service => ({
  metadata: { namespace: 'd', name, uid: name, creationTimestamp: '2026-01-02T00:00:00Z' },
  spec: { type: 'LoadBalancer', ipFamilies: ['IPv4'], ports: [{ port: 80 }], ...spec },
  status: { loadBalancer: ips.length === 0 ? {} : { ingress: ips.map((ip) => ({ ip, ipMode: 'VIP' })) } },
});
const dual: Partial<ServiceSpec> = { ipFamilies: ['IPv6', 'IPv4'] };
const node: Partial<ServiceSpec> = { type: 'NodePort' };

function describePlan(plan: LoadBalancerPlan): string {
  if (plan.kind === 'give') return plan.ingress.map(({ ip, ipMode }) => `${ip} ${ipMode}`).join(', ');
  return plan.kind === 'wait' ? plan.message : plan.kind;
}

describe('planLoadBalancer()', () => {
  it.each<[string, Service, readonly string[], string]>([
    ['the first address', balancer(), [], '203.0.113.1 VIP'],
    ['the first that nobody has', balancer(), ['203.0.113.1'], '203.0.113.2 VIP'],
    ['one of each family in the order of its families', balancer(dual), [], 'fd00:9::1 VIP, 203.0.113.1 VIP'],
    ['keeps what it has', balancer({}, ['203.0.113.5']), ['203.0.113.1'], 'leave'],
    [
      'another family joins what it has',
      balancer(dual, ['203.0.113.5']),
      [],
      'fd00:9::1 VIP, 203.0.113.5 VIP',
    ],
    ['one family goes', balancer({}, ['203.0.113.5', 'fd00:9::1']), [], '203.0.113.5 VIP'],
    ['what an older one has, too', balancer({}, ['203.0.113.1']), ['203.0.113.1'], '203.0.113.2 VIP'],
    ['of a class', balancer({ loadBalancerClass: 'a/b' }), [], 'leave'],
    ['of our class', balancer({ loadBalancerClass }), [], '203.0.113.1 VIP'],
    [
      'somebody else gave it one',
      balancer({}, ['192.0.2.7']),
      [],
      'it keeps 192.0.2.7, not of --load-balancer-cidr: somebody else gave it, or it was another network then',
    ],
    ['of another type', balancer(node), [], 'leave'],
    ['of another type with an address', balancer(node, ['203.0.113.5']), [], 'leave'],
    [
      'that goes',
      { ...balancer(), metadata: { ...balancer().metadata, deletionTimestamp: 'now' } },
      [],
      'leave',
    ],
    ['asks for one', balancer({ loadBalancerIP: '203.0.113.4' }), [], '203.0.113.4 VIP'],
    [
      'asks for another than it has',
      balancer({ loadBalancerIP: '203.0.113.4' }, ['203.0.113.5']),
      [],
      '203.0.113.4 VIP',
    ],
    [
      'asks for a strange one',
      balancer({ loadBalancerIP: '192.0.2.7' }),
      [],
      'spec.loadBalancerIP 192.0.2.7 is not in 203.0.113.0/29 (--load-balancer-cidr)',
    ],
    [
      'asks for one that is taken',
      balancer({ loadBalancerIP: '203.0.113.4' }),
      ['203.0.113.4'],
      'spec.loadBalancerIP 203.0.113.4 is that of d/other: they have no sharing key in common',
    ],
    [
      'none is left',
      balancer(),
      [1, 2, 3, 4, 5, 6].map((i) => `203.0.113.${i}`),
      'all addresses of 203.0.113.0/29 are taken (--load-balancer-cidr)',
    ],
  ])('%s', (_name, service, taken, want) => {
    const pools = ['203.0.113.0/29', 'fd00:9::/112'].map((cidr) => new AddressPool(cidr));
    for (const pool of pools)
      for (const ip of taken) if (pool.own(ip) !== undefined) pool.claim(ip, 'd/other');
    const others = {
      isOlder: (key: string) => key === 'd/other',
      refuse: () => refuseSharing(service, balancer({}, [], 'other')),
    };
    expect(describePlan(planLoadBalancer(service, pools, others))).toBe(want);
  });

  const word = (spec: Partial<ServiceSpec>, key = 'k', ips: readonly string[] = []): Service => {
    const service = balancer(spec, ips);
    return {
      ...service,
      metadata: { ...service.metadata, annotations: { 'metallb.io/allow-shared-ip': key } },
    };
  };
  const otherPort = [{ port: 53, protocol: 'UDP' }] as const;
  it.each<[string, Service, Service, string]>([
    ['another port', word({ ports: otherPort }), word({}), '203.0.113.3 VIP'],
    ['the same port', word({}), word({}), '203.0.113.1 VIP'],
    ['another key', word({ ports: otherPort }, 'j'), word({}), '203.0.113.1 VIP'],
    ['no key', balancer({ ports: otherPort }), word({}), '203.0.113.1 VIP'],
    [
      'Local beside Cluster',
      word({ ports: otherPort, externalTrafficPolicy: 'Local', loadBalancerIP: '203.0.113.3' }),
      word({}),
      'spec.loadBalancerIP 203.0.113.3 is that of d/other: only one has externalTrafficPolicy Local',
    ],
    [
      'Local of other pods',
      word({
        ports: otherPort,
        externalTrafficPolicy: 'Local',
        loadBalancerIP: '203.0.113.3',
        selector: { a: 'b' },
      }),
      word({ externalTrafficPolicy: 'Local', selector: { a: 'c' } }),
      'spec.loadBalancerIP 203.0.113.3 is that of d/other: externalTrafficPolicy is Local, and they select other pods',
    ],
    ['shared already', word({ ports: otherPort }, 'k', ['203.0.113.3']), word({}), 'leave'],
    ['shared, and no more', word({}, 'k', ['203.0.113.3']), word({}), '203.0.113.1 VIP'],
  ])('a shared address: %s', (_name, service, other, want) => {
    const pool = new AddressPool('203.0.113.0/29');
    pool.claim('203.0.113.3', 'd/other');
    const others = { isOlder: () => true, refuse: () => refuseSharing(service, other) };
    expect(describePlan(planLoadBalancer(service, [pool], others))).toBe(want);
  });

  it('says that there is no pool of its families', () => {
    const pools = [new AddressPool('fd00:9::/112')];
    expect(
      describePlan(planLoadBalancer(balancer(), pools, { isOlder: () => false, refuse: () => undefined })),
    ).toMatch(/of its families/);
  });
});

describe('runServiceLoadBalancers()', () => {
  let stack = new AsyncDisposableStack();
  afterEach(async () => {
    await stack.disposeAsync();
    stack = new AsyncDisposableStack();
  });

  function setUp(cidr: string, ...existing: readonly Service[]) {
    const clock = createFakeClock(Date.UTC(2026, 0, 1));
    const client = createFakeApiClient(clock);
    for (const service of existing) client.seed(services, service);
    const informers = createInformers({ client, clock, random: () => 0.5 });
    const events: string[] = [];
    const recorder = () => ({
      record: (...[{ object }, type, reason]: readonly [{ object: unknown }, string, string, string]) => {
        const { name = '' } = (object as { metadata?: { name?: string } }).metadata ?? {};
        events.push(`${type} ${reason} ${name}`);
      },
      flush: async () => undefined,
      [Symbol.asyncDispose]: async () => undefined,
    });
    const presence = watchPresence(clock);
    const context = { client, informers, clock, logger: silentLogger, presence, recorder };
    const controller = stack.use(runServiceLoadBalancers(context, [cidr]));
    const settle = async (): Promise<void> => {
      for (let i = 0; i < 3; i++) {
        await controller.idle();
        await untilTurnsEnd();
      }
    };
    const ipsOf = (name: string) =>
      client
        .all(services)
        .find(({ metadata }) => metadata?.name === name)
        ?.status?.loadBalancer?.ingress?.map(({ ip }) => ip);
    return { client, events, settle, ipsOf };
  }

  it('gives each an address of its own, tells who gets none once, and gives it the first that is free', async () => {
    const names = ['a', 'b', 'c'];
    const { client, events, settle, ipsOf } = setUp(
      '203.0.113.0/30',
      ...names.map((name) => balancer({}, [], name)),
    );
    await settle();
    expect(names.map(ipsOf)).toEqual([['203.0.113.1'], ['203.0.113.2'], undefined]);
    expect(events).toEqual([
      'Normal EnsuringLoadBalancer a',
      'Normal EnsuredLoadBalancer a',
      'Normal EnsuringLoadBalancer b',
      'Normal EnsuredLoadBalancer b',
      'Warning SyncLoadBalancerFailed c',
    ]);
    await client.delete(services, { namespace: 'd', name: 'a' });
    await settle();
    expect(ipsOf('c')).toEqual(['203.0.113.1']);
    await client.patch(
      services,
      { namespace: 'd', name: 'b' },
      { kind: 'merge', body: { spec: { type: 'ClusterIP' } } },
    );
    await settle();
    expect([ipsOf('b'), events.at(-1)]).toEqual([undefined, 'Normal DeletedLoadBalancer b']);
  });

  it('gives the younger of two with one address another', async () => {
    const old = balancer({}, ['203.0.113.1'], 'old');
    const young = { ...balancer({}, ['203.0.113.1'], 'young') };
    const { settle, ipsOf } = setUp(
      '203.0.113.0/29',
      { ...young, metadata: { ...young.metadata, creationTimestamp: '2026-01-03T00:00:00Z' } },
      old,
    );
    await settle();
    expect([ipsOf('old'), ipsOf('young')]).toEqual([['203.0.113.1'], ['203.0.113.2']]);
  });
});
