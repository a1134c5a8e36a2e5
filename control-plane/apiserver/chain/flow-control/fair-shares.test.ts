import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { JsonObject } from '#api/meta/object.ts';
import {
  startTestServer,
  type Answer,
  type Json,
  type TestServer,
} from '#control-plane/apiserver/test-server.fixture.ts';

const root = '/apis/flowcontrol.apiserver.k8s.io/v1';

interface Observed {
  readonly flowschemas: readonly Json[];
  readonly prioritylevelconfigurations: readonly Json[];
}

/** As a 1.36.2 had them. */
const observed: Observed = JSON.parse(
  readFileSync(new URL('bootstrap-observed-1.36.2.json', import.meta.url), 'utf8'),
);

const users = {
  admin: { name: 'kubernetes-admin', groups: ['system:masters'] },
  bob: { name: 'bob', groups: [] },
  carol: { name: 'carol', groups: [] },
  node: { name: 'system:node:a', groups: ['system:nodes'] },
  scheduler: { name: 'system:kube-scheduler', groups: [] },
  manager: { name: 'system:kube-controller-manager', groups: [] },
  account: {
    name: 'system:serviceaccount:n:default',
    groups: ['system:serviceaccounts', 'system:serviceaccounts:n'],
  },
  systemAccount: {
    name: 'system:serviceaccount:kube-system:x',
    groups: ['system:serviceaccounts', 'system:serviceaccounts:kube-system'],
  },
} as const;

type Name = keyof typeof users;

async function ask(test: TestServer, user: Name, path: string, given?: JsonObject): Promise<Answer> {
  await using transport = test.server.transport(users[user]);

  const { status, headers, body } = await transport.request(
    given === undefined
      ? { method: 'GET', path, headers: {} }
      : {
          ...{ method: 'POST', path, headers: { 'content-type': 'application/json' } },
          body: Buffer.from(JSON.stringify(given)),
        },
  );
  const text = body instanceof Uint8Array ? Buffer.from(body).toString() : '';
  if (!(body instanceof Uint8Array)) for await (const _chunk of body) break;
  return {
    status,
    headers,
    text,
    json: headers['content-type'] === 'application/json' && text !== '' ? JSON.parse(text) : undefined,
  };
}

const leases = '/apis/coordination.k8s.io/v1/namespaces';

/** Who asks for what, and where that belongs (access-observed-1.36.2.txt, section 10). */
const classified: readonly (readonly [Name, path: string, schema: string, level: string])[] = [
  ['admin', '/api/v1/nodes', 'exempt', 'exempt'],
  ['bob', '/healthz', 'probes', 'exempt'],
  ['bob', '/api', 'global-default', 'global-default'],
  ['bob', '/version', 'global-default', 'global-default'],
  ['bob', '/api/v1/nodes', 'global-default', 'global-default'],
  ['bob', '/api/v1/nothing', 'global-default', 'global-default'],
  ['node', '/api/v1/nodes/a', 'system-node-high', 'node-high'],
  ['node', `${leases}/kube-node-lease/leases/a`, 'system-node-high', 'node-high'],
  ['node', '/api/v1/pods?fieldSelector=spec.nodeName%3Da', 'system-nodes', 'system'],
  ['scheduler', '/api/v1/nodes', 'kube-scheduler', 'workload-high'],
  ['scheduler', `${leases}/kube-system/leases/kube-scheduler`, 'system-leader-election', 'leader-election'],
  ['manager', '/api/v1/nodes', 'kube-controller-manager', 'workload-high'],
  ['account', '/api/v1/nodes', 'service-accounts', 'workload-low'],
  ['systemAccount', '/api/v1/nodes', 'kube-system-service-accounts', 'workload-high'],
  ['scheduler', '/api/v1/nodes?watch=1&timeoutSeconds=1', 'kube-scheduler', 'workload-high'],
];

/** A schema of what the user asks for, at a level of its own without shares that queues nothing. */
async function makeUnserved(test: TestServer, user: Name): Promise<Json> {
  const level = `none-${user}`;
  const limited = { nominalConcurrencyShares: 0, limitResponse: { type: 'Reject' } };
  await test.make(`${root}/prioritylevelconfigurations`, {
    metadata: { name: level },
    spec: { type: 'Limited', limited },
  });
  return test.make(`${root}/flowschemas`, {
    metadata: { name: user },
    spec: {
      priorityLevelConfiguration: { name: level },
      matchingPrecedence: 50,
      rules: [
        {
          subjects: [{ kind: 'User', user: { name: user } }],
          resourceRules: [
            { verbs: ['*'], apiGroups: ['*'], resources: ['*'], namespaces: ['*'], clusterScope: true },
          ],
        },
      ],
    },
  });
}

describe('fair shares', () => {
  let test: TestServer;
  beforeAll(async () => {
    test = await startTestServer();
  });
  afterAll(() => test[Symbol.asyncDispose]());

  const uidOf = async (resource: string, name: string): Promise<string> =>
    String((await test.call('GET', `${root}/${resource}/${name}`)).json['metadata']?.['uid']);

  it.each(['flowschemas', 'prioritylevelconfigurations'] as const)(
    'has the %s of a 1.36',
    async (resource) => {
      const { json } = await test.call('GET', `${root}/${resource}`);
      const items = (json['items'] as unknown as Json[]).map(({ metadata, spec, status }) => ({
        name: metadata?.['name'],
        annotations: metadata?.['annotations'],
        spec,
        generation: metadata?.['generation'],
        ...(resource === 'flowschemas' ? { conditions: conditionsOf(status).map(withoutTime) } : {}),
      }));
      const byName = (a: { readonly name?: unknown }, b: { readonly name?: unknown }): number =>
        String(a.name) < String(b.name) ? -1 : 1;
      expect(items.toSorted(byName)).toEqual(observed[resource].toSorted(byName));
    },
  );

  it.each(classified)('%s asks %s: %s, %s', async (user, path, schema, level) => {
    const { headers } = await ask(test, user, path);
    expect(headers).toMatchObject({
      'x-kubernetes-pf-flowschema-uid': await uidOf('flowschemas', schema),
      'x-kubernetes-pf-prioritylevel-uid': await uidOf('prioritylevelconfigurations', level),
    });
  });

  it('a schema that is made counts for the next request, and is told that its level is there', async () => {
    const { metadata } = await makeUnserved(test, 'bob');
    const { headers, status } = await ask(test, 'bob', '/api/v1/nodes');
    expect(headers['x-kubernetes-pf-flowschema-uid']).toBe(metadata?.['uid']);
    expect(status).toBe(403); // A level without shares lets one at a time through.
    await test.call('PATCH', `${root}/flowschemas/bob`, {
      headers: { 'content-type': 'application/merge-patch+json' },
      body: JSON.stringify({ spec: { priorityLevelConfiguration: { name: 'gone' } } }),
    });
    const events = test.watch(
      `${root}/flowschemas?watch=1&fieldSelector=metadata.name%3Dbob`,
      AbortSignal.timeout(150_000),
    );
    for await (const { object } of events) {
      const [condition] = conditionsOf(object?.['status']);
      if (String(condition?.['status']) !== 'True') continue;
      expect(condition).toMatchObject({
        type: 'Dangling',
        reason: 'NotFound',
        message:
          'This FlowSchema references the PriorityLevelConfiguration object named "gone" but there is no such object',
      });
      break;
    }
    const after = await ask(test, 'bob', '/api/v1/nodes');
    expect(after.headers['x-kubernetes-pf-flowschema-uid']).toBe(
      await uidOf('flowschemas', 'global-default'),
    );
  });

  // On a 1.36.2 a webhook held each for 1.5 s; here who waits for a webhook or the disk has no seat meanwhile, so that more than one may be served.
  it('of five at once of one user, at a level without shares that queues none, those that find another are refused', async () => {
    await test.make('/apis/rbac.authorization.k8s.io/v1/clusterrolebindings', {
      metadata: { name: 'carol' },
      roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: 'cluster-admin' },
      subjects: [{ apiGroup: 'rbac.authorization.k8s.io', kind: 'User', name: 'carol' }],
    });
    await makeUnserved(test, 'carol');
    const uid = await uidOf('flowschemas', 'carol');
    const [first, ...others] = await Promise.all(
      ['one', 'two', 'three', 'four', 'five'].map((name) =>
        ask(test, 'carol', '/api/v1/namespaces/default/configmaps', { metadata: { name } }),
      ),
    );
    expect(first).toMatchObject({
      status: 201,
      headers: { 'content-type': 'application/json', 'x-kubernetes-pf-flowschema-uid': uid },
    });
    const refused = others.filter(({ status }) => status !== 201);
    expect(refused).not.toEqual([]);
    for (const { status, headers, text } of refused) {
      expect({ status, headers, text }).toMatchObject({
        status: 429,
        headers: {
          ...{ 'content-type': 'text/plain; charset=utf-8', 'retry-after': '1' },
          ...{ 'x-content-type-options': 'nosniff', 'x-kubernetes-pf-flowschema-uid': uid },
        },
        text: 'Too many requests, please try again later.\n',
      });
    }
  });

  it('what every cluster must have counts, though somebody deleted it', async () => {
    expect((await test.call('DELETE', `${root}/flowschemas/exempt`)).status).toBe(200);
    const { status, headers } = await ask(test, 'admin', '/api/v1/nodes');
    expect([status, headers['x-kubernetes-pf-flowschema-uid']]).toEqual([200, undefined]);
  });
});

function conditionsOf(status: Json | undefined): readonly Json[] {
  return (status?.['conditions'] ?? []) as unknown as readonly Json[];
}

function withoutTime({ lastTransitionTime: _time, ...condition }: Json): Json {
  return condition;
}
