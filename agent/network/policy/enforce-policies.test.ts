import * as fc from 'fast-check';
import { describe, expect, it, vi } from 'vitest';
import { createFakeClock } from '#base/clock.ts';
import { silentLogger } from '#base/log.ts';
import type { Namespace, NetworkPolicy, Pod } from '#api/generated/objects.ts';
import { networkPolicies } from '#api/schema/kind-ref.ts';
import { createFakeApiClient } from '#client/client.fake.ts';
import { createInformerCache } from '#client/informer.ts';
import { createFakeNetlink } from '#native/netlink/netlink.fake.ts';
import { ownNetns } from '#native/netlink/netlink.ts';
import { createFakeNft } from '#native/nft/nft.fake.ts';
import type { Flow, NftTable } from '#native/nft/nft.ts';
import { renderTable } from '#native/nft/render.ts';
import { createPolicies, type Policies } from './enforce-policies.ts';
import { fortyPolicies } from './forty-policies.fixture.ts';
import { policyTable } from './policy-layout.ts';
import { withPolicies } from './policy-network.ts';
import { nine, podOf, tableOf } from './policy.fixture.ts';

const table = policyTable('ip');
const never = new AbortController().signal;

const attachedOf = (pod: Pod) => ({
  sandboxId: `sandbox-${pod.metadata?.uid}`,
  uid: pod.metadata?.uid ?? '',
  namespace: pod.metadata?.namespace ?? '',
  name: pod.metadata?.name ?? '',
  ips: (pod.status?.podIPs ?? []).flatMap(({ ip }) => ip ?? []),
});

/** A node whose informers are empty, and not synced. */
function open(nft = createFakeNft()) {
  const fail = (error: unknown): void => {
    throw error;
  };
  const clock = createFakeClock();
  const client = createFakeApiClient(clock);
  const cache = {
    policies: createInformerCache<NetworkPolicy>(fail),
    allPods: createInformerCache<Pod>(fail),
    ownPods: createInformerCache<Pod>(fail),
    namespaces: createInformerCache<Namespace>(fail),
  };
  const asked: string[] = [];
  const warnings: string[] = [];
  const policies: Policies = createPolicies({
    nodeName: 'here',
    client,
    policies: cache.policies,
    allPods: () => (asked.push('pods'), cache.allPods),
    namespaces: () => (asked.push('namespaces'), cache.namespaces),
    ownPods: cache.ownPods,
    families: ['ip', 'ip6'],
    nft,
    netlink: createFakeNetlink(),
    clock,
    log: silentLogger,
    warn: (policy, message) => warnings.push(`${policy?.metadata?.name}: ${message}`),
  });
  let version = 1;
  const next = (): string => String((version += 1));
  const set = {
    policies: (list: readonly NetworkPolicy[]) =>
      cache.policies.replace(
        list.map((one) => newer(one, next())),
        next(),
      ),
    allPods: (list: readonly Pod[]) =>
      cache.allPods.replace(
        list.map((one) => newer(one, next())),
        next(),
      ),
    ownPods: (list: readonly Pod[]) =>
      cache.ownPods.replace(
        list.map((one) => newer(one, next())),
        next(),
      ),
    namespaces: (map: Readonly<Record<string, Readonly<Record<string, string>>>>) =>
      cache.namespaces.replace(
        Object.entries(map).map(([name, labels]) => newer({ metadata: { name, uid: name, labels } }, next())),
        next(),
      ),
  };
  const text = (): string => {
    const found = nft.table(ownNetns, table);
    return found === undefined ? 'none' : renderTable(sorted(found));
  };
  return { policies, nft, clock, client, cache, set, asked, warnings, text };
}

function newer<T extends { readonly metadata?: Pod['metadata'] }>(object: T, resourceVersion: string): T {
  return { ...object, metadata: { uid: object.metadata?.name, ...object.metadata, resourceVersion } };
}

/** Chains in order of their names: where a chain stands means nothing. */
const sorted = (given: NftTable): NftTable => ({
  ...given,
  chains: given.chains.toSorted((a, b) => (a.name < b.name ? -1 : 1)),
});

const wantedText = (world: typeof nine, list: readonly NetworkPolicy[]): string =>
  renderTable(sorted(tableOf(world, list)));

/** With everything known, all pods being the node's own. */
async function openNine(list: readonly NetworkPolicy[], nft = createFakeNft()) {
  const given = open(nft);
  given.set.policies(list);
  given.set.ownPods(nine.pods);
  given.set.allPods(nine.pods);
  given.set.namespaces(nine.namespaces);
  given.policies.start(nine.pods.map(attachedOf));
  await given.policies.idle();
  return given;
}

const named = (name: string): NetworkPolicy => {
  const found = fortyPolicies.find(({ metadata }) => metadata?.name === name);
  if (found === undefined) throw new Error(`no policy ${name}`);
  return found;
};

const flow = (source: string, target: string, port: number): Flow => ({
  family: 2,
  protocol: 6,
  source,
  target,
  port,
  identity: [],
});

describe('createPolicies()', () => {
  it('touches nothing, and lets no pod begin, before all is known', async () => {
    const earlier = await openNine(fortyPolicies);
    const before = earlier.text();
    await earlier.policies[Symbol.asyncDispose]();
    await using stack = new AsyncDisposableStack();
    const { policies, set, nft, text } = open(earlier.nft);
    stack.use(policies);
    const commits = nft.commits.length;
    policies.start(nine.pods.slice(1).map(attachedOf));
    let hasBegun = false;
    const [first] = nine.pods;
    if (first === undefined) throw new Error('no pod');
    const begun = policies.attach(attachedOf(first), never).then(() => (hasBegun = true));
    for (const step of [
      () => set.policies(fortyPolicies),
      () => set.ownPods(nine.pods),
      () => set.allPods(nine.pods),
      () => undefined,
    ]) {
      await policies.idle();
      expect([hasBegun, nft.commits.length]).toEqual([false, commits]);
      step();
    }
    set.namespaces(nine.namespaces);
    await begun;
    expect(text()).toBe(before);
  });

  it('spares a cluster without policies the pods of others, and has no table there', async () => {
    const { policies, asked, text, set } = await openNine([]);
    await using _policies = policies;
    expect([asked, text()]).toEqual([[], 'none']);
    set.policies([named('deny-both')]);
    await policies.idle();
    expect(asked).toEqual(['pods', 'namespaces']);
    expect(text()).toBe(wantedText(nine, [named('deny-both')]));
    set.policies([]);
    await policies.idle();
    expect(text()).toBe('none');
  });

  it('changes what differs, by one transaction', async () => {
    const { policies, set, nft, text } = await openNine([named('deny-both'), named('from-pod')]);
    await using _policies = policies;
    const before = nft.commits.length;
    set.policies([named('deny-both'), named('from-pod'), named('port')]);
    await policies.idle();
    expect(text()).toBe(wantedText(nine, [named('deny-both'), named('from-pod'), named('port')]));
    const ops = nft.commits.slice(before).flatMap(({ ops: list }) => list);
    expect(nft.commits.length - before).toBe(1);
    expect(ops.some(({ op }) => op === 'replaceTable')).toBe(false);
    expect(ops.length).toBeLessThan(30);
  });

  it('comes to the same table by any way', async () => {
    const step = fc.oneof(
      fc.record({ policies: fc.shuffledSubarray([...fortyPolicies], { maxLength: 6 }) }),
      fc.record({ pods: fc.shuffledSubarray([...nine.pods]) }),
      fc.record({ labelsOf: fc.constantFrom(...nine.pods), tier: fc.boolean() }),
      fc.record({ namespace: fc.constantFrom('x', 'y', 'z'), ns: fc.constantFrom('x', 'y', 'q') }),
    );
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: 8 }), async (steps) => {
        const { policies, set, text } = await openNine([]);
        await using _policies = policies;
        let world = nine;
        let list: readonly NetworkPolicy[] = [];
        let there: readonly Pod[] = nine.pods;
        for (const change of steps) {
          if ('policies' in change) set.policies((list = change.policies));
          if ('pods' in change) {
            for (const pod of there)
              if (!change.pods.includes(pod)) policies.detach(attachedOf(pod).sandboxId);
            there = change.pods.map(
              (pod) => world.pods.find(({ metadata }) => metadata?.uid === pod.metadata?.uid) ?? pod,
            );
            await Promise.all(there.map((pod) => policies.attach(attachedOf(pod), never)));
          }
          if ('labelsOf' in change) {
            const relabel = (pod: Pod): Pod =>
              pod.metadata?.uid === change.labelsOf.metadata?.uid
                ? {
                    ...pod,
                    metadata: {
                      ...pod.metadata,
                      labels: { pod: 'b', ...(change.tier && { tier: 'front' }) },
                    },
                  }
                : pod;
            world = { ...world, pods: world.pods.map(relabel) };
            there = there.map(relabel);
            set.ownPods(world.pods);
          }
          if ('namespace' in change) {
            world = { ...world, namespaces: { ...world.namespaces, [change.namespace]: { ns: change.ns } } };
            set.namespaces(world.namespaces);
          }
          await policies.idle();
        }
        expect(text()).toBe(list.length === 0 ? 'none' : wantedText({ ...world, pods: there }, list));
      }),
      { numRuns: 40 },
    );
  });

  it('is in force before a pod begins, with a policy that no watch has told of yet', async () => {
    const { policies, client, text, cache } = await openNine([]);
    await using _policies = policies;
    cache.policies.replace([], '0'); // A server whose objects are of low versions.
    await client.create(networkPolicies, newer(named('deny-both'), ''));
    const order: string[] = [];
    const [pod] = nine.pods;
    if (pod === undefined) throw new Error('no pod');
    const attached = attachedOf(pod);
    policies.detach(attached.sandboxId);
    cache.allPods.replace([], '1');
    cache.namespaces.replace([], '1');
    const network = withPolicies(
      {
        add: async () => (order.push('interface'), { ips: attached.ips }),
        del: async () => void order.push('interface gone'),
        collect: async () => {},
        check: async () => [],
        status: async () => ({ isReady: true, reason: '' }),
      },
      policies,
    );
    const request = {
      ...attached,
      netnsPath: '/n',
      podUid: attached.uid,
      podNamespace: attached.namespace,
      podName: attached.name,
      portMappings: [],
    };
    expect(await network.add(request, never)).toEqual({ ips: attached.ips });
    order.push(text().includes(`${attached.ips[0]} : goto isolate-in/x/`) ? 'isolated' : 'open');
    expect(order).toEqual(['interface', 'isolated']);
    await network.del(request, never);
    await policies.idle();
    expect(text()).not.toContain(`${attached.ips[0]} : goto`);
  });

  it('tells who waits what it waits for, and ends when told to', async () => {
    const { policies, clock } = open();
    await using _policies = policies;
    policies.start([]);
    const [pod] = nine.pods;
    if (pod === undefined) throw new Error('no pod');
    const waits = policies.attach(attachedOf(pod), never).catch((error: unknown) => error);
    await policies.idle();
    await clock.advance(30_000);
    expect(await waits).toMatchObject({
      code: 'E_TIMEOUT',
      message:
        'wait for network policies: NetworkPolicies, Pods or Namespaces of the cluster are not known yet',
    });
    const given = AbortSignal.abort(new Error('no more'));
    await expect(policies.attach(attachedOf(pod), given)).rejects.toThrow('no more');
  });

  it('makes a table again that somebody removed, with what was counted', async () => {
    const { policies, clock, nft, text } = await openNine([named('deny-both')]);
    await using _policies = policies;
    const wanted = text();
    nft.dropTable(ownNetns, table);
    await clock.advance(1_000);
    await vi.waitFor(() => expect(text()).toBe(wanted), { timeout: 20_000 });
  });

  it('keeps counters when the next agent begins, and changes nothing else', async () => {
    const first = await openNine([named('deny-both')]);
    const [name = ''] = (await first.policies.counters()).map((each) => each.name);
    await first.policies[Symbol.asyncDispose]();
    const whole = first.nft.table(ownNetns, table);
    if (whole === undefined) throw new Error('no table');
    const counted = (whole.counters ?? []).map((each) =>
      each.name === name ? { ...each, packets: 7 } : each,
    );
    await first.nft.commit(ownNetns, [{ op: 'replaceTable', table: { ...whole, counters: counted } }]);
    const before = first.text();
    const second = await openNine([named('deny-both')], first.nft);
    await using _policies = second.policies;
    expect(second.text()).toBe(before);
    expect(before).toContain('packets 7');
  });

  it('commits the whole table after a transaction that was refused', async () => {
    const { policies, nft, set, text } = await openNine([named('deny-both')]);
    await using _policies = policies;
    nft.failOnce('ENOMEM');
    set.policies([named('allow-both')]);
    await vi.waitFor(() => expect(text()).toBe(wantedText(nine, [named('allow-both')])), { timeout: 20_000 });
  });

  it('cuts connections that a policy forbids by now, no others', async () => {
    const { policies, nft, clock, set } = await openNine([named('allow-both')]);
    await using _policies = policies;
    const [kept, cut] = [flow('10.244.0.2', '10.244.0.1', 80), flow('10.244.1.1', '10.244.0.1', 80)];
    const elsewhere = flow('10.244.1.1', '10.244.2.1', 80);
    for (const each of [kept, cut, elsewhere]) nft.tracked.add(each);
    await clock.advance(1_000);
    set.policies([named('from-pod')]);
    await policies.idle();
    await clock.advance(1_000);
    await vi.waitFor(() => expect([...nft.tracked]).toEqual([kept, elsewhere]), { timeout: 20_000 });
  });

  it('gives an address to who has it: an ended pod has none, a later one takes it, this node knows best', async () => {
    const open2 = await openNine([named('from-namespace')]);
    await using policies = open2.policies;
    const { set, text } = open2;
    const far = (name: string, ns: string, more: Partial<Pod['status']> = {}): Pod => {
      const pod = podOf(ns, name, { ips: ['10.244.9.9'], node: 'there' });
      return { ...pod, status: { ...pod.status, ...more } };
    };
    const members = (): boolean => text().includes('10.244.9.9');
    set.allPods([...nine.pods, far('old', 'y', { phase: 'Succeeded' })]);
    await policies.idle();
    expect(members()).toBe(false);
    set.allPods([...nine.pods, far('one', 'y', { startTime: '2026-01-01T00:00:01Z' })]);
    await policies.idle();
    expect(members()).toBe(true);
    set.allPods([
      ...nine.pods,
      far('one', 'y', { startTime: '2026-01-01T00:00:01Z' }),
      far('two', 'z', { startTime: '2026-01-01T00:00:02Z' }),
    ]);
    await policies.idle();
    expect(members()).toBe(false);
    const host = far('host', 'y');
    set.allPods([...nine.pods, { ...host, spec: { ...host.spec, containers: [], hostNetwork: true } }]);
    await policies.idle();
    expect(members()).toBe(false);
  });

  it('says of a policy that is too large that it is', async () => {
    const peers = Array.from({ length: 2_001 }, (_, i) => ({ podSelector: { matchLabels: { i: `${i}` } } }));
    const { policies, warnings } = await openNine([
      { metadata: { namespace: 'x', name: 'large' }, spec: { podSelector: {}, ingress: [{ from: peers }] } },
    ]);
    await using _policies = policies;
    expect(warnings).toEqual([
      'large: 2001 pairs of a peer and a named port, of which 2000 are in force: divide the policy, or select more pods by one selector',
    ]);
  });
});
