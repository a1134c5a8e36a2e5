import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  startTestServer,
  wholeBody,
  type Json,
  type TestServer,
} from '#control-plane/apiserver/test-server.fixture.ts';

const group = 'rbac.authorization.k8s.io';
const rbac = `/apis/${group}/v1`;
const reads = { apiGroups: [''], resources: ['pods'], verbs: ['get'] };
const writes = {
  apiGroups: [group],
  resources: ['roles', 'clusterroles', 'rolebindings', 'clusterrolebindings'],
  verbs: ['create', 'get', 'update', 'patch'],
};
const bindTo = (kind: string, name: string): object => ({
  roleRef: { apiGroup: group, kind, name },
  subjects: [],
});
const lacks = (kind: string, ...rules: readonly string[]): string =>
  `${kind}.${group} "g1" is forbidden: user "bob" (groups=["devs" "system:authenticated"]) is attempting to grant RBAC permissions not currently held:\n${rules.join('\n')}`;

/** As a 1.36.2 answered bob, who may read pods and write roles. */
const rows: readonly (readonly [name: string, path: string, object: object, want: string | number])[] = [
  ['what he has', 'clusterroles', { rules: [reads] }, 201],
  [
    'more',
    'clusterroles',
    {
      rules: [
        {
          apiGroups: ['', 'apps'],
          resources: ['pods', 'secrets'],
          verbs: ['get', 'delete'],
          resourceNames: ['x'],
        },
        { nonResourceURLs: ['/metrics'], verbs: ['get'] },
      ],
    },
    lacks(
      'clusterroles',
      '{APIGroups:[""], Resources:["pods"], ResourceNames:["x"], Verbs:["delete"]}',
      '{APIGroups:[""], Resources:["secrets"], ResourceNames:["x"], Verbs:["get" "delete"]}',
      '{APIGroups:["apps"], Resources:["pods"], ResourceNames:["x"], Verbs:["get" "delete"]}',
      '{APIGroups:["apps"], Resources:["secrets"], ResourceNames:["x"], Verbs:["get" "delete"]}',
      '{NonResourceURLs:["/metrics"], Verbs:["get"]}',
    ),
  ],
  [
    'everything',
    'namespaces/default/roles',
    { rules: [{ apiGroups: ['*'], resources: ['*'], verbs: ['*'] }] },
    lacks('roles', '{APIGroups:["*"], Resources:["*"], Verbs:["*"]}'),
  ],
  [
    'what others have',
    'clusterroles',
    { aggregationRule: { clusterRoleSelectors: [{ matchLabels: { a: 'b' } }] }, rules: [] },
    `clusterroles.${group} "g1" is forbidden: must have cluster-admin privileges to use the aggregationRule`,
  ],
  ['a role that he holds', 'clusterrolebindings', bindTo('ClusterRole', 'bob'), 201],
  [
    'a role that has more',
    'clusterrolebindings',
    bindTo('ClusterRole', 'cluster-admin'),
    lacks(
      'clusterrolebindings',
      '{APIGroups:["*"], Resources:["*"], Verbs:["*"]}',
      '{NonResourceURLs:["*"], Verbs:["*"]}',
    ),
  ],
  [
    'a role that is not there',
    'namespaces/default/rolebindings',
    bindTo('Role', 'nope'),
    `rolebindings.${group} "nope" not found`,
  ],
  ['a role that he may bind', 'clusterrolebindings', bindTo('ClusterRole', 'view'), 201],
  [
    'rules of a role that he may escalate',
    'namespaces/other/roles',
    { rules: [{ ...reads, verbs: ['*'] }] },
    201,
  ],
];

describe('rbacEscalation', () => {
  let test: TestServer;
  const ask = async (
    method: 'POST' | 'PATCH',
    path: string,
    body: object,
  ): Promise<{ readonly status: number; readonly json: Json }> => {
    const headers = {
      'content-type': method === 'PATCH' ? 'application/merge-patch+json' : 'application/json',
    };
    const answer = await test.server
      .transport({ name: 'bob', groups: ['devs'] })
      .request({ method, path, headers, body: Buffer.from(JSON.stringify(body)) });
    return { status: answer.status, json: JSON.parse(Buffer.from(await wholeBody(answer.body)).toString()) };
  };
  beforeAll(async () => {
    test = await startTestServer();
    await test.make('/api/v1/namespaces', { metadata: { name: 'other' } });
    const rules = [
      reads,
      writes,
      { apiGroups: [group], resources: ['clusterroles'], resourceNames: ['view'], verbs: ['bind'] },
    ];
    await test.make(`${rbac}/clusterroles`, { metadata: { name: 'bob' }, rules });
    await test.make(`${rbac}/clusterrolebindings`, {
      metadata: { name: 'bob' },
      roleRef: { apiGroup: group, kind: 'ClusterRole', name: 'bob' },
      subjects: [{ kind: 'User', name: 'bob' }],
    });
    await test.make(`${rbac}/namespaces/other/roles`, {
      metadata: { name: 'boss' },
      rules: [{ apiGroups: [group], resources: ['roles'], verbs: ['escalate'] }],
    });
    await test.make(`${rbac}/namespaces/other/rolebindings`, {
      metadata: { name: 'boss' },
      roleRef: { apiGroup: group, kind: 'Role', name: 'boss' },
      subjects: [{ kind: 'Group', name: 'devs' }],
    });
  });
  afterAll(() => test[Symbol.asyncDispose]());

  it.each(rows)('of %s', async (_name, path, object, want) => {
    const { status, json } = await ask('POST', `${rbac}/${path}?dryRun=All`, {
      metadata: { name: 'g1' },
      ...object,
    });
    expect(status === 201 ? status : json['message']).toEqual(want);
  });

  it('judges an update as if all of it were new: a label may make a part of another role of it', async () => {
    const path = `${rbac}/clusterroles/system:node?dryRun=All`;
    expect((await ask('PATCH', path, { metadata: { labels: { a: 'b' } } })).status).toBe(403);
    expect((await ask('PATCH', path, { rules: [{ ...reads, resources: ['nodes'] }] })).status).toBe(403);
    expect((await ask('PATCH', path, { rules: [] })).status).toBe(200);
  });
});
