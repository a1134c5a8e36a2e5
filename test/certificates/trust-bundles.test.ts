/** ClusterTrustBundles on a server that serves their kind: who writes and reads them, and how they are shown. */
import { afterAll, beforeAll, expect, it } from 'vitest';
import { clusterTrustBundles } from '#api/schema/kind-ref.ts';
import { builtInVersions, optionalVersions } from '#api/schema/served-version.ts';
import { roots } from '#agent/volume/trust-bundles.fixture.ts';
import { createApiClient } from '#client/api-client.ts';
import type { ApiClient } from '#client/client.ts';
import { startTestServer, type TestServer } from '#control-plane/apiserver/test-server.fixture.ts';

const path = '/apis/certificates.k8s.io/v1beta1/clustertrustbundles';
const signed = { metadata: { name: 'a.b:c:x' }, spec: { signerName: 'a.b/c', trustBundle: roots.one } };
let test: TestServer;
beforeAll(async () => {
  test = await startTestServer({ versions: [...builtInVersions, ...optionalVersions] });
  await test.make(path, signed);
  await test.make(path, { metadata: { name: 'plain' }, spec: { trustBundle: roots.one } });
});
afterAll(() => test[Symbol.asyncDispose]());

const clientOf = (name: string, groups: readonly string[] = []): ApiClient =>
  createApiClient({ transport: test.server.transport({ name, groups }), userAgent: 'test' });

it('are read by nodes, which write none', async () => {
  const node = clientOf('system:node:a', ['system:nodes']);
  const { items } = await node.list(clusterTrustBundles, {});
  expect(items.map(({ metadata }) => metadata?.name)).toEqual(['a.b:c:x', 'plain']);
  await expect(node.create(clusterTrustBundles, signed)).rejects.toThrow(/forbidden/);
});

it('are of a signer only by who may attest for it', async () => {
  const verbs = ['create'];
  const rules = [{ apiGroups: ['certificates.k8s.io'], resources: ['clustertrustbundles'], verbs }];
  const group = '/apis/rbac.authorization.k8s.io/v1';
  await test.make(`${group}/clusterroles`, { metadata: { name: 'w' }, rules });
  await test.make(`${group}/clusterrolebindings`, {
    metadata: { name: 'w' },
    roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: 'w' },
    subjects: [{ apiGroup: 'rbac.authorization.k8s.io', kind: 'User', name: 'bob' }],
  });
  const bob = clientOf('bob');
  const mine = { ...signed, metadata: { name: 'a.b:c:y' } };
  const why = /user not permitted to attest for signerName "a.b\/c"/;
  await expect.poll(() => bob.create(clusterTrustBundles, mine).catch(String)).toMatch(why);
  const plain = { metadata: { name: 'bobs' }, spec: { trustBundle: roots.one } };
  expect(await bob.create(clusterTrustBundles, plain)).toMatchObject(plain);
});

it('are selected by signer, and shown with it', async () => {
  const accept = 'application/json;as=Table;g=meta.k8s.io;v=v1';
  const { json } = await test.call('GET', `${path}?fieldSelector=spec.signerName%3Da.b%2Fc`, {
    headers: { accept },
  });
  expect(json['columnDefinitions']).toMatchObject([{ name: 'Name' }, { name: 'SignerName' }]);
  expect(json['rows']).toMatchObject([{ cells: ['a.b:c:x', 'a.b/c'] }]);
});
