import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { at, objectOf } from '#api/wire/json.ts';
import type { JsonObject } from '#api/meta/object.ts';
import {
  podNamed,
  startTestServer,
  type Answer,
  type TestServer,
} from '#control-plane/apiserver/test-server.fixture.ts';
import { definitionOf, definitionsPath } from '#control-plane/apiserver/custom/definition.fixture.ts';
import { patching, startHookServer, type HookServer } from './hook-server.fixture.ts';

const base = '/apis/admissionregistration.k8s.io/v1';
const ns = '/api/v1/namespaces/n';
const maps = `${ns}/configmaps`;

let test: TestServer;
let hooks: HookServer;
beforeAll(async () => {
  hooks = await startHookServer();
  test = await startTestServer();
  await test.make('/api/v1/namespaces', { metadata: { name: 'n' } });
  await test.make(`${ns}/serviceaccounts`, { metadata: { name: 'default' } });
});
afterAll(async () => {
  await test[Symbol.asyncDispose]();
  await hooks[Symbol.asyncDispose]();
});
beforeEach(async () => {
  for (const sort of ['validating', 'mutating']) {
    const { json } = await test.call('GET', `${base}/${sort}webhookconfigurations`);
    for (const each of json['items'] as unknown as readonly JsonObject[])
      await test.call('DELETE', `${base}/${sort}webhookconfigurations/${String(at(each, 'metadata.name'))}`);
  }
  await test.call('DELETE', maps);
  hooks.clear();
});

type Sort = 'Validating' | 'Mutating';

const allRules = [{ apiGroups: ['*'], apiVersions: ['*'], operations: ['*'], resources: ['*/*'] }];

function rule(operation: string, group: string, resource: string): readonly JsonObject[] {
  return [{ apiGroups: [group], apiVersions: ['*'], operations: [operation], resources: [resource] }];
}

/** A configuration of one hook for each of the given. */
async function configure(sort: Sort, name: string, ...given: readonly JsonObject[]): Promise<void> {
  const webhooks = given.map(({ path = '/allow', ...more }, index) => ({
    ...{ name: `h${index}.example.com`, sideEffects: 'None', admissionReviewVersions: ['v1'] },
    ...{ rules: rule('*', '', 'configmaps'), namespaceSelector: {} },
    clientConfig: { url: `https://127.0.0.1:${hooks.port}${String(path)}`, caBundle: hooks.caBundle },
    ...more,
  }));
  const kind = `${sort}WebhookConfiguration`;
  await test.make(`${base}/${kind.toLowerCase()}s`, { kind, metadata: { name }, webhooks });
}

function make(name: string, more: JsonObject = {}, query = ''): Promise<Answer> {
  return test.call('POST', `${maps}${query}`, { body: { metadata: { name }, data: { a: '1' }, ...more } });
}

const merge = { 'content-type': 'application/merge-patch+json' };

function patch(path: string, body: JsonObject): Promise<Answer> {
  return test.call('PATCH', path, { body, headers: merge });
}

/** The requests that hooks were asked about; what the server writes for itself comes when its time has come. */
function asked(): readonly JsonObject[] {
  return hooks.calls
    .map(({ review }) => objectOf(review['request']))
    .filter(({ userInfo }) => at(userInfo, 'username') === user.username);
}

const user = { username: 'tester', groups: ['system:masters', 'system:authenticated'] };
const configMap = { group: '', version: 'v1', kind: 'ConfigMap' };
const configMaps = { group: '', version: 'v1', resource: 'configmaps' };
const about = {
  ...{ kind: configMap, resource: configMaps, requestKind: configMap, requestResource: configMaps },
  ...{ namespace: 'n', userInfo: user, dryRun: false },
};

describe('what hooks are sent', () => {
  it('of a create, an update, a deletion and a collection', async () => {
    await configure('Validating', 'w', { path: '/allow', timeoutSeconds: 7 });
    await make('c', {}, '?fieldManager=fm');
    await patch(`${maps}/c?dryRun=All`, { data: { b: '2' } });
    await test.call('DELETE', `${maps}/c?propagationPolicy=Background`);
    await make('', { metadata: { generateName: 'gen-' } });
    await test.call('DELETE', maps);
    expect(hooks.calls[0]).toMatchObject({
      path: '/allow?timeout=7s',
      headers: {
        'user-agent': 'kube-apiserver-admission',
        accept: 'application/json, */*',
        'content-type': 'application/json',
        'accept-encoding': 'gzip',
      },
      review: { kind: 'AdmissionReview', apiVersion: 'admission.k8s.io/v1' },
    });
    const [create, update, remove, generated, ofMany] = asked();
    expect(create).toMatchObject({
      ...{ ...about, name: 'c', operation: 'CREATE', oldObject: null },
      options: { kind: 'CreateOptions', apiVersion: 'meta.k8s.io/v1', fieldManager: 'fm' },
      object: {
        kind: 'ConfigMap',
        apiVersion: 'v1',
        metadata: { name: 'c', namespace: 'n' },
        data: { a: '1' },
      },
    });
    expect(at(create, 'object.metadata.uid')).toEqual(expect.any(String));
    expect(Object.keys(create ?? {}).join()).toBe(
      'uid,kind,resource,requestKind,requestResource,name,namespace,operation,userInfo,object,oldObject,dryRun,options',
    );
    expect(update).toMatchObject({
      ...{ ...about, name: 'c', operation: 'UPDATE', dryRun: true },
      options: { kind: 'UpdateOptions', apiVersion: 'meta.k8s.io/v1', dryRun: ['All'] },
      object: { data: { a: '1', b: '2' } },
      oldObject: { kind: 'ConfigMap', apiVersion: 'v1', data: { a: '1' } },
    });
    expect(at(update, 'object.metadata.resourceVersion')).toBe(
      at(update, 'oldObject.metadata.resourceVersion'),
    );
    expect(remove).toMatchObject({
      ...{ ...about, name: 'c', operation: 'DELETE', object: null, oldObject: { metadata: { name: 'c' } } },
      options: { kind: 'DeleteOptions', apiVersion: 'meta.k8s.io/v1', propagationPolicy: 'Background' },
    });
    expect(generated?.['name']).toMatch(/^gen-.{5}$/);
    expect(generated?.['name']).toBe(at(generated, 'object.metadata.name'));
    expect(ofMany).toMatchObject({ ...about, operation: 'DELETE', object: null });
    expect(ofMany?.['name']).toBeUndefined();
  });

  it('of subresources: status, eviction, binding, a token, a connection, a Scale', async () => {
    await configure('Validating', 'w', { rules: allRules });
    await test.make(`${ns}/pods`, podNamed('p'));
    await patch(`${ns}/pods/p/status`, { status: { phase: 'Running' } });
    const metadata = { name: 'p' };
    const target = { kind: 'Node', name: 'a' };
    await test.call('POST', `${ns}/pods/p/binding`, { body: { metadata, target } });
    await test.call('POST', `${ns}/pods/p/exec?command=ls&stdout=true&container=c`);
    await test.call('POST', `${ns}/pods/p/eviction`, {
      body: { apiVersion: 'policy/v1', kind: 'Eviction', metadata },
    });
    await test.call('POST', `${ns}/serviceaccounts/default/token`, {
      body: {
        apiVersion: 'authentication.k8s.io/v1',
        kind: 'TokenRequest',
        spec: { expirationSeconds: 3600 },
      },
    });
    const template = { metadata: { labels: { a: 'b' } }, spec: { containers: [{ name: 'c', image: 'i' }] } };
    await test.make('/apis/apps/v1/namespaces/n/deployments', {
      ...{ metadata: { name: 'd' }, spec: { replicas: 1, selector: { matchLabels: { a: 'b' } }, template } },
    });
    await patch('/apis/apps/v1/namespaces/n/deployments/d/scale', { spec: { replicas: 2 } });
    await patch(`${ns}/pods/p/ephemeralcontainers`, {
      spec: { ephemeralContainers: [{ name: 'e', image: 'i' }] },
    });
    const seen = asked().map(
      ({ operation, subResource, requestSubResource, name, kind, resource, options, object }) =>
        [
          ...[operation, at(resource, 'resource'), subResource ?? '-', requestSubResource ?? '-', name],
          ...[at(kind, 'kind'), at(object, 'kind'), at(options, 'kind') ?? options],
        ].join(' '),
    );
    expect(seen).toEqual([
      'CREATE pods - - p Pod Pod CreateOptions',
      'UPDATE pods status status p Pod Pod UpdateOptions',
      'CREATE pods binding binding p Binding Binding CreateOptions',
      'CONNECT pods exec exec p PodExecOptions PodExecOptions ',
      'CREATE pods eviction eviction p Eviction Eviction CreateOptions',
      'CREATE serviceaccounts token token default TokenRequest TokenRequest CreateOptions',
      'CREATE deployments - - d Deployment Deployment CreateOptions',
      'UPDATE deployments scale scale d Scale Scale UpdateOptions',
      'UPDATE pods ephemeralcontainers ephemeralcontainers p Pod Pod UpdateOptions',
    ]);
    expect(asked()[3]).toMatchObject({
      object: { kind: 'PodExecOptions', apiVersion: 'v1', stdout: true, command: ['ls'], container: 'c' },
    });
    expect(asked()[7]).toMatchObject({
      object: { spec: { replicas: 2 } },
      oldObject: { spec: { replicas: 1 } },
    });
  });

  it('of an equivalent version, converted; and a patch of it comes back', async () => {
    hooks.on('/metrics', () =>
      patching([{ op: 'add', path: '/spec/metrics/0/resource/target/averageUtilization', value: 55 }]),
    );
    const rules = [{ ...rule('*', 'autoscaling', 'horizontalpodautoscalers')[0], apiVersions: ['v2'] }];
    await configure('Mutating', 'w', { rules, path: '/metrics' });
    const { json } = await test.call(
      'POST',
      '/apis/autoscaling/v1/namespaces/n/horizontalpodautoscalers?dryRun=All',
      {
        body: {
          metadata: { name: 'h' },
          spec: {
            ...{ maxReplicas: 3, targetCPUUtilizationPercentage: 80 },
            scaleTargetRef: { apiVersion: 'apps/v1', kind: 'Deployment', name: 'x' },
          },
        },
      },
    );
    expect(asked()).toMatchObject([
      {
        kind: { group: 'autoscaling', version: 'v2', kind: 'HorizontalPodAutoscaler' },
        resource: { group: 'autoscaling', version: 'v2' },
        requestKind: { version: 'v1' },
        requestResource: { version: 'v1' },
        object: {
          apiVersion: 'autoscaling/v2',
          spec: { metrics: [{ resource: { target: { averageUtilization: 80 } } }] },
        },
      },
    ]);
    expect(json).toMatchObject({
      apiVersion: 'autoscaling/v1',
      spec: { targetCPUUtilizationPercentage: 55 },
    });
  });

  it('by a hook that knows v1beta1 alone', async () => {
    await configure('Mutating', 'w', { path: '/patch', admissionReviewVersions: ['v1beta1'] });
    expect((await make('b')).json).toMatchObject({ metadata: { labels: { wh: '1' } } });
    expect(hooks.calls[0]?.review['apiVersion']).toBe('admission.k8s.io/v1beta1');
  });
});

describe('mutating hooks', () => {
  it('defaults are made again after a patch', async () => {
    hooks.on('/sidecar', () =>
      patching([{ op: 'add', path: '/spec/containers/-', value: { name: 's', image: 'x' } }]),
    );
    await configure('Mutating', 'w', { path: '/sidecar', rules: rule('CREATE', '', 'pods') });
    const { json } = await test.call('POST', `${ns}/pods?dryRun=All`, { body: podNamed('q') });
    expect(json).toMatchObject({
      spec: {
        containers: [
          { name: 'c' },
          { name: 's', imagePullPolicy: 'Always', terminationMessagePath: '/dev/termination-log' },
        ],
      },
    });
  });

  it('what an object belongs to is named once, whatever they add', async () => {
    const owner = { apiVersion: 'v1', kind: 'Pod', name: 'o', uid: 'u' };
    hooks.on('/owner', () => patching([{ op: 'add', path: '/metadata/ownerReferences/-', value: owner }]));
    const body = { metadata: { name: 'owned', ownerReferences: [owner] } };
    await make('owned', body);
    await configure('Mutating', 'w', { path: '/owner' });
    const answers = [
      await make('owned-anew', { metadata: { ...body.metadata, name: 'owned-anew' } }),
      await test.call('PUT', `${maps}/owned`, { body }),
    ];
    for (const { json, headers } of answers) {
      expect(json['metadata']?.['ownerReferences']).toEqual([owner]);
      expect(headers['warning']).toContain(
        'contains duplicate entries after mutating admission happens; API server dedups',
      );
    }
  });

  it('plugins of the server see what hooks did', async () => {
    // The token's volume is mounted by ServiceAccount, which runs before: into the container of the patch in the second round.
    const mounts = (await test.call('POST', `${ns}/pods?dryRun=All`, { body: podNamed('q') })).json;
    hooks.on('/sidecar', () =>
      patching([{ op: 'add', path: '/spec/containers/-', value: { name: 's', image: 'x' } }]),
    );
    await configure('Mutating', 'w', { path: '/sidecar', rules: rule('CREATE', '', 'pods') });
    const { json } = await test.call('POST', `${ns}/pods?dryRun=All`, { body: podNamed('q') });
    expect(mounts['spec']?.['containers']?.['0']?.['volumeMounts']).toBeDefined();
    expect(json['spec']?.['containers']?.['1']?.['volumeMounts']).toBeDefined();
    expect(hooks.calls).toHaveLength(1);
  });

  it('go by the names of their configurations', async () => {
    for (const name of ['b', 'c', 'a']) await configure('Mutating', name, { path: `/${name}` });
    await make('x');
    expect(hooks.calls.map(({ path }) => path)).toEqual([
      '/a?timeout=10s',
      '/b?timeout=10s',
      '/c?timeout=10s',
    ]);
  });

  it('cannot change what is deleted', async () => {
    await make('x');
    await configure('Mutating', 'w', { path: '/patch', rules: rule('DELETE', '', 'configmaps') });
    const { status, json } = await test.call('DELETE', `${maps}/x`);
    expect([status, json['message']]).toEqual([
      500,
      'Internal error occurred: admission webhook "h0.example.com" attempted to modify the object, which is not supported for this operation',
    ]);
  });

  /** Which hooks are called, by the rules of reinvocation: 3 hooks, each with a policy, each changing something the first time or not. */
  function model(
    three: readonly { readonly again: boolean; readonly changes: boolean }[],
  ): readonly number[] {
    const called: number[] = [];
    let waiting: number[] = [];
    const due = new Set<number>();
    let isChanged = false;
    three.forEach(({ again, changes }, index) => {
      called.push(index);
      if (changes) {
        isChanged = true;
        for (const before of waiting) due.add(before);
        waiting = [];
      }
      if (again) waiting.push(index);
    });
    if (isChanged) called.push(...three.keys().filter((index) => due.has(index)));
    return called;
  }

  it('are called again as the model says, with every policy and every change', async () => {
    for (let bits = 0; bits < 64; bits++) {
      const three = [0, 1, 2].map((index) => ({
        ...{ again: ((bits >> index) & 1) === 1, changes: ((bits >> (index + 3)) & 1) === 1 },
      }));
      for (const [index, { changes }] of three.entries()) {
        let isFirst = true;
        hooks.on(`/h${index}`, () => {
          const isNow = changes && isFirst;
          isFirst = false;
          return isNow ? patching([{ op: 'add', path: `/data/h${index}`, value: 'x' }]) : { allowed: true };
        });
      }
      const given = three.map(({ again }, index) => ({
        ...{ path: `/h${index}`, reinvocationPolicy: again ? 'IfNeeded' : 'Never' },
      }));
      await configure('Mutating', 'w', ...given);
      hooks.clear();
      await make('x', {}, '?dryRun=All');
      await test.call('DELETE', `${base}/mutatingwebhookconfigurations/w`);
      expect([bits, hooks.calls.map(({ path }) => Number(path[2]))]).toEqual([bits, model(three)]);
    }
  });
});

describe('a lost race', () => {
  it('hooks are called again, with the object that somebody else left', async () => {
    await make('x');
    await configure('Validating', 'w', { path: '/race', rules: rule('UPDATE', '', 'configmaps') });
    let count = 0;
    const answer = (call: { readonly review: JsonObject }): JsonObject => ({
      ...{ uid: at(call.review, 'request.uid'), allowed: true },
    });
    hooks.on('/race', (call, response) => {
      const isFirst = at(call.review, 'request.object.data.mine') !== undefined && ++count === 1;
      const first = isFirst ? patch(`${maps}/x`, { data: { theirs: '1' } }) : Promise.resolve();
      void first.then(() => {
        const { apiVersion, kind } = call.review;
        response.writeHead(200).end(JSON.stringify({ apiVersion, kind, response: answer(call) }));
      });
    });
    const { status, json } = await patch(`${maps}/x`, { data: { mine: '1' } });
    expect([status, json['data']]).toEqual([200, { a: '1', mine: '1', theirs: '1' }]);
    expect(asked().map(({ oldObject }) => at(oldObject, 'data'))).toEqual([
      { a: '1' },
      { a: '1' },
      { a: '1', theirs: '1' },
    ]);
  });

  it('a hook that writes while we wait for it is served with one seat', async () => {
    const flowControl = { isFair: true, maxRequestsInflight: 0, maxMutatingRequestsInflight: 1 };
    await using small = await startTestServer({ flowControl });

    await small.make('/api/v1/namespaces', { metadata: { name: 'n' } });
    await small.make('/apis/rbac.authorization.k8s.io/v1/clusterrolebindings', {
      metadata: { name: 'bob' },
      roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: 'cluster-admin' },
      subjects: [{ apiGroup: 'rbac.authorization.k8s.io', kind: 'User', name: 'bob' }],
    });
    const bob = small.server.transport({ name: 'bob', groups: ['system:authenticated'] });
    const post = async (path: string, name: string): Promise<number> => {
      const headers = { 'content-type': 'application/json' };
      const body = Buffer.from(JSON.stringify({ metadata: { name } }));
      return (await bob.request({ method: 'POST', path, headers, body })).status;
    };
    hooks.on('/recursive', (call, response) => {
      const name = `by-${String(at(call.review, 'request.name'))}`;
      const { apiVersion, kind } = call.review;
      const done = post(`${ns}/secrets`, name);
      void done.then(() => {
        const said = { uid: at(call.review, 'request.uid'), allowed: true };
        response.writeHead(200).end(JSON.stringify({ apiVersion, kind, response: said }));
      });
    });
    const clientConfig = { url: `https://127.0.0.1:${hooks.port}/recursive`, caBundle: hooks.caBundle };
    await small.make(`${base}/validatingwebhookconfigurations`, {
      metadata: { name: 'w' },
      webhooks: [
        {
          ...{ name: 'h.example.com', clientConfig, rules: rule('*', '', 'configmaps'), sideEffects: 'None' },
          ...{ admissionReviewVersions: ['v1'], timeoutSeconds: 5 },
        },
      ],
    });
    const answers = await Promise.all(['a', 'b', 'c'].map((name) => post(maps, name)));
    expect(answers).toEqual([201, 201, 201]);
  });
});

describe('failures', () => {
  it.each<[string, (path: string) => void, { readonly isSlow: boolean }?]>([
    ['hangs', (path) => hooks.on(path, () => undefined), { isSlow: true }],
    ['crashes', (path) => hooks.on(path, (_call, response) => void response.socket?.destroy())],
    [
      'sends half',
      (path) =>
        hooks.on(path, (_call, response) => {
          response.writeHead(200, { 'content-length': '100' }).write('{');
          response.socket?.destroySoon();
        }),
    ],
    ['sends 10 MiB', (path) => hooks.on(path, () => `"${'x'.repeat(10 * 1024 * 1024)}"`)],
    [
      'sends for ever',
      (path) =>
        hooks.on(path, (_call, response) => {
          response.writeHead(200);
          response.write('{"a":"');
        }),
      { isSlow: true },
    ],
  ])(
    'a hook that %s: within its time, and others do not wait',
    async (_name, set, { isSlow } = { isSlow: false }) => {
      set('/bad');
      const bad = { path: '/bad', timeoutSeconds: 1, rules: rule('*', '', 'configmaps') };
      await configure('Validating', 'w', bad);
      const slow = Promise.all(Array.from({ length: 20 }, (_each, index) => make(`x${index}`)));
      const other = test.call('POST', `${ns}/secrets?dryRun=All`, { body: { metadata: { name: 's' } } });
      if (isSlow) expect(await Promise.race([slow, other])).toMatchObject({ status: 201 });
      expect((await other).status).toBe(201);
      expect((await slow).every(({ status }) => status === 500)).toBe(true);
      await test.call('DELETE', `${base}/validatingwebhookconfigurations/w`);
      await configure('Validating', 'w', { ...bad, failurePolicy: 'Ignore' });
      expect((await make('ignored')).status).toBe(201);
    },
  );

  it('a request that has less time than its hook ends in its own', async () => {
    hooks.on('/bad', () => undefined);
    await configure('Validating', 'w', { path: '/bad' });
    const { status, json } = await make('x', {}, '?timeout=1s');
    expect(status).toBe(500);
    expect(json['message']).toContain('/bad?timeout=1s": context deadline exceeded');
  });

  it('a kept connection that was closed costs nothing', async () => {
    await configure('Validating', 'w', {});
    expect((await make('x')).status).toBe(201);
    hooks.on('/close', (_call, response) => void response.writeHead(200, { connection: 'close' }).end());
    for (let round = 0; round < 20; round++) {
      hooks.disconnect();
      expect((await make(`y${round}`)).status).toBe(201);
    }
  });

  it('a dry run is refused where somebody may be told of it, whatever the policy', async () => {
    const stored = { name: 'h0.example.com', path: '/allow', failurePolicy: 'Ignore' };
    await configure('Validating', 'w', stored);
    // Old configurations may say so; nobody can write it any more.
    const key = `/registry/admissionregistration.k8s.io/validatingwebhookconfigurations/w`;
    const keys = [key, key.replace('admissionregistration.k8s.io/', '')];
    for (const each of keys) {
      const { values } = await test.server.store.range(each);
      const [value] = values;
      if (value === undefined) continue;
      const text = Buffer.from(value.value)
        .toString()
        .replace('"sideEffects":"None"', '"sideEffects":"Some"');
      await test.server.store.update(each, () => ({
        expect: [],
        ops: [{ op: 'put', key: each, value: Buffer.from(text) }],
      }));
    }
    const { status, json } = await make('x', {}, '?dryRun=All');
    expect([status, json['message']]).toEqual([
      400,
      'admission webhook "h0.example.com" does not support dry run',
    ]);
    expect((await make('x')).status).toBe(201);
  });
});

describe('conditions', () => {
  it('see the request and its objects, and may ask what who asks may do', async () => {
    const matchConditions = [
      {
        name: 'who',
        expression: "request.userInfo.username == 'tester' && request.resource.resource == 'configmaps'",
      },
      {
        name: 'may',
        expression: "authorizer.group('').resource('secrets').namespace('n').check('create').allowed()",
      },
      { name: 'own', expression: "authorizer.requestResource.check('delete').allowed()" },
      { name: 'old', expression: "oldObject == null && object.data.a == '1'" },
    ];
    await configure('Validating', 'w', { path: '/deny', matchConditions });
    expect((await make('x')).status).toBe(400);
    const { text } = await test.call('GET', '/metrics');
    expect(text).not.toContain(
      'apiserver_admission_match_condition_exclusions_total{kind="webhook",name="h0',
    );
  });
});

describe('what is told of hooks', () => {
  it('metrics', async () => {
    await configure('Validating', 'w', { name: 'metered.example.com', path: '/deny' });
    await make('x');
    await test.call('DELETE', `${base}/validatingwebhookconfigurations/w`);
    await configure('Validating', 'w', {
      name: 'metered.example.com',
      path: '/e500',
      failurePolicy: 'Ignore',
    });
    await make('x');
    const { text } = await test.call('GET', '/metrics');
    for (const line of [
      'apiserver_admission_webhook_rejection_count{error_type="no_error",name="metered.example.com",operation="CREATE",rejection_code="400",type="validating"} 1',
      'apiserver_admission_webhook_fail_open_count{name="metered.example.com",type="validating"} 1',
      'apiserver_admission_webhook_request_total{code="400",name="metered.example.com",operation="CREATE",rejected="true",type="validating"} 1',
      'apiserver_admission_webhook_request_total{code="500",name="metered.example.com",operation="CREATE",rejected="false",type="validating"} 1',
      'apiserver_admission_webhook_admission_duration_seconds_count{name="metered.example.com",operation="CREATE",rejected="true",type="validating"} 1',
      'apiserver_admission_controller_admission_duration_seconds_count{name="ValidatingAdmissionWebhook",operation="CREATE",rejected="true",type="validate"}',
      'apiserver_admission_controller_admission_duration_seconds_count{name="NamespaceLifecycle",operation="CREATE",rejected="false",type="admit"}',
      'apiserver_admission_step_admission_duration_seconds_count{operation="CREATE",rejected="true",type="validate"}',
      'apiserver_admission_step_admission_duration_seconds_count{operation="CREATE",rejected="false",type="admit"}',
    ])
      expect(text).toContain(line);
  });

  it('an expression that does not compile is refused', async () => {
    const { status, json } = await test.call('POST', `${base}/validatingwebhookconfigurations`, {
      body: {
        metadata: { name: 'w' },
        webhooks: [
          {
            ...{ name: 'h.example.com', sideEffects: 'None', admissionReviewVersions: ['v1'] },
            ...{ clientConfig: { url: 'https://127.0.0.1/x' }, rules: allRules },
            matchConditions: [{ name: '', expression: 'foo' }],
          },
        ],
      },
    });
    expect([status, json['message']]).toEqual([
      422,
      'ValidatingWebhookConfiguration.admissionregistration.k8s.io "w" is invalid: [webhooks[0].matchConditions[0].expression: Invalid value: "foo": compilation failed: ERROR: <input>:1:1: undeclared reference to \'foo\' (in container \'\')\n | foo\n | ^, webhooks[0].matchConditions[0].name: Required value]',
    ]);
  });
});

it('objects of custom kinds are changed, pruned and defaulted as a body would be', async () => {
  const text = { type: 'string' };
  const data = { type: 'object', properties: { a: text, b: text, c: { ...text, default: 'd' } } };
  const schema = { type: 'object', properties: { data } };
  await test.make(definitionsPath, definitionOf('changed', 'Changed', { schema }));
  hooks.on('/change', () =>
    patching([
      { op: 'add', path: '/data/b', value: 'x' },
      { op: 'add', path: '/data/unknown', value: 'x' },
    ]),
  );
  await configure('Mutating', 'w', { path: '/change', rules: rule('*', '*', '*') });
  const of = { apiVersion: 'crd.example.com/v1', kind: 'Changed' };
  const body = { ...of, metadata: { name: 'c' }, data: { a: '1' } };
  const { status, json } = await test.call('POST', '/apis/crd.example.com/v1/namespaces/n/changed', { body });
  expect([status, json['data']]).toEqual([201, { a: '1', b: 'x', c: 'd' }]);
});
