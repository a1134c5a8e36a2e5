import { connect, type ClientHttp2Session } from 'node:http2';
import https from 'node:https';
import { gunzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { at } from '#api/wire/json.ts';
import { parseKubeconfig } from '#client/kubeconfig.ts';
import { deploymentNamed, startTestServer, type Json, type TestServer } from './test-server.fixture.ts';

/*
 * The rules that break a client when missed, over the wire (WIRE.md section 1). Rule 8, streams, is tested in nodes/; rules 15 and 17
 * are uses of what others test here.
 */
const ns = '/api/v1/namespaces/default';
const table =
  'application/json;as=Table;v=v1;g=meta.k8s.io,application/json;as=Table;v=v1beta1;g=meta.k8s.io,application/json';
const partial = 'application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1';
const partialList = 'application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1';

interface Reply {
  readonly status: number;
  readonly headers: Readonly<Record<string, unknown>>;
  readonly bytes: Buffer;
  readonly json: Json;
}

/** ConfigMap `pb` with data k=v, as kubectl 1.32 sends it, and an unknown field 15 in its metadata. */
function protobufConfigMap(name: string): Buffer {
  const field = (number: number, bytes: Buffer): Buffer =>
    Buffer.concat([Buffer.from([(number << 3) | 2, bytes.length]), bytes]);
  const text = (number: number, value: string): Buffer => field(number, Buffer.from(value));
  const entry = field(2, Buffer.concat([text(1, 'k'), text(2, 'v')]));
  const object = Buffer.concat([field(1, Buffer.concat([text(1, name), text(15, 'cluster')])), entry]);
  const typeMeta = Buffer.concat([text(1, 'v1'), text(2, 'ConfigMap')]);
  return Buffer.concat([Buffer.from('k8s\0'), field(1, typeMeta), field(2, object)]);
}

describe('startApiServer(): the rules of the wire', () => {
  let test: TestServer;
  let session: ClientHttp2Session;
  let tls: { readonly ca: string; readonly cert: string; readonly key: string };

  const send = async (
    method: string,
    path: string,
    body?: string | Buffer,
    headers: object = {},
  ): Promise<Reply> => {
    const stream = session.request({ ':method': method, ':path': path, ...headers });
    stream.end(body);
    const chunks: Buffer[] = [];
    let answer: Record<string, unknown> = {};
    stream.on('response', (received) => (answer = { ...received }));
    for await (const chunk of stream) chunks.push(chunk);
    const bytes = Buffer.concat(chunks);
    const isOneJson =
      String(answer['content-type']).startsWith('application/json') &&
      answer['content-encoding'] === undefined &&
      !path.includes('watch=');
    return {
      status: Number(answer[':status']),
      headers: answer,
      bytes,
      json: isOneJson && bytes.length > 0 ? JSON.parse(bytes.toString()) : undefined,
    };
  };

  beforeAll(async () => {
    test = await startTestServer();
    const url = `https://127.0.0.1:${test.server.ports[0]}`;
    const access = parseKubeconfig(test.server.adminKubeconfig(url), { directory: '/' });
    const inline = (source: typeof access.ca): string => (source.kind === 'inline' ? source.text : '');
    tls = { ca: inline(access.ca), cert: inline(access.clientCert), key: inline(access.clientKey) };
    session = connect(url, tls);
    await test.make(`${ns}/serviceaccounts`, { metadata: { name: 'default' } });
    await test.make(`${ns}/configmaps`, { metadata: { name: 'a', labels: { k: 'v' } }, data: { x: 'y' } });
    await test.make('/apis/apps/v1/namespaces/default/deployments', deploymentNamed('web'));
  });
  afterAll(async () => {
    session.destroy();
    await test[Symbol.asyncDispose]();
  });

  it('1 and 13: decodes protobuf bodies, and skips fields that it does not know', async () => {
    const reply = await send('POST', `${ns}/configmaps`, protobufConfigMap('pb'), {
      'content-type': 'application/vnd.kubernetes.protobuf',
    });
    expect(reply.status).toBe(201);
    expect(reply.json).toMatchObject({ kind: 'ConfigMap', metadata: { name: 'pb' }, data: { k: 'v' } });
  });

  it('2: answers JSON to whoever would rather have protobuf', async () => {
    for (const accept of [
      'application/vnd.kubernetes.protobuf,application/json',
      'application/vnd.kubernetes.protobuf, */*',
    ]) {
      const reply = await send('GET', `${ns}/configmaps`, undefined, { accept });
      expect(reply.headers['content-type']).toBe('application/json');
      expect(reply.json['kind']).toBe('ConfigMapList');
    }
  });

  it('3: sends what is there, then a bookmark that says so', async () => {
    const query =
      'watch=true&allowWatchBookmarks=true&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&timeoutSeconds=1';
    const reply = await send('GET', `${ns}/configmaps?${query}&fieldSelector=metadata.name%3Da`);
    const lines = reply.bytes
      .toString()
      .trim()
      .split('\n')
      .map((line): Json => JSON.parse(line));
    expect(lines.map((line) => line['type'])).toEqual(['ADDED', 'BOOKMARK', 'BOOKMARK']);
    expect(lines[1]?.['object']).toMatchObject({
      kind: 'ConfigMap',
      apiVersion: 'v1',
      metadata: { annotations: { 'k8s.io/initial-events-end': 'true' } },
    });
  });

  it('4: serves Table for GET and LIST', async () => {
    for (const path of [`${ns}/configmaps`, `${ns}/configmaps/a`]) {
      const { json } = await send('GET', path, undefined, { accept: table });
      expect(json).toMatchObject({ kind: 'Table', apiVersion: 'meta.k8s.io/v1' });
      expect(json['columnDefinitions']).toMatchObject([{ name: 'Name' }, { name: 'Data' }, { name: 'Age' }]);
      expect(json['rows']).toMatchObject({
        0: {
          cells: ['a', 1, expect.any(String)],
          object: { kind: 'PartialObjectMetadata', metadata: { name: 'a' } },
        },
      });
    }
  });

  it('5: serves PartialObjectMetadata for GET, LIST and WATCH', async () => {
    const one = await send('GET', `${ns}/configmaps/a`, undefined, { accept: partial });
    expect(one.json).toMatchObject({ kind: 'PartialObjectMetadata', metadata: { labels: { k: 'v' } } });
    expect(one.json['data']).toBeUndefined();
    const list = await send('GET', `${ns}/configmaps`, undefined, { accept: partialList });
    expect(list.json).toMatchObject({
      kind: 'PartialObjectMetadataList',
      items: { 0: { kind: 'PartialObjectMetadata' } },
    });
    const watch = await send('GET', `${ns}/configmaps?watch=1&timeoutSeconds=1`, undefined, {
      accept: partial,
    });
    expect(JSON.parse(watch.bytes.toString().split('\n')[0] ?? '')).toMatchObject({
      type: 'ADDED',
      object: { kind: 'PartialObjectMetadata' },
    });
  });

  it('6: serves OpenAPI v3, and v2 as protobuf', async () => {
    const index = await send('GET', '/openapi/v3');
    const relative = String(index.json['paths']?.['apis/apps/v1']?.['serverRelativeURL']);
    const document = await send('GET', relative);
    const patch =
      document.json['paths']?.['/apis/apps/v1/namespaces/{namespace}/deployments/{name}']?.['patch'];
    expect(patch?.['x-kubernetes-group-version-kind']).toMatchObject({ group: 'apps', kind: 'Deployment' });
    expect(JSON.stringify(patch)).toContain('fieldValidation');
    expect(patch?.['requestBody']?.['content']).toHaveProperty('application/strategic-merge-patch+json');
    const accept = 'application/com.github.proto-openapi.spec.v2@v1.0+protobuf';
    const v2 = await send('GET', '/openapi/v2', undefined, { accept });
    expect(v2.headers['content-type']).toBe('application/com.github.proto-openapi.spec.v2.v1.0+protobuf');
    expect(v2.bytes.length).toBeGreaterThan(10_000);
    const packed = { accept, 'accept-encoding': 'gzip' };
    for (const [target, plain] of [
      [relative, document],
      ['/openapi/v2', v2],
    ] as const) {
      const reply = await send('GET', target, undefined, packed);
      expect(reply.headers).toMatchObject({
        'content-encoding': 'gzip',
        vary: 'Accept, Accept-Encoding',
        'content-type': plain.headers['content-type'],
      });
      expect(gunzipSync(reply.bytes)).toEqual(plain.bytes);
    }
  });

  it('7: serves aggregated and classic discovery', async () => {
    const accept = 'application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,application/json';
    const aggregated = await send('GET', '/apis', undefined, { accept });
    expect(aggregated.headers['content-type']).toBe(
      'application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList',
    );
    const again = await send('GET', '/apis', undefined, {
      accept,
      'if-none-match': String(aggregated.headers['etag']),
    });
    expect(again.status).toBe(304);
    expect((await send('GET', '/apis')).json['kind']).toBe('APIGroupList');
    expect((await send('GET', '/api')).json).toMatchObject({ kind: 'APIVersions', versions: ['v1'] });
    expect((await send('GET', '/apis/apps')).json['kind']).toBe('APIGroup');
    expect((await send('GET', '/api/v1')).json['kind']).toBe('APIResourceList');
  });

  it('9: reads a body without Content-Type as JSON, and changes nothing for an empty patch', async () => {
    const path = '/apis/apps/v1/namespaces/default/deployments/web/scale';
    const scale = (await send('GET', path)).json;
    const put = await send('PUT', path, JSON.stringify({ ...scale, spec: { replicas: 2 } }));
    expect(put).toMatchObject({ status: 200, json: { kind: 'Scale', spec: { replicas: 2 } } });
    const below = await send('PUT', path, JSON.stringify({ ...scale, spec: { replicas: -1 } }));
    expect(below.json['message']).toBe(
      'Scale.autoscaling "web" is invalid: spec.replicas: Invalid value: -1: must be greater than or equal to 0',
    );
    const before = (await send('GET', `${ns}/configmaps/a`)).json;
    const type = { 'content-type': 'application/strategic-merge-patch+json' };
    const patched = await send('PATCH', `${ns}/configmaps/a`, '{}', type);
    expect(patched).toMatchObject({ status: 200, json: before });
  });

  it('11: answers a deletion with a Status that has the uid, or with the object that stays', async () => {
    await test.make(`${ns}/configmaps`, { metadata: { name: 'gone' } });
    const gone = await send('DELETE', `${ns}/configmaps/gone`);
    expect(gone.json).toEqual({
      kind: 'Status',
      apiVersion: 'v1',
      metadata: {},
      status: 'Success',
      details: { name: 'gone', kind: 'configmaps', uid: expect.any(String) },
    });
    await test.make(`${ns}/configmaps`, { metadata: { name: 'stays', finalizers: ['a.b/c'] } });
    const stays = await send('DELETE', `${ns}/configmaps/stays`);
    expect(stays.json).toMatchObject({
      kind: 'ConfigMap',
      metadata: { deletionTimestamp: expect.any(String) },
    });
    const type = { 'content-type': 'application/merge-patch+json' };
    expect(
      (await send('PATCH', `${ns}/configmaps/stays`, '{"metadata":{"finalizers":null}}', type)).json['kind'],
    ).toBe('ConfigMap');
    expect((await send('GET', `${ns}/configmaps/stays`)).status).toBe(404);
  });

  it('12: selects by metadata.name everywhere, and pods by spec.nodeName', async () => {
    const { json } = await send('GET', '/api/v1/configmaps?fieldSelector=metadata.name%3Da');
    expect(json['items']).toMatchObject([{ metadata: { name: 'a' } }]);
    await test.make(`${ns}/pods`, {
      metadata: { name: 'p' },
      spec: { nodeName: 'n1', containers: [{ name: 'c', image: 'i' }] },
    });
    const names = async (selector: string): Promise<unknown> => {
      const list = (await send('GET', `/api/v1/pods?fieldSelector=${encodeURIComponent(selector)}`)).json[
        'items'
      ];
      return Array.isArray(list) ? list.length : undefined;
    };
    expect(await names('spec.nodeName=n1')).toBe(1);
    expect(await names('spec.nodeName=n2')).toBe(0);
    expect(await names('spec.nodeName!=n2,status.phase!=Failed')).toBe(1);
  });

  it('13: ignores query parameters that it does not know', async () => {
    expect((await send('GET', `${ns}/configmaps/a?timeout=7m38s&foo=bar`)).status).toBe(200);
  });

  it('14: serves HTTP/1.1 on the same port', async () => {
    const { promise, resolve, reject } = Promise.withResolvers<number | undefined>();
    https
      .get(
        { host: '127.0.0.1', port: test.server.ports[0], path: `${ns}/configmaps/a`, ...tls, agent: false },
        (response) => {
          response.resume();
          resolve(response.statusCode);
        },
      )
      .on('error', reject);
    expect(await promise).toBe(200);
  });

  it('16: has the config map that components read their authentication from', async () => {
    const { json } = await send(
      'GET',
      '/api/v1/namespaces/kube-system/configmaps/extension-apiserver-authentication',
    );
    expect(json['data']).toMatchObject({ 'client-ca-file': expect.stringContaining('BEGIN CERTIFICATE') });
  });

  it('compresses a large list for whoever takes gzip', async () => {
    await test.make(`${ns}/configmaps`, { metadata: { name: 'big' }, data: { k: 'x'.repeat(200_000) } });
    const reply = await send('GET', `${ns}/configmaps`, undefined, { 'accept-encoding': 'gzip' });
    expect(reply.headers).toMatchObject({ 'content-encoding': 'gzip', vary: 'Accept-Encoding' });
    expect(JSON.parse(gunzipSync(reply.bytes).toString())).toMatchObject({ kind: 'ConfigMapList' });
  });

  it('writes texts as Go does, byte by byte, in every answer', async () => {
    const list = '/apis/apps/v1/namespaces/default/controllerrevisions';
    const { metadata } = await test.make(list, {
      metadata: { name: 'signs', annotations: { say: 'a & b' } },
      data: { spec: { template: { $patch: 'replace', args: ['<a>\u2028'] } } },
      revision: 1,
    });
    const data = String.raw`"data":{"spec":{"template":{"$patch":"replace","args":["\u003ca\u003e\u2028"]}}}`;
    const since = Number(at(metadata, 'resourceVersion')) - 1;
    const table = 'application/json;as=Table;g=meta.k8s.io;v=v1';
    for (const [target, accept] of [
      [list, 'application/json'],
      [`${list}/signs`, 'application/json'],
      [`${list}?watch=1&timeoutSeconds=1&resourceVersion=${since}`, 'application/json'],
      [`${list}?includeObject=Object`, table],
      [`${list}/signs?includeObject=Object`, table],
    ] as const) {
      const text = (await send('GET', target, undefined, { accept })).bytes.toString();
      expect(text, target).toContain(data);
      expect(text, target).toContain(String.raw`"say":"a \u0026 b"`);
    }
    const status = await send('GET', `${ns}/configmaps/${encodeURIComponent('<b>')}`);
    expect(status.bytes.toString()).toContain(String.raw`\u003cb\u003e`);
    const yaml = await send('GET', `${list}/signs`, undefined, { accept: 'application/yaml' });
    expect(yaml.bytes.toString()).toContain('say: a & b');
  });

  it('refuses a body beyond 3 MiB', async () => {
    const body = JSON.stringify({ metadata: { name: 'huge' }, data: { k: 'x'.repeat(3_200_000) } });
    expect(await send('POST', `${ns}/configmaps`, body)).toMatchObject({
      status: 413,
      json: { reason: 'RequestEntityTooLarge' },
    });
  });

  it('tells its health, check by check when asked', async () => {
    const text = async (path: string): Promise<unknown> => {
      const { status, bytes } = await send('GET', path);
      return [status, bytes.toString()];
    };
    expect(await text('/readyz')).toEqual([200, 'ok']);
    expect(await text('/readyz/ping/')).toEqual([200, 'ok']);
    expect(await text('/readyz/nothing')).toEqual([404, '404 page not found\n']);
    const verbose = (await send('GET', '/readyz?verbose&exclude=etcd')).bytes.toString();
    expect(verbose).toContain('[+]ping ok\n[+]log ok\n[+]etcd excluded: ok\n[+]store-integrity ok\n');
    expect(verbose).toMatch(/\[\+\]shutdown ok\nreadyz check passed\n$/);
  });

  it('is profiled by administrators alone, and tells nobody of it at /', async () => {
    const profile = await send('GET', '/debug/pprof/profile?seconds=0.1');
    expect(profile).toMatchObject({
      status: 200,
      headers: {
        'content-type': 'application/octet-stream',
        'content-disposition': 'attachment; filename="profile"',
      },
    });
    expect(gunzipSync(profile.bytes).length).toBeGreaterThan(50);
    expect((await send('GET', '/debug/pprof')).bytes.toString()).toContain('go tool pprof');
    expect((await send('GET', '/debug/pprof/nothing')).status).toBe(404);
    const asAlice = { 'impersonate-user': 'alice', 'impersonate-group': 'system:authenticated' };
    expect((await send('GET', '/debug/pprof/profile', undefined, asAlice)).status).toBe(403);
    expect((await send('GET', '/')).bytes.toString()).not.toContain('/debug');
  });

  it('shows the components as a Table, a list and one by one', async () => {
    const path = '/api/v1/componentstatuses';
    const list = await send('GET', path, undefined, { accept: table });
    expect(list.json).toMatchObject({
      kind: 'Table',
      columnDefinitions: ['Name', 'Status', 'Message', 'Error'].map((name) => ({ name })),
      rows: ['scheduler', 'controller-manager', 'etcd-0'].map((name) => ({
        cells: [name, 'Healthy', 'ok', ''],
        object: { kind: 'PartialObjectMetadata', metadata: { name } },
      })),
    });
    const one = await send('GET', `${path}/etcd-0`, undefined, { accept: table });
    expect(one.json['rows']).toMatchObject([{ cells: ['etcd-0', 'Healthy', 'ok', ''] }]);
    const names = await send('GET', path, undefined, { accept: partialList });
    expect(names.json).toMatchObject({
      kind: 'PartialObjectMetadataList',
      items: [{ kind: 'PartialObjectMetadata' }, {}, {}],
    });
    expect((await send('GET', path)).json).toMatchObject({ kind: 'ComponentStatusList' });
    expect((await send('GET', `${path}/nobody`)).status).toBe(404);
  });

  it('takes each Impersonate-Group as one, whatever is in it', async () => {
    const reply = await send('POST', '/apis/authentication.k8s.io/v1/selfsubjectreviews', '{}', {
      'impersonate-user': 'eve',
      'impersonate-group': ['a,b', 'c, d'],
      'impersonate-extra-scopes%2fx': ['v, w', 'x'],
    });
    expect(reply.json['status']?.['userInfo']).toEqual({
      username: 'eve',
      groups: ['a,b', 'c, d', 'system:authenticated'],
      extra: { 'scopes/x': ['v, w', 'x'] },
    });
  });

  it('knows a certificate, a service account token and nobody', async () => {
    const review = '/apis/authentication.k8s.io/v1/selfsubjectreviews';
    expect((await send('POST', review, '{}')).json['status']?.['userInfo']).toMatchObject({
      username: 'kubernetes-admin',
      groups: ['system:masters', 'system:authenticated'],
    });
    const token = await send('POST', `${ns}/serviceaccounts/default/token`, '{}');
    const stranger = connect(`https://127.0.0.1:${test.server.ports[0]}`, { ca: tls.ca });
    const admin = session;
    session = stranger;
    const authorization = `Bearer ${String(token.json['status']?.['token'])}`;
    const byToken = await send('POST', review, '{}', { authorization });
    const byBadToken = await send('GET', '/api/v1/pods', undefined, { authorization: 'Bearer nope' });
    const byNobody = await send('GET', '/api/v1/pods');
    const health = await send('GET', '/healthz');
    session = admin;
    stranger.destroy();
    expect(byToken.json['status']?.['userInfo']).toMatchObject({
      username: 'system:serviceaccount:default:default',
    });
    expect(byBadToken).toMatchObject({
      status: 401,
      json: { message: 'Unauthorized', reason: 'Unauthorized', code: 401 },
    });
    expect(byNobody.json['message']).toBe(
      'pods is forbidden: User "system:anonymous" cannot list resource "pods" in API group "" at the cluster scope',
    );
    expect(health.bytes.toString()).toBe('ok');
  });
});
