import { describe, expect, it } from 'vitest';
import type {
  CustomResourceDefinition,
  Namespace,
  NetworkPolicy,
  Node,
  Pod,
} from '#api/generated/objects.ts';
import type { KubeObject } from '#api/meta/object.ts';
import { encodeStandings } from '#api/network/policy-standing.ts';
import { namespaces as namespaceKind } from '#api/schema/kind-ref.ts';
import { createFakeClock } from '#base/clock.ts';
import { silentLogger } from '#base/log.ts';
import { createFakeApiClient } from '#client/client.fake.ts';
import { createInformerCache, type InformerCache } from '#client/informer.ts';
import { createFakeNetlink } from '#native/netlink/netlink.fake.ts';
import { ownNetns } from '#native/netlink/netlink.ts';
import { createFakeNft } from '#native/nft/nft.fake.ts';
import { renderTable } from '#native/nft/render.ts';
import { createPolicies } from '#agent/network/policy/enforce-policies.ts';
import { policyTable } from '#agent/network/policy/policy-layout.ts';
import { podOf } from '#agent/network/policy/policy.fixture.ts';
import { followTiers, tierDefinitionNames, tierKindOf, withoutSchemas } from './follow-tiers.ts';

const fail = (error: unknown): void => {
  throw error;
};
const never = new AbortController().signal;

const definitionOf = (
  name: string,
  { version = 'v1alpha2', established = 'True', served = true, resourceVersion = '2' } = {},
): CustomResourceDefinition => {
  const [plural = '', ...group] = name.split('.');
  const kind = tierKindNames[plural] ?? plural;
  return {
    metadata: { name, uid: name, resourceVersion },
    spec: {
      group: group.join('.'),
      names: { kind, plural },
      scope: 'Cluster',
      versions: [{ name: version, served, storage: true, schema: { openAPIV3Schema: { type: 'object' } } }],
    },
    status: {
      conditions: [
        { type: 'Established', status: established, reason: 'r', lastTransitionTime: 't', message: '' },
      ],
    },
  };
};
const tierKindNames: Readonly<Record<string, string>> = {
  adminnetworkpolicies: 'AdminNetworkPolicy',
  baselineadminnetworkpolicies: 'BaselineAdminNetworkPolicy',
  clusternetworkpolicies: 'ClusterNetworkPolicy',
};
const clusterName = 'clusternetworkpolicies.policy.networking.k8s.io';

function open() {
  const clock = createFakeClock();
  const client = createFakeApiClient(clock);
  const definitions = tierDefinitionNames.map(() => createInformerCache<CustomResourceDefinition>(fail));
  const custom = new Map<string, InformerCache<KubeObject>>();
  const asked: string[] = [];
  const tiers = followTiers({
    client,
    definitions,
    follow: (kind) => {
      asked.push(`${kind.kind} ${kind.version}`);
      const cache = createInformerCache<KubeObject>(fail);
      custom.set(kind.kind, cache);
      return cache;
    },
    stop: (kind) => void asked.push(`stop ${kind.kind}`),
    log: silentLogger,
  });
  const cache = {
    policies: createInformerCache<NetworkPolicy>(fail),
    pods: createInformerCache<Pod>(fail),
    namespaces: createInformerCache<Namespace>(fail),
    nodes: createInformerCache<Node>(fail),
  };
  const nft = createFakeNft();
  const warnings: string[] = [];
  const said: { value?: string | undefined } = {};
  const policies = createPolicies({
    ...{ nodeName: 'here', client, policies: cache.policies, ownPods: cache.pods, tiers, nft, clock },
    allPods: () => cache.pods,
    namespaces: () => cache.namespaces,
    nodes: () => (asked.push('nodes'), cache.nodes),
    families: ['ip'],
    netlink: createFakeNetlink(),
    log: silentLogger,
    onStandings: (standings) => void (said.value = encodeStandings(standings)),
    warn: (policy, message, kind) => warnings.push(`${kind?.kind} ${policy?.metadata?.name}: ${message}`),
  });
  const define = (which: number, definition: CustomResourceDefinition | undefined, version: string): void =>
    definitions[which]?.replace(definition === undefined ? [] : [definition], version);
  const text = (): string => {
    const table = nft.table(ownNetns, policyTable('ip'));
    return table === undefined ? 'none' : renderTable(table);
  };
  return { client, clock, tiers, custom, asked, cache, policies, warnings, said, define, text };
}

const pod = podOf('x', 'a', { labels: { pod: 'a' }, ips: ['10.244.0.1'] });
const own = { sandboxId: 's', uid: 'x-a', namespace: 'x', name: 'a', ips: ['10.244.0.1'] };
const versioned = <T extends KubeObject>(object: T, resourceVersion: string): T => ({
  ...object,
  metadata: { uid: object.metadata?.name, ...object.metadata, resourceVersion },
});
const policyOf = (name: string, egress: object, subject: object = { namespaces: {} }): KubeObject =>
  versioned(
    { metadata: { name }, ...{ spec: { tier: 'Admin', priority: 1, subject, egress: [egress] } } },
    '3',
  );

/** All known: no policies of namespaces, one pod of this node in namespace x. */
function settle({ cache, define, policies }: ReturnType<typeof open>): void {
  cache.policies.replace([], '1');
  cache.pods.replace([versioned(pod, '1')], '1');
  for (const which of [0, 1, 2]) define(which, undefined, '1');
  policies.start([own]);
}

describe('tierKindOf()', () => {
  const kindOf = (options: Parameters<typeof definitionOf>[1]): string | undefined =>
    tierKindOf(withoutSchemas(definitionOf(clusterName, options)))?.version;

  it('is the best version that is served and understood, once it is established', () => {
    expect(kindOf({})).toBe('v1alpha2');
    expect(kindOf({ version: 'v1beta1' })).toBe('v1beta1');
    expect([kindOf({ served: false }), kindOf({ established: 'False' }), kindOf({ version: 'v9' })]).toEqual([
      undefined,
      undefined,
      undefined,
    ]);
  });
});

describe('policies of the cluster that come and go with their kinds', () => {
  it('ask for nothing but definitions where there are none', async () => {
    const given = open();
    await using policies = given.policies;
    settle(given);
    await policies.attach(own, never);
    expect([given.asked, given.text()]).toEqual([[], 'none']);
  });

  it('wait for what the kind has, are in force, and end with it', async () => {
    const given = open();
    await using policies = given.policies;
    const { asked, cache, custom, define, text } = given;
    settle(given);
    cache.namespaces.replace([versioned({ metadata: { name: 'x', labels: {} } }, '1')], '1');
    define(2, definitionOf(clusterName), '2');
    expect(asked).toEqual(['ClusterNetworkPolicy v1alpha2']);
    let isAttached = false;
    const attached = policies.attach(own, never).then(() => (isAttached = true));
    await policies.idle();
    expect(isAttached).toBe(false);
    custom
      .get('ClusterNetworkPolicy')
      ?.replace([policyOf('deny', { action: 'Deny', to: [{ nodes: {} }] })], '3');
    await policies.idle();
    expect([isAttached, asked.at(-1)]).toEqual([false, 'nodes']);
    const node = {
      metadata: { name: 'n' },
      status: { addresses: [{ type: 'InternalIP', address: '192.0.2.9' }] },
    };
    cache.nodes.replace([versioned(node, '1')], '1');
    await attached;
    expect(text()).toContain('10.244.0.1 : goto tiers-out/');
    expect(text()).toContain('192.0.2.9');
    define(2, undefined, '4');
    await policies.idle();
    expect([asked.at(-1), text()]).toEqual(['stop ClusterNetworkPolicy', 'none']);
  });

  it('know a namespace that no watch has told of yet before its pods begin', async () => {
    const given = open();
    await using policies = given.policies;
    const { cache, client, clock, custom, define, text } = given;
    settle(given);
    cache.namespaces.replace([], '1');
    define(2, definitionOf(clusterName), '2');
    const subject = { namespaces: { matchLabels: { team: 'red' } } };
    const deny = policyOf('deny', { action: 'Deny', to: [{ namespaces: {} }] }, subject);
    custom.get('ClusterNetworkPolicy')?.replace([deny], '3');
    policies.detach('s');
    const early = policies.attach(own, never).catch((error: unknown) => error);
    await policies.idle();
    await clock.advance(30_000);
    expect(await early).toMatchObject({
      code: 'E_TIMEOUT',
      message: 'wait for network policies: Namespace x is not known yet',
    });
    cache.namespaces.replace([], '0'); // A server whose objects are of low versions.
    await client.create(namespaceKind, { metadata: { name: 'x', labels: { team: 'red' } } });
    await policies.freshen('x', never);
    await policies.attach(own, never);
    expect(text()).toContain('10.244.0.1 : goto tiers-out/');
  });

  it('say what of them is not in force', async () => {
    const given = open();
    await using policies = given.policies;
    settle(given);
    given.cache.namespaces.replace([versioned({ metadata: { name: 'x', labels: {} } }, '1')], '1');
    given.define(2, definitionOf(clusterName), '2');
    const rule = { action: 'Accept', to: [{ domainNames: ['a.example'] }] };
    given.custom.get('ClusterNetworkPolicy')?.replace([policyOf('names', rule)], '3');
    await policies.idle();
    expect(given.warnings).toEqual([
      'ClusterNetworkPolicy names: egress rule 1: domainNames are not supported: it accepts nothing',
    ]);
  });

  it('say which of them are in force, once the kernel has said so, and nothing for a status', async () => {
    const given = open();
    await using policies = given.policies;
    settle(given);
    given.cache.namespaces.replace([versioned({ metadata: { name: 'x', labels: {} } }, '1')], '1');
    given.define(2, definitionOf(clusterName), '2');
    const custom = given.custom.get('ClusterNetworkPolicy');
    const rule = { action: 'Accept', to: [{ domainNames: ['a.example'] }] };
    const first = policyOf('names', rule);
    const at = (generation: number, resourceVersion: string, more: object = {}): KubeObject => ({
      ...first,
      ...more,
      metadata: { ...first.metadata, generation, resourceVersion },
    });
    custom?.replace([at(1, '3')], '3');
    await policies.idle();
    const problem = 'egress rule 1: domainNames are not supported: it accepts nothing';
    const say = (generation: number): string =>
      JSON.stringify({ 'ClusterNetworkPolicy/names': ['v1alpha2', 'names', generation, problem] });
    expect(given.said.value).toBe(say(1));
    const heard: string[] = [];
    using _handler = given.tiers.onChange((key) => heard.push(key));
    custom?.replace([at(1, '4', { status: { conditions: [] } })], '4');
    expect(heard).toEqual(['ClusterNetworkPolicy/names']);
    custom?.replace([at(2, '5')], '5');
    expect(heard).toHaveLength(2);
    await policies.idle();
    expect(given.said.value).toBe(say(2));
    custom?.replace([], '6');
    await policies.idle();
    expect(given.said.value).toBe(undefined);
  });
});
