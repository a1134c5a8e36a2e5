import { describe, expect, it } from 'vitest';
import { PodwrightError } from '#base/errors.ts';
import { silentLogger } from '#base/log.ts';
import type { Backend, ProxyPort } from '#agent/proxy/service-map.ts';
import type { ServiceRules } from '#agent/proxy/service-rules.ts';
import { FakeSocketBalancer } from '#native/bpf/sockets/socket-balancer.fake.ts';
import { balancedFrontends } from './balanced.ts';
import { withSockets, type SocketBounds } from './socket-rules.ts';

const near: Backend = { ip: '10.244.0.5', port: 8080, isLocal: true };
const far: Backend = { ip: '10.244.1.5', port: 8080, isLocal: false };
const port: ProxyPort = {
  id: 'd/web:',
  protocol: 6,
  clusterIps: [{ address: '10.96.0.9', port: 80 }],
  externals: [{ address: '203.0.113.9', port: 80 }],
  sourceLimit: undefined,
  nodePort: 30_080,
  backends: [near, far],
  localBackends: [near],
  isInternalLocal: false,
  isExternalLocal: false,
  affinitySeconds: undefined,
};
const led = (...backends: readonly Backend[]): readonly object[] => [
  {
    protocol: 'tcp',
    frontend: { ip: '10.96.0.9', port: 80 },
    backends: backends.map(({ ip, port: number }) => ({ ip, port: number })),
  },
];

describe('balancedFrontends()', () => {
  it.each<{ name: string; given: Partial<ProxyPort>; want: unknown }>([
    { name: 'the cluster address, not node ports nor external ones', given: {}, want: led(near, far) },
    { name: 'the policy Local: those of this node', given: { isInternalLocal: true }, want: led(near) },
    { name: 'Local without any here', given: { isInternalLocal: true, localBackends: [] }, want: [] },
    { name: 'nobody', given: { backends: [], localBackends: [] }, want: [] },
    { name: 'sessionAffinity', given: { affinitySeconds: 10 }, want: [] },
    {
      name: 'UDP',
      given: { protocol: 17 },
      want: led(near, far).map((each) => ({ ...each, protocol: 'udp' })),
    },
    { name: 'sessionAffinity of UDP', given: { protocol: 17, affinitySeconds: 10 }, want: [] },
    { name: 'SCTP', given: { protocol: 132 }, want: [] },
    { name: 'externalTrafficPolicy Local', given: { isExternalLocal: true }, want: led(near, far) },
  ])('$name', ({ given, want }) => {
    expect(balancedFrontends([{ ...port, ...given }])).toEqual(want);
  });
});

function start(bounds?: SocketBounds) {
  const balancer = new FakeSocketBalancer();
  const asked: string[] = [];
  const inner: ServiceRules = {
    set: ({ key }) => void asked.push(key),
    relayout: () => undefined,
    commit: async () => void asked.push('commit'),
    isWhole: () => true,
    isStaleLeft: () => false,
    tables: async () => [],
    watch: () => ({ [Symbol.dispose]: () => undefined }),
    [Symbol.asyncDispose]: async () => undefined,
  };
  const given = bounds === undefined ? {} : { bounds };
  const rules = withSockets(inner, { balancer, log: silentLogger, ...given });
  const set = (key: string, ports: readonly ProxyPort[]): void => rules.set({ key, family: 4, ports });
  const addresses = (): readonly string[] => [...balancer.frontends.keys()].toSorted();
  return { balancer, rules, set, asked, addresses };
}

const at = (address: string, backends: readonly Backend[] = [near, far]): ProxyPort => ({
  ...port,
  clusterIps: [{ address, port: 80 }],
  backends,
});

describe('withSockets()', () => {
  it('has both done by a commit: at first all, then what changed', async () => {
    const { balancer, rules, set, asked, addresses } = start();
    set('d/web', [at('10.96.0.9')]);
    expect(rules.isWhole()).toBe(false);
    await rules.commit();
    expect(rules.isWhole()).toBe(true);
    set('d/web', [at('10.96.0.9')]); // As it was.
    set('d/new', [at('10.96.0.10', [far])]);
    expect(rules.isWhole()).toBe(false);
    await rules.commit();
    expect(addresses()).toEqual(['10.96.0.10 80 tcp', '10.96.0.9 80 tcp']);
    set('d/web', []);
    await rules.commit();
    expect(addresses()).toEqual(['10.96.0.10 80 tcp']);
    await rules.commit();
    expect(balancer.counts).toEqual({ replace: 1, change: 2 });
    expect(asked).toEqual(['d/web', 'commit', 'd/web', 'd/new', 'commit', 'd/web', 'commit', 'commit']);
  });

  it('an address of both protocols is two', async () => {
    const { rules, set, addresses } = start();
    set('d/dns', [at('10.96.0.9'), { ...at('10.96.0.9'), protocol: 17 }]);
    await rules.commit();
    expect(addresses()).toEqual(['10.96.0.9 80 tcp', '10.96.0.9 80 udp']);
    set('d/dns', [at('10.96.0.9')]);
    await rules.commit();
    expect(addresses()).toEqual(['10.96.0.9 80 tcp']);
  });

  it('an address goes from one Service to another within a commit, whichever is told first', async () => {
    for (const order of [
      ['d/old', 'd/new'],
      ['d/new', 'd/old'],
    ]) {
      const { balancer, rules, set } = start();
      set('d/old', [at('10.96.0.9', [near])]);
      await rules.commit();
      for (const key of order) set(key, key === 'd/old' ? [] : [at('10.96.0.9', [far])]);
      await rules.commit();
      expect(balancer.frontends.get('10.96.0.9 80 tcp')).toEqual([{ ip: far.ip, port: far.port }]);
    }
  });

  it('makes all anew after a change that failed half way', async () => {
    const { balancer, rules, set, addresses } = start();
    set('d/web', [at('10.96.0.9')]);
    await rules.commit();
    set('d/a', [at('10.96.0.10')]);
    set('d/b', [at('10.96.0.11')]);
    balancer.nextError = new PodwrightError('E_NO_SPACE', 'put entries: ENOSPC');
    await expect(rules.commit()).rejects.toThrow('ENOSPC');
    expect(rules.isWhole()).toBe(false);
    balancer.nextError = new PodwrightError('E_KERNEL', 'make map: ENOMEM');
    await expect(rules.commit()).rejects.toThrow('ENOMEM');
    await rules.commit();
    expect(rules.isWhole()).toBe(true);
    expect(addresses()).toEqual(['10.96.0.10 80 tcp', '10.96.0.11 80 tcp', '10.96.0.9 80 tcp']);
    expect(balancer.counts.replace).toBe(2);
  });

  it('leaves all to the rules where this kernel cannot, and is whole with that', async () => {
    const { balancer, rules, set, asked } = start();
    balancer.refusal = 'EPERM';
    set('d/web', [port]);
    await rules.commit();
    set('d/web', []);
    await rules.commit();
    expect(rules.isWhole()).toBe(true);
    expect(asked.filter((word) => word === 'commit')).toHaveLength(2);
  });

  it.each<SocketBounds>([
    { frontendsMax: 2, backendsMax: 100 },
    { frontendsMax: 100, backendsMax: 5 },
  ])('leaves to the rules what is beyond $frontendsMax frontends, $backendsMax backends', async (bounds) => {
    const { rules, set, addresses } = start(bounds);
    for (const last of [1, 2, 3]) set(`d/${last}`, [at(`10.96.0.${last}`)]);
    await rules.commit();
    expect(addresses()).toEqual(['10.96.0.1 80 tcp', '10.96.0.2 80 tcp']);
    set('d/1', []);
    set('d/3', [at('10.96.0.3')]);
    await rules.commit();
    expect(addresses()).toEqual(['10.96.0.2 80 tcp', '10.96.0.3 80 tcp']);
  });
});
