/** What others reported of a kube-apiserver's access control, tried here: each row names the report. */
import { afterAll, beforeAll, expect, it } from 'vitest';
import { podNamed, startTestServer, type TestServer } from '#control-plane/apiserver/test-server.fixture.ts';

const ns = '/api/v1/namespaces/default';
const apiGroup = 'rbac.authorization.k8s.io';
const rbac = `/apis/${apiGroup}/v1`;
const merge = 'application/merge-patch+json';
const node = { 'impersonate-user': 'system:node:a', 'impersonate-group': 'system:nodes' };
const user = { 'impersonate-user': 'bob' };
const mirror = (name: string, spec: object): object =>
  podNamed(name, {
    metadata: {
      name,
      annotations: { 'kubernetes.io/config.mirror': 'x' },
      ownerReferences: [{ apiVersion: 'v1', kind: 'Node', name: 'a', uid: nodeUid, controller: true }],
    },
    spec: { nodeName: 'a', containers: [{ name: 'c', image: 'i' }], ...spec },
  });

let test: TestServer;
let nodeUid = '';
let podUid = '';
beforeAll(async () => {
  test = await startTestServer();
  for (const name of ['default', 'other']) await test.make(`${ns}/serviceaccounts`, { metadata: { name } });
  nodeUid = String((await test.make('/api/v1/nodes', { metadata: { name: 'a' } }))['metadata']?.['uid']);
  const spec = { nodeName: 'a', containers: [{ name: 'c', image: 'i' }] };
  podUid = String((await test.make(`${ns}/pods`, podNamed('pa', { spec })))['metadata']?.['uid']);
  await grant('roles', 'bob', [
    { apiGroups: [''], resources: ['namespaces'], verbs: ['list'] },
    { apiGroups: [''], resources: ['configmaps'], resourceNames: ['one'], verbs: ['create', 'get', 'list'] },
    { apiGroups: [''], resources: ['*/*'], verbs: ['get'] },
  ]);
});
afterAll(() => test[Symbol.asyncDispose]());

/** In the namespace: a Role of these rules, bound to the user. */
async function grant(name: string, subject: string, rules: readonly object[]): Promise<void> {
  const place = `${rbac}/namespaces/default`;
  await test.make(`${place}/roles`, { metadata: { name }, rules });
  await test.make(`${place}/rolebindings`, {
    ...{ metadata: { name }, roleRef: { apiGroup, kind: 'Role', name } },
    subjects: [{ apiGroup, kind: 'User', name: subject }],
  });
}

interface Tried {
  readonly report: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly method: string;
  readonly path: string;
  readonly body?: () => unknown;
  readonly status: number;
  readonly says?: string;
}

const review = `/apis/authorization.k8s.io/v1/selfsubjectaccessreviews`;
const may = (resourceAttributes: object) => (): unknown => ({ spec: { resourceAttributes } });
const tokenFor = (audience: string) => (): unknown => ({
  spec: {
    audiences: [audience],
    boundObjectRef: { apiVersion: 'v1', kind: 'Pod', name: 'pa', uid: podUid },
  },
});

it.each<Tried>([
  {
    report: 'CVE-2025-4563: a mirror pod with claims of resources',
    ...{ headers: node, method: 'POST', path: `${ns}/pods`, status: 403 },
    body: () => mirror('m', { resourceClaims: [{ name: 'r', resourceClaimName: 'gpu' }] }),
    says: 'can not create pods that reference resourceclaims',
  },
  {
    report: 'CVE-2025-5187: a node that has itself collected',
    ...{ headers: { ...node, 'content-type': merge }, method: 'PATCH', path: '/api/v1/nodes/a', status: 403 },
    body: () => ({
      metadata: { ownerReferences: [{ apiVersion: 'v1', kind: 'Node', name: 'x', uid: 'gone' }] },
    }),
    says: 'is not allowed to modify ownerReferences',
  },
  {
    report: 'kubernetes#128077: a token for an audience that no pod there asks for',
    ...{ headers: node, method: 'POST', path: `${ns}/serviceaccounts/default/token`, status: 403 },
    body: tokenFor('vault'),
    says: 'not found in pod spec volume, system:node:a is not authorized to request tokens',
  },
  {
    report: 'kubernetes#75970: a review of a kind without a namespace, asked in one, is of that one',
    ...{ headers: user, method: 'POST', path: review, status: 201, says: '"allowed":true' },
    body: may({ namespace: 'default', verb: 'list', resource: 'namespaces' }),
  },
  {
    report: 'kubernetes#75970: and the list is not',
    ...{ headers: user, method: 'GET', path: '/api/v1/namespaces', status: 403 },
    says: 'cannot list resource \\"namespaces\\" in API group \\"\\" at the cluster scope',
  },
  {
    report: 'kubectl#779: nobody creates by the name of what is not there',
    ...{ headers: user, method: 'POST', path: `${ns}/configmaps`, status: 403 },
    body: () => ({ metadata: { name: 'one' } }),
    says: 'cannot create resource \\"configmaps\\"',
  },
  {
    report: 'kubectl#779: a list of the one name is allowed',
    ...{ headers: user, method: 'GET', status: 200 },
    path: `${ns}/configmaps?fieldSelector=metadata.name%3Done`,
  },
  {
    report: 'kubectl#779: a list of all is not',
    ...{ headers: user, method: 'GET', path: `${ns}/configmaps`, status: 403 },
  },
  {
    report: 'checkov#2938: */* is no wildcard',
    ...{ headers: user, method: 'GET', path: `${ns}/pods/pa/status`, status: 403 },
  },
  {
    report: 'redis-operator#1858: a Role has no paths',
    ...{ method: 'POST', path: `${rbac}/namespaces/default/roles`, status: 422 },
    body: () => ({ metadata: { name: 'p' }, rules: [{ nonResourceURLs: ['*'], verbs: ['get'] }] }),
    says: 'namespaced rules cannot apply to non-resource URLs',
  },
  {
    report: 'CVE-2020-8559: no namespace leads elsewhere',
    ...{ headers: user, method: 'GET', path: '/api/v1/namespaces/..%2f..%2fnodes/pods/pa', status: 403 },
  },
])('$report', async ({ headers = {}, method, path, body, status, says = '' }) => {
  const answer = await test.call(method, path, {
    headers,
    ...(body === undefined ? {} : { body: JSON.stringify(body()) }),
  });
  expect([answer.status, answer.text]).toEqual([status, expect.stringContaining(says)]);
});

it('kubernetes#130485: a node may be let ask for an audience by a verb of its own', async () => {
  const path = `${ns}/serviceaccounts/default/token`;
  await test.make(`${rbac}/clusterroles`, {
    metadata: { name: 'audience' },
    rules: [
      {
        apiGroups: [''],
        resources: ['registry'],
        resourceNames: ['default'],
        verbs: ['request-serviceaccounts-token-audience'],
      },
    ],
  });
  await test.make(`${rbac}/clusterrolebindings`, {
    ...{ metadata: { name: 'audience' }, roleRef: { apiGroup, kind: 'ClusterRole', name: 'audience' } },
    subjects: [{ apiGroup, kind: 'Group', name: 'system:nodes' }],
  });
  const ask = async (audience: string): Promise<number> =>
    (await test.call('POST', path, { headers: node, body: tokenFor(audience)() })).status;
  expect([await ask('registry'), await ask('another')]).toEqual([201, 403]);
});
