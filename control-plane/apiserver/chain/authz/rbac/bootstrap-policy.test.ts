import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startTestServer, type TestServer } from '#control-plane/apiserver/test-server.fixture.ts';
import { bootstrapPolicy, reconcile, type Wanted } from './bootstrap-policy.ts';

const policy = bootstrapPolicy();
const named = (resource: string, name: string): Wanted => {
  const found = policy.find((one) => one.kind.resource === resource && one.name === name);
  if (found === undefined) throw new Error(name);
  return found;
};
const basic = named('clusterroles', 'system:basic-user');
const view = named('clusterroles', 'view');
const binding = named('clusterrolebindings', 'system:basic-user');
const metadata = { name: 'x', labels: basic.labels, annotations: basic.annotations };
const more = { verbs: ['get'], apiGroups: [''], resources: ['pods'] };

describe('reconcile()', () => {
  it.each([
    ['what is as it shall be', { metadata, rules: basic.rules }, basic, { action: 'keep' }],
    ['what has more', { metadata, rules: [...(basic.rules ?? []), more] }, basic, { action: 'keep' }],
    [
      'what is not to be looked after',
      { metadata: { ...metadata, annotations: {} }, rules: [] },
      basic,
      { action: 'keep' },
    ],
    [
      'what lacks rules',
      { metadata, rules: [more] },
      basic,
      { action: 'update', object: { metadata, rules: [more, ...(basic.rules ?? [])] } },
    ],
    [
      'what lacks a label',
      { metadata: { ...metadata, labels: { a: 'b' } }, rules: basic.rules },
      basic,
      {
        action: 'update',
        object: { metadata: { ...metadata, labels: { ...basic.labels, a: 'b' } }, rules: basic.rules },
      },
    ],
    [
      'what is made of others, filled in',
      {
        metadata: { ...metadata, labels: view.labels },
        rules: [more],
        aggregationRule: view.aggregationRule,
      },
      view,
      { action: 'keep' },
    ],
    [
      'a binding of another role',
      { metadata, roleRef: { ...binding.roleRef, name: 'y' }, subjects: binding.subjects },
      binding,
      { action: 'recreate' },
    ],
    [
      'a binding that lacks a subject',
      { metadata, roleRef: binding.roleRef, subjects: [] },
      binding,
      { action: 'update', object: { metadata, roleRef: binding.roleRef, subjects: binding.subjects } },
    ],
  ] as const)('%s', (_name, present, wanted, want) => {
    expect(reconcile(present as never, wanted)).toEqual(want);
  });
});

describe('a cluster', () => {
  let test: TestServer;
  beforeAll(async () => {
    test = await startTestServer();
  });
  afterAll(() => test[Symbol.asyncDispose]());

  it.each(Object.entries(Object.groupBy(policy, ({ kind }) => kind.resource)))(
    'has all %s of 1.36',
    async (resource, wanted) => {
      const { json } = await test.call('GET', `/apis/rbac.authorization.k8s.io/v1/${resource}`);
      const items = json['items'] as unknown as readonly { readonly metadata: { readonly name: string } }[];
      expect(items.map((item) => item.metadata.name).toSorted()).toEqual(
        (wanted ?? []).map(({ name }) => name).toSorted(),
      );
    },
  );

  it('has back at the next start what somebody took away', async () => {
    const path = '/apis/rbac.authorization.k8s.io/v1/clusterroles';
    await test.call('DELETE', `${path}/system:discovery`);
    await test.call('PATCH', `${path}/system:basic-user`, {
      body: { rules: [] },
      headers: { 'content-type': 'application/merge-patch+json' },
    });
    await test.call('DELETE', '/apis/rbac.authorization.k8s.io/v1/clusterrolebindings/system:basic-user');
    await test.make('/apis/rbac.authorization.k8s.io/v1/clusterrolebindings', {
      metadata: { name: 'system:basic-user', annotations: binding.annotations },
      roleRef: { kind: 'ClusterRole', name: 'cluster-admin' },
      subjects: [],
    });
    await test.server.close();
    await using again = await startTestServer({ dataDir: test.directory });

    for (const name of ['system:discovery', 'system:basic-user']) {
      expect((await again.call('GET', `${path}/${name}`)).json['rules']).toEqual(
        named('clusterroles', name).rules,
      );
    }
    const bound = await again.call(
      'GET',
      '/apis/rbac.authorization.k8s.io/v1/clusterrolebindings/system:basic-user',
    );
    expect(bound.json).toMatchObject({ roleRef: binding.roleRef, subjects: binding.subjects });
  });
});
