import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { at, objectsOf } from '#api/wire/json.ts';
import {
  podNamed,
  startTestServer,
  type Answer,
  type Json,
  type TestServer,
} from '#control-plane/apiserver/test-server.fixture.ts';

const cms = '/api/v1/namespaces/default/configmaps';
const pods = '/api/v1/namespaces/default/pods';
const apply = { 'content-type': 'application/apply-patch+yaml' };
const merge = { 'content-type': 'application/merge-patch+json' };

describe('an application', () => {
  let test: TestServer;
  beforeAll(async () => {
    test = await startTestServer();
    await test.make('/api/v1/namespaces/default/serviceaccounts', { metadata: { name: 'default' } });
  });
  afterAll(() => test[Symbol.asyncDispose]());

  const send = (path: string, body: unknown, manager = 'me', more = ''): Promise<Answer> =>
    test.call('PATCH', `${path}?fieldManager=${manager}${more}`, { body, headers: apply });
  const config = (name: string, data: object): object => ({
    apiVersion: 'v1',
    kind: 'ConfigMap',
    metadata: { name },
    data,
  });
  const owners = (object: Json): ReadonlyMap<string, unknown> =>
    new Map(
      objectsOf(at(object, 'metadata.managedFields')).map(({ manager, operation, subresource, fieldsV1 }) => [
        [manager, operation, subresource].filter((part) => part !== undefined).join(' '),
        fieldsV1,
      ]),
    );

  it('by many at once makes one object, which has what all of them want', async () => {
    const answers = await Promise.all(
      Array.from({ length: 20 }, (_item, index) =>
        send(`${cms}/many`, config('many', { [`k${index}`]: 'v' }), `m${index}`),
      ),
    );
    expect(answers.filter(({ status }) => status === 201)).toHaveLength(1);
    expect(answers.filter(({ status }) => status === 200)).toHaveLength(19);
    const { json } = await test.call('GET', `${cms}/many`);
    expect(Object.keys(json['data'] ?? {})).toHaveLength(20);
    expect(owners(json).size).toBe(20);
  });

  it('finds its way while others make and delete the object', async () => {
    const churn = async (): Promise<void> => {
      for (let round = 0; round < 20; round++) await test.call('DELETE', `${cms}/churned`);
    };
    const applying = async (): Promise<readonly number[]> => {
      const statuses: number[] = [];
      for (let round = 0; round < 20; round++)
        statuses.push((await send(`${cms}/churned`, config('churned', { a: String(round) }))).status);
      return statuses;
    };
    const [statuses] = await Promise.all([applying(), churn()]);
    expect(statuses.filter((status) => status !== 200 && status !== 201)).toEqual([]);
  });

  it('that names a version makes an object that is not there, as an update does in the store', async () => {
    const metadata = { name: 'read-before', resourceVersion: '7' };
    const made = await send(`${cms}/read-before`, { ...config('read-before', { a: '1' }), metadata });
    expect(made.status).toBe(201);
    expect(
      (await send(`${cms}/read-before`, { ...config('read-before', { a: '2' }), metadata })).status,
    ).toBe(409);
  });

  it('that makes an object takes the right to create one', async () => {
    const role = { apiVersion: 'rbac.authorization.k8s.io/v1', kind: 'Role', metadata: { name: 'patcher' } };
    const rules = [{ apiGroups: [''], resources: ['configmaps'], verbs: ['patch'] }];
    const rbac = '/apis/rbac.authorization.k8s.io/v1/namespaces/default';
    await test.make(`${rbac}/roles`, { ...role, rules });
    await test.make(`${rbac}/rolebindings`, {
      metadata: { name: 'patcher' },
      roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'Role', name: 'patcher' },
      subjects: [{ kind: 'User', name: 'pat' }],
    });
    const transport = test.server.transport({ name: 'pat', groups: ['system:authenticated'] });
    const asPat = async (name: string): Promise<number> => {
      const body = Buffer.from(JSON.stringify(config(name, { p: '1' })));
      const path = `${cms}/${name}?fieldManager=pat`;
      return (await transport.request({ method: 'PATCH', path, headers: apply, body })).status;
    };
    expect(await asPat('of-pat')).toBe(403);
    await test.make(cms, config('of-pat', {}));
    expect(await asPat('of-pat')).toBe(200);
  });

  it('and every other write leave what admission and the server add to nobody', async () => {
    const made = await test.make(
      `${pods}?fieldManager=maker`,
      podNamed('plain', { metadata: { name: 'plain' } }),
    );
    expect(at(made, 'spec.serviceAccountName')).toBe('default');
    const spec = at(owners(made).get('maker Update'), 'f:spec') as Json;
    expect(Object.keys(spec)).not.toContain('f:serviceAccountName');
    expect(Object.keys(spec)).not.toContain('f:tolerations');
    expect(Object.keys(spec)).not.toContain('f:priority');
    expect(owners(made).size).toBe(1);
    const binding = { metadata: { name: 'plain' }, target: { kind: 'Node', name: 'n' } };
    await test.call('POST', `${pods}/plain/binding?fieldManager=binder`, { body: binding });
    const { json } = await test.call('GET', `${pods}/plain`);
    expect(at(json, 'spec.nodeName')).toBe('n');
    expect([...owners(json).keys()]).toEqual(['maker Update']);
  });

  it('of a part owns of that part', async () => {
    const container = { name: 'c', image: 'i', resources: { requests: { cpu: '1m' } } };
    await test.make(pods, { metadata: { name: 'parts' }, spec: { containers: [container] } });
    const resize = { spec: { containers: [{ name: 'c', resources: { requests: { cpu: '5m' } } }] } };
    const label = { metadata: { labels: { a: 'b' } } };
    const part = (name: string, body: object): Promise<Answer> =>
      test.call('PATCH', `${pods}/parts/${name}?fieldManager=of-${name}`, {
        body,
        headers: { 'content-type': 'application/strategic-merge-patch+json' },
      });
    await part('resize', { ...resize, ...label });
    await part('status', { ...resize, status: { podIP: '1.2.3.4' } });
    const ephemeral = { ephemeralContainers: [{ name: 'e', image: 'i' }] };
    await part('ephemeralcontainers', { ...label, spec: ephemeral });
    const found = owners((await test.call('GET', `${pods}/parts`)).json);
    expect(found.get('of-resize Update resize')).toEqual({
      'f:spec': {
        'f:containers': { 'k:{"name":"c"}': { 'f:resources': { 'f:requests': { 'f:cpu': {} } } } },
      },
    });
    const ips = { '.': {}, 'k:{"ip":"1.2.3.4"}': { '.': {}, 'f:ip': {} } };
    expect(found.get('of-status Update status')).toEqual({
      'f:status': { 'f:podIP': {}, 'f:podIPs': ips },
    });
    expect(
      Object.keys(
        (at(found.get('of-ephemeralcontainers Update ephemeralcontainers'), 'f:spec') ?? {}) as Json,
      ),
    ).toEqual(['f:ephemeralContainers']);
  });

  it('is told in the other version of a kind what it is there', async () => {
    const hpas = 'namespaces/default/horizontalpodautoscalers';
    const spec = { maxReplicas: 3, scaleTargetRef: { kind: 'Deployment', name: 'd', apiVersion: 'apps/v1' } };
    await test.make(`/apis/autoscaling/v2/${hpas}?fieldManager=old`, { metadata: { name: 'h' }, spec });
    const path = `/apis/autoscaling/v1/${hpas}/h?fieldManager=new`;
    await test.call('PATCH', path, { body: { spec: { maxReplicas: 4 } }, headers: merge });
    const { json } = await test.call('GET', `/apis/autoscaling/v2/${hpas}/h`);
    expect(owners(json).get('new Update')).toEqual({ 'f:spec': { 'f:maxReplicas': {} } });
    expect(owners(json).get('old Update')).not.toHaveProperty(['f:spec', 'f:maxReplicas']);
    expect(owners(json).get('old Update')).toHaveProperty(['f:spec', 'f:scaleTargetRef', 'f:name']);
    const versions = objectsOf(at(json, 'metadata.managedFields')).map(({ apiVersion }) => apiVersion);
    expect(versions.toSorted()).toEqual(['autoscaling/v1', 'autoscaling/v2']);
  });

  it('keeps owners through a finalizer’s going, and shows none in a Table', async () => {
    await test.make(cms, {
      ...config('held', { a: 'b' }),
      metadata: { name: 'held', finalizers: ['a.b/c'] },
    });
    await test.call('DELETE', `${cms}/held`);
    const { json } = await test.call('GET', `${cms}/held`);
    expect(owners(json).size).toBe(1);
    const accept = 'application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io';
    const partial = await test.call('GET', `${cms}/held`, { headers: { accept } });
    expect(owners(partial.json)).toEqual(owners(json));
  });
});
