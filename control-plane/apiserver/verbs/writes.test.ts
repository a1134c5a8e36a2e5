import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  deploymentNamed,
  podNamed,
  startTestServer,
  type TestServer,
} from '#control-plane/apiserver/test-server.fixture.ts';

const ns = '/api/v1/namespaces/default';
const cms = `${ns}/configmaps`;
const deployments = '/apis/apps/v1/namespaces/default/deployments';
const merge = { 'content-type': 'application/merge-patch+json' };
const strategic = { 'content-type': 'application/strategic-merge-patch+json' };

describe('writes', () => {
  let test: TestServer;
  beforeAll(async () => {
    test = await startTestServer();
    await test.make(`${ns}/serviceaccounts`, { metadata: { name: 'default' } });
  });
  afterAll(() => test[Symbol.asyncDispose]());

  it('POST fills in identity, generates names, and keeps what a dry run would have made to itself', async () => {
    const made = await test.make(cms, { metadata: { generateName: 'gn-' } });
    expect(made).toMatchObject({
      kind: 'ConfigMap',
      metadata: {
        name: expect.stringMatching(/^gn-[bcdfghjklmnpqrstvwxz2456789]{5}$/),
        namespace: 'default',
        uid: expect.any(String),
      },
    });
    const dry = await test.call('POST', `${cms}?dryRun=All`, { body: { metadata: { name: 'dry' } } });
    expect(dry).toMatchObject({ status: 201, json: { metadata: { name: 'dry' } } });
    expect((await test.call('GET', `${cms}/dry`)).status).toBe(404);
  });

  it.each([
    { suffix: '', resourceVersion: '5', status: 500 },
    { suffix: '?dryRun=All', resourceVersion: '5', status: 201 },
    { suffix: '', resourceVersion: '0', status: 201 },
    { suffix: '', resourceVersion: '-1', status: 201 },
  ])('POST$suffix of an object of revision $resourceVersion answers $status', async (row) => {
    const metadata = { generateName: 'old-', resourceVersion: row.resourceVersion };
    const { status, json } = await test.call('POST', `${cms}${row.suffix}`, { body: { metadata } });
    expect(status).toBe(row.status);
    if (status !== 500) return;
    expect(json).toEqual({
      ...{ kind: 'Status', apiVersion: 'v1', metadata: {}, status: 'Failure', code: 500 },
      message: 'resourceVersion should not be set on objects to be created',
    });
  });

  it.each([
    ['/apis/coordination.k8s.io/v1/namespaces/default/leases', {}],
    ['/apis/policy/v1/namespaces/default/poddisruptionbudgets', { spec: {} }],
    ['/apis/storage.k8s.io/v1/csidrivers', { spec: {} }],
    ['/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations', {}],
    ['/apis/node.k8s.io/v1/runtimeclasses', { handler: 'h' }],
  ])('PUT %s says which revision it was made of', async (path, fields) => {
    const made = await test.make(path, { metadata: { name: 'unseen' }, ...fields });
    const put = (resourceVersion: string | undefined): ReturnType<TestServer['call']> =>
      test.call('PUT', `${path}/unseen`, {
        body: { ...made, metadata: { ...Object(made['metadata']), resourceVersion, labels: { a: 'b' } } },
      });
    for (const none of [undefined, '0']) {
      expect((await put(none)).json).toMatchObject({
        code: 422,
        message: expect.stringContaining(
          '"unseen" is invalid: metadata.resourceVersion: Invalid value: 0: must be specified for an update',
        ),
        details: { kind: path.slice(path.lastIndexOf('/') + 1) },
      });
    }
    expect((await put(Object(made['metadata']).resourceVersion)).status).toBe(200);
    const patch = { headers: merge, body: { metadata: { labels: { a: 'c' } } } };
    expect((await test.call('PATCH', `${path}/unseen`, patch)).status).toBe(200);
  });

  it('PUT of a RuntimeClass makes it', async () => {
    const body = { metadata: { name: 'put' }, handler: 'h' };
    expect((await test.call('PUT', '/apis/node.k8s.io/v1/runtimeclasses/put', { body })).status).toBe(201);
  });

  it.each([
    { path: '/apis/batch/v1/namespaces/default/jobs', suffix: '', finalizers: ['orphan'], isWarned: true },
    {
      path: '/apis/batch/v1/namespaces/default/jobs',
      suffix: '?propagationPolicy=Orphan',
      finalizers: ['orphan'],
      isWarned: false,
    },
    { path: `${ns}/replicationcontrollers`, suffix: '', finalizers: ['orphan'], isWarned: false },
  ])('DELETE $path$suffix lets its pods be, and answers with the object', async (row) => {
    const template = {
      metadata: { labels: { a: 'b' } },
      spec: {
        containers: [{ name: 'c', image: 'i' }],
        restartPolicy: row.path.endsWith('jobs') ? 'Never' : 'Always',
      },
    };
    const answers = await Promise.all(
      ['one', 'many'].map(async (name) => {
        const metadata = { name, labels: { [name]: '' } };
        await test.make(row.path, { metadata, spec: { template } });
        const where = name === 'one' ? `${row.path}/one` : row.path;
        const select = name === 'one' ? '' : `${row.suffix === '' ? '?' : '&'}labelSelector=many`;
        return test.call('DELETE', `${where}${row.suffix}${select}`);
      }),
    );
    for (const { status, json, headers } of answers) {
      expect(status).toBe(200);
      const going = [json['items']].flat()[0] ?? json;
      expect(going).toMatchObject({
        metadata: { deletionTimestamp: expect.any(String), finalizers: row.finalizers },
      });
      const warning =
        'child pods are preserved by default when jobs are deleted; set propagationPolicy=Background to remove them or set propagationPolicy=Orphan to suppress this warning';
      expect(headers['warning']).toBe(row.isWarned ? `299 - "${warning}"` : undefined);
    }
    await Promise.all(
      ['one', 'many'].map((name) =>
        test.call('PATCH', `${row.path}/${name}`, {
          body: { metadata: { finalizers: null } },
          headers: merge,
        }),
      ),
    );
  });

  it('POST warns of unknown fields, takes YAML, and answers YAML', async () => {
    const body = 'apiVersion: v1\nkind: ConfigMap\nmetadata: {name: from-yaml, bogus: 1}\ndata: {a: "1"}\n';
    const headers = { 'content-type': 'application/yaml', accept: 'application/yaml' };
    const answer = await test.call('POST', cms, { body, headers });
    expect(answer.status).toBe(201);
    expect(answer.headers['warning']).toBe('299 - "unknown field \\"metadata.bogus\\""');
    expect(answer.text).toMatch(/^(.*\n)*data:\n  a: "1"\n/);
  });

  it('PUT that makes an object takes the right to create one', async () => {
    const rbac = '/apis/rbac.authorization.k8s.io/v1/namespaces/default';
    const changer = { metadata: { name: 'changer' } };
    const rules = [{ apiGroups: ['*'], resources: ['*'], verbs: ['update'] }];
    // Of these kinds, too (AllowCreateOnUpdate).
    expect((await test.call('PUT', `${rbac}/roles/changer`, { body: { ...changer, rules } })).status).toBe(
      201,
    );
    const roleRef = { apiGroup: 'rbac.authorization.k8s.io', kind: 'Role', name: 'changer' };
    const body = { ...changer, roleRef, subjects: [{ kind: 'User', name: 'pat' }] };
    expect((await test.call('PUT', `${rbac}/rolebindings/changer`, { body })).status).toBe(201);
    const transport = test.server.transport({ name: 'pat', groups: ['system:authenticated'] });
    const path = '/api/v1/namespaces/default/limitranges/of-pat';
    const range = { metadata: { name: 'of-pat' }, spec: { limits: [] } };
    const asPat = async (): Promise<number> => {
      const headers = { 'content-type': 'application/json' };
      return (
        await transport.request({ method: 'PUT', path, headers, body: Buffer.from(JSON.stringify(range)) })
      ).status;
    };
    expect(await asPat()).toBe(403);
    await test.make('/api/v1/namespaces/default/limitranges', range);
    expect(await asPat()).toBe(200);
  });

  it('each owner is kept once, and who names one twice is told', async () => {
    const owner = { apiVersion: 'v1', kind: 'Pod', name: 'o', uid: 'u' };
    const other = { ...owner, name: 'other' };
    const metadata = { name: 'owned-twice', ownerReferences: [owner, owner, other] };
    const want = { metadata: { ownerReferences: [owner, other] } };
    const path = `${cms}/owned-twice`;
    const headers = { 'content-type': 'application/merge-patch+json' };
    const answers = [
      await test.call('POST', cms, { body: { metadata } }),
      await test.call('PUT', path, { body: { metadata } }),
      await test.call('PATCH', path, { body: { metadata }, headers }),
    ];
    for (const answer of answers) {
      expect(answer.json).toMatchObject(want);
      expect(answer.headers['warning']).toMatch(
        /^299 - "\.metadata\.ownerReferences contains duplicate entries.*; duplicate UID\(s\) observed: u"$/,
      );
    }
    expect(answers[2]?.headers['warning']).toContain('after mutating admission happens');
  });

  it('PATCH warns of operations with members that none has, and of nothing takes nothing', async () => {
    await test.make(cms, { metadata: { name: 'patched' } });
    const patch = (type: string, body: string): ReturnType<TestServer['call']> =>
      test.call('PATCH', `${cms}/patched`, {
        body,
        headers: { 'content-type': `application/${type}-patch+json` },
      });
    const warned = await patch('json', '[{"op":"add","path":"/data","value":{"a":"b"},"foo":1}]');
    expect(warned.json).toMatchObject({ data: { a: 'b' } });
    expect(warned.headers['warning']).toBe('299 - "json patch unknown field \\"[0].foo\\""');
    for (const type of ['json', 'strategic-merge'])
      expect((await patch(type, 'null')).json).toMatchObject({ data: { a: 'b' } });
  });

  it('PUT without a revision overwrites; the same again changes nothing; generation follows the spec', async () => {
    const made = await test.make(deployments, deploymentNamed('put'));
    expect(made['metadata']).toMatchObject({ generation: 1 });
    const changed = await test.call('PUT', `${deployments}/put`, {
      body: deploymentNamed('put', { replicas: 3 }),
    });
    expect(changed.json).toMatchObject({ metadata: { generation: 2 }, spec: { replicas: 3 } });
    const again = await test.call('PUT', `${deployments}/put`, {
      body: deploymentNamed('put', { replicas: 3 }),
    });
    expect(again.json['metadata']?.['resourceVersion']).toBe(changed.json['metadata']?.['resourceVersion']);
  });

  it('PUT, PATCH and DELETE of one object by many at once take turns', async () => {
    const writers = 64;
    await test.make(cms, { metadata: { name: 'busy' }, data: {} });
    const answers = await Promise.all(
      Array.from({ length: writers }, async (_, index) => {
        const body = { metadata: { name: 'busy' }, data: { [`put-${index}`]: '' } };
        return [
          await test.call('PUT', `${cms}/busy`, { body }),
          await test.call('PATCH', `${cms}/busy`, {
            body: { metadata: { labels: { [`patch-${index}`]: '' } } },
            headers: merge,
          }),
        ];
      }),
    );
    expect(answers.flat().filter(({ status }) => status !== 200)).toEqual([]);
    const revisions = answers.flat().map(({ json }) => String(json['metadata']?.['resourceVersion']));
    expect(new Set(revisions).size).toBe(2 * writers);
    const last = await Promise.all([
      test.call('DELETE', `${cms}/busy`),
      ...Array.from({ length: writers }, (_, index) => {
        const body = { metadata: { labels: { [`late-${index}`]: '' } } };
        return test.call('PATCH', `${cms}/busy`, { body, headers: merge });
      }),
    ]);
    expect(last[0]?.status).toBe(200);
    for (const { status } of last) expect([200, 404]).toContain(status);
    expect((await test.call('GET', `${cms}/busy`)).status).toBe(404);
  });

  it('PATCHes of one object by many at once all stay', async () => {
    await test.make(cms, { metadata: { name: 'merged' } });
    const names = Array.from({ length: 64 }, (_, index) => `label-${index}`);
    const patch = (name: string): ReturnType<typeof test.call> =>
      test.call('PATCH', `${cms}/merged`, { body: { metadata: { labels: { [name]: '' } } }, headers: merge });
    for (const { status } of await Promise.all(names.map(patch))) expect(status).toBe(200);
    const { json } = await test.call('GET', `${cms}/merged`);
    expect(Object.keys(json['metadata']?.['labels'] ?? {}).toSorted()).toEqual(names.toSorted());
  });

  it('of many that PUT the same revision, one wins', async () => {
    const made = await test.make(cms, { metadata: { name: 'once' } });
    const answers = await Promise.all(
      Array.from({ length: 64 }, (_, index) =>
        test.call('PUT', `${cms}/once`, { body: { ...made, data: { index: String(index) } } }),
      ),
    );
    const statuses = answers.map(({ status }) => status).toSorted((a, b) => a - b);
    expect(statuses).toEqual([200, ...Array.from({ length: 63 }, () => 409)]);
  });

  it('status and spec are written at their own paths', async () => {
    await test.make(deployments, deploymentNamed('st'));
    const body = { spec: { replicas: 9 }, status: { replicas: 2 } };
    const status = await test.call('PATCH', `${deployments}/st/status`, { body, headers: merge });
    expect(status.json).toMatchObject({
      metadata: { generation: 1 },
      spec: { replicas: 1 },
      status: { replicas: 2 },
    });
    const spec = await test.call('PATCH', `${deployments}/st`, { body, headers: merge });
    expect(spec.json).toMatchObject({
      metadata: { generation: 2 },
      spec: { replicas: 9 },
      status: { replicas: 2 },
    });
  });

  it('PATCH strategic merges containers by name, and uid in the patch is a precondition', async () => {
    await test.make(deployments, deploymentNamed('smp'));
    const containers = [{ name: 'd', image: 'j' }];
    const body = { spec: { template: { spec: { containers } } } };
    const patched = await test.call('PATCH', `${deployments}/smp`, { body, headers: strategic });
    expect(
      JSON.stringify(patched.json['spec']?.['template']?.['spec']?.['containers'])
        .match(/"name":"\w"/g)
        ?.toSorted(),
    ).toEqual(['"name":"c"', '"name":"d"']);
    const other = await test.call('PATCH', `${deployments}/smp`, {
      body: { metadata: { uid: 'zz' } },
      headers: strategic,
    });
    expect(other.json).toMatchObject({ code: 409, reason: 'Conflict' });
  });

  it('many that patch one object at once all succeed', async () => {
    await test.make(cms, { metadata: { name: 'busy' } });
    const results = await Promise.all(
      Array.from({ length: 12 }, (_, index) =>
        test.call('PATCH', `${cms}/busy`, { body: { data: { [`k${index}`]: 'v' } }, headers: merge }),
      ),
    );
    expect(results.map(({ status }) => status)).toEqual(Array.from({ length: 12 }, () => 200));
    expect(Object.keys((await test.call('GET', `${cms}/busy`)).json['data'] ?? {})).toHaveLength(12);
  });

  it('PUT creates a lease that is not there, and refuses one that is out of date', async () => {
    const path = '/apis/coordination.k8s.io/v1/namespaces/kube-system/leases/l';
    const created = await test.call('PUT', path, {
      body: { metadata: { name: 'l' }, spec: { holderIdentity: 'a' } },
    });
    expect(created.status).toBe(201);
    const stale = { ...created.json, spec: { holderIdentity: 'b' } };
    expect((await test.call('PUT', path, { body: stale })).status).toBe(200);
    expect((await test.call('PUT', path, { body: stale })).json).toMatchObject({ code: 409 });
  });

  it('DELETE gives a running pod its grace, once shorter, and removes it with grace 0', async () => {
    await test.make(
      `${ns}/pods`,
      podNamed('run', { spec: { nodeName: 'n', containers: [{ name: 'c', image: 'i' }] } }),
    );
    const first = await test.call('DELETE', `${ns}/pods/run`);
    expect(first.json['metadata']).toMatchObject({
      deletionGracePeriodSeconds: 30,
      deletionTimestamp: expect.any(String),
    });
    const longer = await test.call('DELETE', `${ns}/pods/run`, { body: { gracePeriodSeconds: 60 } });
    expect(longer.json['metadata']).toMatchObject({ deletionGracePeriodSeconds: 30 });
    const shorter = await test.call('DELETE', `${ns}/pods/run`, { body: { gracePeriodSeconds: 5 } });
    expect(shorter.json['metadata']).toMatchObject({ deletionGracePeriodSeconds: 5 });
    const last = await test.call('DELETE', `${ns}/pods/run?gracePeriodSeconds=0`);
    expect(last.json).toMatchObject({ kind: 'Pod', metadata: { deletionGracePeriodSeconds: 0 } });
    expect((await test.call('GET', `${ns}/pods/run`)).status).toBe(404);
  });

  it('DELETE reads its options from protobuf, as typed clients send them', async () => {
    await test.make(
      `${ns}/pods`,
      podNamed('pb', { spec: { nodeName: 'n', containers: [{ name: 'c', image: 'i' }] } }),
    );
    const options = [0x08, 0x07]; // gracePeriodSeconds: 7
    const typeMeta = [0x0a, 2, ...Buffer.from('v1'), 0x12, 13, ...Buffer.from('DeleteOptions')];
    const body = Buffer.from([
      ...Buffer.from('k8s\0'),
      0x0a,
      typeMeta.length,
      ...typeMeta,
      0x12,
      options.length,
      ...options,
    ]);
    const headers = { 'content-type': 'application/vnd.kubernetes.protobuf' };
    const answer = await test.call('DELETE', `${ns}/pods/pb`, { body, headers });
    expect(answer.json['metadata']).toMatchObject({ deletionGracePeriodSeconds: 7 });
  });

  it.each([
    ['Foreground', 'foregroundDeletion'],
    ['Orphan', 'orphan'],
  ])('DELETE %s leaves the object to the garbage collector', async (propagationPolicy, finalizer) => {
    const name = finalizer.toLowerCase();
    await test.make(deployments, deploymentNamed(name));
    const answer = await test.call('DELETE', `${deployments}/${name}`, { body: { propagationPolicy } });
    expect(answer.json['metadata']).toMatchObject({ finalizers: [finalizer], deletionGracePeriodSeconds: 0 });
  });

  it.each([
    [
      { dryRun: 'All' },
      'json: cannot unmarshal string into Go struct field DeleteOptions.dryRun of type []string',
    ],
    [
      { preconditions: { uid: 5 } },
      'json: cannot unmarshal number into Go struct field Preconditions.preconditions.uid of type string',
    ],
    [
      { propagationPolicy: 5 },
      'json: cannot unmarshal number into Go struct field DeleteOptions.propagationPolicy of type string',
    ],
    [
      { orphanDependents: 'true' },
      'json: cannot unmarshal string into Go struct field DeleteOptions.orphanDependents of type bool',
    ],
    [
      { gracePeriodSeconds: 1.5 },
      'json: cannot unmarshal number 1.5 into Go struct field DeleteOptions.gracePeriodSeconds of type int64',
    ],
    [[], 'json: cannot unmarshal array into Go value of type v1.DeleteOptions'],
    [
      { kind: 'Pod', apiVersion: 'v1' },
      'no kind "Pod" is registered for version "v1" in scheme "pkg/apis/meta/internalversion/scheme/register.go:27"',
    ],
  ])('DELETE by %j lets the object be', async (body, message) => {
    await test.make(cms, { metadata: { name: 'held' } });
    for (const path of [`${cms}/held`, cms]) {
      const answer = await test.call('DELETE', path, { body });
      expect(answer.json).toMatchObject({ code: 400, message });
    }
    const options = { kind: 'DeleteOptions', apiVersion: 'any.group/v9', preconditions: null };
    expect((await test.call('DELETE', `${cms}/held`, { body: options })).status).toBe(200);
  });

  it('DELETE of a collection deletes what is selected, and answers with it', async () => {
    for (const name of ['c1', 'c2', 'c3'])
      await test.make(cms, { metadata: { name, labels: { all: name === 'c3' ? 'no' : 'yes' } } });
    const answer = await test.call('DELETE', `${cms}?labelSelector=all%3Dyes`);
    expect(answer.json).toMatchObject({
      kind: 'ConfigMapList',
      items: [{ metadata: { name: 'c1' } }, { metadata: { name: 'c2' } }],
    });
    expect((await test.call('GET', `${cms}/c3`)).status).toBe(200);
  });

  it('a namespace goes in two steps, and nothing new comes into it meanwhile', async () => {
    await test.make('/api/v1/namespaces', { metadata: { name: 't' } });
    const deleted = await test.call('DELETE', '/api/v1/namespaces/t');
    expect(deleted.json).toMatchObject({
      status: { phase: 'Terminating' },
      spec: { finalizers: ['kubernetes'] },
    });
    const refused = await test.call('POST', '/api/v1/namespaces/t/configmaps', {
      body: { metadata: { name: 'x' } },
    });
    expect(refused.json).toMatchObject({
      message:
        'configmaps "x" is forbidden: unable to create new content in namespace t because it is being terminated',
      details: {
        causes: [
          {
            reason: 'NamespaceTerminating',
            message: 'namespace t is being terminated',
            field: 'metadata.namespace',
          },
        ],
      },
    });
    const body = { ...deleted.json, spec: { finalizers: [] } };
    expect((await test.call('PUT', '/api/v1/namespaces/t/finalize', { body })).json).toMatchObject({
      kind: 'Namespace',
    });
    expect((await test.call('GET', '/api/v1/namespaces/t')).status).toBe(404);
    expect((await test.call('DELETE', '/api/v1/namespaces/default')).status).toBe(403);
  });

  it('binding puts a pod on a node, once', async () => {
    await test.make(`${ns}/pods`, podNamed('bind'));
    const body = { metadata: { name: 'bind' }, target: { kind: 'Node', name: 'x' } };
    const bound = await test.call('POST', `${ns}/pods/bind/binding`, { body });
    expect(bound.json).toEqual({
      kind: 'Status',
      apiVersion: 'v1',
      metadata: {},
      status: 'Success',
      code: 201,
    });
    expect((await test.call('GET', `${ns}/pods/bind`)).json).toMatchObject({
      spec: { nodeName: 'x' },
      status: { conditions: [{ type: 'PodScheduled', status: 'True' }] },
    });
    expect((await test.call('POST', `${ns}/pods/bind/binding`, { body })).json).toMatchObject({
      code: 409,
      message:
        'Operation cannot be fulfilled on pods/binding "bind": pod bind is already assigned to node "x"',
      details: { name: 'bind', kind: 'pods/binding' },
    });
  });

  it('eviction takes room from the disruption budget, or is told to come back', async () => {
    const setStatus = (name: string, status: object) =>
      test.call('PATCH', `${ns}/pods/${name}/status`, { body: { status }, headers: merge });
    const budgets = '/apis/policy/v1/namespaces/default/poddisruptionbudgets';
    await test.make(`${ns}/pods`, podNamed('e', { metadata: { name: 'e', labels: { app: 'e' } } }));
    await setStatus('e', { phase: 'Running', conditions: [{ type: 'Ready', status: 'True' }] });
    await test.make(budgets, {
      metadata: { name: 'b' },
      spec: { minAvailable: 1, selector: { matchLabels: { app: 'e' } } },
    });
    const blocked = await test.call('POST', `${ns}/pods/e/eviction`, { body: { metadata: { name: 'e' } } });
    expect(blocked).toMatchObject({
      status: 429,
      headers: { 'retry-after': '10' },
      json: {
        details: {
          causes: [
            {
              reason: 'DisruptionBudget',
              message: 'The disruption budget b is still being processed by the server.',
            },
          ],
        },
      },
    });
    const status = {
      observedGeneration: 1,
      disruptionsAllowed: 1,
      currentHealthy: 1,
      desiredHealthy: 0,
      expectedPods: 1,
    };
    await test.call('PATCH', `${budgets}/b/status`, { body: { status }, headers: merge });
    const evicted = await test.call('POST', `${ns}/pods/e/eviction`, { body: { metadata: { name: 'e' } } });
    expect(evicted.json).toMatchObject({ status: 'Success', code: 201 });
    const { json } = await test.call('GET', `${budgets}/b`);
    expect(json['status']).toMatchObject({
      disruptionsAllowed: 0,
      disruptedPods: { e: expect.any(String) },
      conditions: [{ type: 'DisruptionAllowed', status: 'False', reason: 'InsufficientPods' }],
    });
  });

  it.each([
    {
      name: 'a pod that waits',
      phase: 'Pending',
      ready: 'False',
      policy: 'IfHealthyBudget',
      current: 0,
      want: 201,
    },
    {
      name: 'an unhealthy pod of a healthy budget',
      phase: 'Running',
      ready: 'False',
      policy: 'IfHealthyBudget',
      current: 1,
      want: 201,
    },
    {
      name: 'an unhealthy pod of an unhealthy budget',
      phase: 'Running',
      ready: 'False',
      policy: 'IfHealthyBudget',
      current: 0,
      want: 429,
    },
    {
      name: 'an unhealthy pod that always may go',
      phase: 'Running',
      ready: 'False',
      policy: 'AlwaysAllow',
      current: 0,
      want: 201,
    },
    { name: 'a healthy pod', phase: 'Running', ready: 'True', policy: 'AlwaysAllow', current: 1, want: 429 },
  ])('eviction of $name without room: $want', async ({ phase, ready, policy, current, want }) => {
    const budgets = '/apis/policy/v1/namespaces/default/poddisruptionbudgets';
    const name = `u-${phase}-${ready}-${policy}-${current}`.toLowerCase();
    await test.make(`${ns}/pods`, podNamed(name, { metadata: { name, labels: { app: name } } }));
    const conditions = [{ type: 'Ready', status: ready }];
    const podStatus = { status: { phase, conditions } };
    await test.call('PATCH', `${ns}/pods/${name}/status`, { body: podStatus, headers: merge });
    const selector = { matchLabels: { app: name } };
    await test.make(budgets, {
      metadata: { name },
      spec: { minAvailable: 1, selector, unhealthyPodEvictionPolicy: policy },
    });
    const status = {
      observedGeneration: 1,
      disruptionsAllowed: 0,
      currentHealthy: current,
      desiredHealthy: 1,
      expectedPods: 1,
    };
    await test.call('PATCH', `${budgets}/${name}/status`, { body: { status }, headers: merge });
    const answer = await test.call('POST', `${ns}/pods/${name}/eviction`, { body: { metadata: { name } } });
    expect(answer.status).toBe(want);
    expect(answer.headers['retry-after']).toBeUndefined();
    await test.call('DELETE', `${budgets}/${name}`);
  });

  it('events.k8s.io and core events are the same objects, and go with their lease', async () => {
    const regarding = { kind: 'Pod', namespace: 'default', name: 'p' };
    const event = {
      metadata: { name: 'ev' },
      regarding,
      reason: 'R',
      note: 'hello',
      type: 'Normal',
      action: 'A',
      reportingController: 'me',
      reportingInstance: 'x',
      eventTime: '2026-11-20T10:00:00.000000Z',
    };
    await test.make('/apis/events.k8s.io/v1/namespaces/default/events', event);
    const core = await test.call('GET', `${ns}/events?fieldSelector=involvedObject.name%3Dp`);
    expect(core.json['items']).toMatchObject([{ message: 'hello', involvedObject: regarding }]);
    const served = await test.call('GET', '/apis/events.k8s.io/v1/namespaces/default/events/ev');
    expect(served.json).toMatchObject({ apiVersion: 'events.k8s.io/v1', note: 'hello', regarding });
  });

  it('Services get addresses and ports that no other has', async () => {
    const make = (name: string, spec: object = {}): Promise<unknown> =>
      test.make(`${ns}/services`, { metadata: { name }, spec: { ports: [{ port: 80 }], ...spec } });
    const made = await Promise.all(
      Array.from({ length: 30 }, (_, index) => make(`s${index}`, { type: 'NodePort' })),
    );
    const text = JSON.stringify(made);
    expect(new Set(text.match(/"clusterIP":"[^"]+"/g)).size).toBe(30);
    expect(new Set(text.match(/"nodePort":\d+/g)).size).toBe(30);
    await make('fixed', { clusterIP: '10.96.0.10' });
    const twice = await test.call('POST', `${ns}/services`, {
      body: { metadata: { name: 'again' }, spec: { clusterIP: '10.96.0.10', ports: [{ port: 80 }] } },
    });
    expect(twice.json['message']).toContain('provided IP is already allocated');
    await test.call('DELETE', `${ns}/services/fixed`);
    await make('free-again', { clusterIP: '10.96.0.10' });
    await make('headless', { clusterIP: 'None' });
  });

  it('reviews answer who may do what, and are not kept', async () => {
    const review = {
      spec: { user: 'system:anonymous', resourceAttributes: { verb: 'get', resource: 'pods' } },
    };
    const sar = await test.call('POST', '/apis/authorization.k8s.io/v1/subjectaccessreviews', {
      body: review,
    });
    expect(sar).toMatchObject({ status: 201, json: { status: { allowed: false } } });
    const nameless = await test.call('POST', '/apis/authorization.k8s.io/v1/subjectaccessreviews', {
      body: { spec: { resourceAttributes: { verb: 'list' } } },
    });
    const noUser = 'spec.user: Invalid value: "": at least one of user or group must be specified';
    expect(nameless).toMatchObject({
      ...{ status: 422, json: { message: `.authorization.k8s.io "" is invalid: ${noUser}` } },
    });
    const own = { spec: { resourceAttributes: { verb: 'get', resource: 'pods' } } };
    const self = await test.call('POST', '/apis/authorization.k8s.io/v1/selfsubjectaccessreviews', {
      body: own,
    });
    expect(self.json['status']).toEqual({ allowed: true });
    const as = { 'impersonate-user': 'bob', 'impersonate-group': 'g1', 'impersonate-extra-scopes%2fx': 'v' };
    const who = await test.call('POST', '/apis/authentication.k8s.io/v1/selfsubjectreviews', {
      body: { metadata: { labels: { a: 'b' } } },
      headers: as,
    });
    expect(who.json['metadata']).toEqual({ creationTimestamp: expect.stringMatching(/Z$/) });
    expect(who.json['status']?.['userInfo']).toEqual({
      username: 'bob',
      groups: ['g1', 'system:authenticated'],
      extra: { 'scopes/x': ['v'] },
    });
    const nobody = await test.call('GET', '/api/v1/pods', { headers: { 'impersonate-group': 'g' } });
    expect(nobody.json['message']).toBe(
      'requested &user.DefaultInfo{Name:"", UID:"", Groups:[]string{"g"}, Extra:map[string][]string(nil)} without impersonating a user name',
    );
  });

  it('a write of what nothing acts on is answered with a Warning, and done', async () => {
    const path = '/api/v1/persistentvolumes';
    const text = '299 - "spec.iscsi: stored, but podwright does not act on it yet: no node mounts it"';
    const iscsi = { targetPortal: '192.0.2.1:3260', iqn: 'iqn.2001-04.com.example:a', lun: 0 };
    const body = {
      metadata: { name: 'deny' },
      spec: { capacity: { storage: '1Gi' }, accessModes: ['ReadWriteOnce'], iscsi },
    };
    const made = await test.call('POST', path, { body });
    const put = await test.call('PUT', `${path}/deny`, { body });
    const patched = await test.call('PATCH', `${path}/deny`, {
      body: { metadata: { labels: { a: 'b' } } },
      headers: { 'content-type': 'application/merge-patch+json' },
    });
    expect([made, put, patched].map(({ status, headers }) => [status, headers['warning']])).toEqual([
      [201, text],
      [200, text],
      [200, text],
    ]);
    for (const [method, at] of [
      ['GET', `${path}/deny`],
      ['DELETE', `${path}/deny`],
    ] as const) {
      expect((await test.call(method, at)).headers['warning']).toBeUndefined();
    }
    const config = { metadata: { name: 'plain' } };
    const plain = await test.call('POST', `${ns}/configmaps`, { body: config });
    expect(plain.headers['warning']).toBeUndefined();
  });

  it('the kubernetes Service points at the server', async () => {
    const { json } = await test.call('GET', `${ns}/services/kubernetes`);
    expect(json['spec']).toMatchObject({ clusterIP: '10.96.0.1' });
    const slice = await test.call(
      'GET',
      '/apis/discovery.k8s.io/v1/namespaces/default/endpointslices/kubernetes',
    );
    expect(slice.json).toMatchObject({
      endpoints: [{ addresses: ['192.0.2.1'] }],
      ports: [{ port: test.server.ports[0] }],
    });
  });
});
