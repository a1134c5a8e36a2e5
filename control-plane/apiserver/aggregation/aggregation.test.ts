import { connect } from 'node:tls';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { widgets } from '#api/schema/widget.fixture.ts';
import { at, objectsOf } from '#api/wire/json.ts';
import {
  startTestServer,
  wholeBody,
  type Answer,
  type TestServer,
} from '#control-plane/apiserver/test-server.fixture.ts';
import { startExtensionServer, type ExtensionServer } from './extension-server.fixture.ts';

const services = '/apis/apiregistration.k8s.io/v1/apiservices';
const root = '/apis/wardle.example.com/v1';
const list = `${root}/namespaces/n/flunders`;
const name = 'v1.wardle.example.com';

let test: TestServer;
let extension: ExtensionServer;
beforeAll(async () => {
  extension = await startExtensionServer();
  test = await startTestServer({ mayDial: () => true });
  const map = await test.call(
    'GET',
    '/api/v1/namespaces/kube-system/configmaps/extension-apiserver-authentication',
  );
  extension.believe(String(map.json['data']?.['requestheader-client-ca-file']));
  await test.make('/api/v1/namespaces', { metadata: { name: 'wardle' } });
}, 180_000);
afterAll(async () => {
  await test[Symbol.asyncDispose]();
  await extension[Symbol.asyncDispose]();
});

/** The condition Available of the APIService, once it is as wanted. */
async function available(status: string, reason: string): Promise<string> {
  let message = '';
  await vi.waitFor(
    async () => {
      const { json } = await test.call('GET', `${services}/${name}`);
      const [condition] = objectsOf(at(json, 'status.conditions'));
      expect([condition?.['status'], condition?.['reason']]).toEqual([status, reason]);
      message = String(condition?.['message']);
    },
    { timeout: 15_000, interval: 100 },
  );
  return message;
}

function apiService(): object {
  return {
    metadata: { name },
    spec: {
      ...{ group: 'wardle.example.com', version: 'v1', groupPriorityMinimum: 1000, versionPriority: 15 },
      ...{ service: { namespace: 'wardle', name: 'ext' }, caBundle: extension.caBundle },
    },
  };
}

async function endpoints(): Promise<void> {
  await test.make('/apis/discovery.k8s.io/v1/namespaces/wardle/endpointslices', {
    metadata: { name: 'ext', labels: { 'kubernetes.io/service-name': 'ext' } },
    ...{
      addressType: 'IPv4',
      ports: [{ name: '', port: extension.port }],
      endpoints: [{ addresses: ['192.0.2.9'] }],
    },
  });
  // No client may name this host: it is written past the server.
  const key = '/registry/endpointslices/wardle/ext';
  await test.server.store.update(key, (current) => {
    const text = Buffer.from(current?.value ?? []).toString();
    return {
      expect: [],
      ops: [{ op: 'put', key, value: Buffer.from(text.replace('192.0.2.9', '127.0.0.1')) }],
    };
  });
}

describe('an APIService', { timeout: 180_000 }, () => {
  it('says step by step what is missing', async () => {
    await test.make(services, apiService());
    expect(await available('False', 'ServiceNotFound')).toBe('service/ext in "wardle" is not present');
    expect(await test.call('GET', list)).toMatchObject({ status: 503, text: 'service unavailable\n' });
    const service = '/api/v1/namespaces/wardle/services';
    await test.make(service, { metadata: { name: 'ext' }, spec: { ports: [{ port: 80 }] } });
    expect(await available('False', 'ServicePortError')).toBe(
      'service/ext in "wardle" is not listening on port 443',
    );
    const body = { spec: { ports: [{ port: 443 }] } };
    await test.call('PATCH', `${service}/ext`, {
      body,
      headers: { 'content-type': 'application/merge-patch+json' },
    });
    expect(await available('False', 'EndpointsNotFound')).toBe(
      'cannot find endpointslices for service/ext in "wardle"',
    );
    extension.isDown = true;
    await endpoints();
    expect(await available('False', 'FailedDiscoveryCheck')).toMatch(
      /^failing or missing response from https:\/\/127\.0\.0\.1:\d+\/apis\/wardle\.example\.com\/v1: bad status from https:.*: 500$/,
    );
    const stale = await test.call('GET', '/apis', {
      headers: { accept: 'application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList' },
    });
    expect(objectsOf(stale.json['items']).at(-1)).toEqual({
      ...{ metadata: { name: 'wardle.example.com' }, versions: [{ version: 'v1', freshness: 'Stale' }] },
    });
    extension.isDown = false;
    expect(await available('True', 'Passed')).toBe('all checks passed');
  });

  it('asks the server as the aggregator', () => {
    const asked = extension.calls.find(({ url }) => url === root);
    expect(asked).toMatchObject({
      ...{ shownBy: 'front-proxy-client', method: 'GET' },
      headers: { 'x-remote-user': 'system:kube-aggregator', 'x-remote-group': 'system:masters' },
    });
  });

  it('passes requests on, with who asks, and nothing that the client says of that', async () => {
    extension.clear();
    const headers = { 'x-remote-user': 'evil', authorization: 'Bearer x', 'x-other': 'kept' };
    const user = {
      name: 'bö',
      uid: 'u1',
      groups: ['a', 'system:masters'],
      extra: { 'Example.com/k%': ['v', 'w'] },
    };
    const response = await test.server
      .transport(user)
      .request({ method: 'GET', path: `${list}?labelSelector=a%3Db`, headers });
    expect(JSON.parse(Buffer.from(await wholeBody(response.body)).toString())).toMatchObject({
      kind: 'FlunderList',
    });
    expect(extension.calls).toMatchObject([
      {
        ...{ shownBy: 'front-proxy-client', url: `${list}?labelSelector=a%3Db` },
        headers: {
          ...{
            'x-remote-user': Buffer.from('bö').toString('latin1'),
            'x-remote-uid': 'u1',
            'x-other': 'kept',
          },
          'x-remote-extra-example.com%2fk%25': 'v, w',
        },
      },
    ]);
    const [call] = extension.calls;
    expect(call?.headers['x-remote-group']).toContain('a, system:masters');
    expect(call?.headers['authorization']).toBeUndefined();
  });

  it('asks authorization before', async () => {
    extension.clear();
    const nobody = test.server.transport({ name: 'bob', groups: ['system:authenticated'] });
    const { status, body } = await nobody.request({ method: 'GET', path: list, headers: {} });
    expect([status, Buffer.from(await wholeBody(body)).toString()]).toEqual([
      403,
      expect.stringContaining(
        'User \\"bob\\" cannot list resource \\"flunders\\" in API group \\"wardle.example.com\\"',
      ),
    ]);
    expect(extension.calls).toEqual([]);
  });

  it('bodies, watches and answers as they come', async () => {
    const made: Answer = await test.call('POST', list, { body: { metadata: { name: 'x' } } });
    expect(made).toMatchObject({ status: 201, json: { given: { metadata: { name: 'x' } } } });
    const end = new AbortController();
    for await (const event of test.watch(`${list}?watch=true`, end.signal)) {
      expect(event).toMatchObject({ type: 'ADDED', object: { kind: 'Flunder' } });
      break;
    }
    end.abort();
    expect((await test.call('GET', `${root}/nothing`)).status).toBe(404);
  });

  it('upgrades', async () => {
    const pem = test.server.adminKubeconfig('https://x');
    const [, cert = '', key = ''] =
      /client-certificate-data: (\S+)[\s\S]*client-key-data: (\S+)/.exec(pem) ?? [];
    const socket = connect({
      ...{
        host: '127.0.0.1',
        port: test.server.ports[0] ?? 0,
        rejectUnauthorized: false,
        ALPNProtocols: ['http/1.1'],
      },
      cert: Buffer.from(cert, 'base64'),
      key: Buffer.from(key, 'base64'),
    });
    const path = `${list}/f/exec`;
    socket.write(`GET ${path} HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\nping`);
    let text = '';
    for await (const chunk of socket) {
      text += String(chunk);
      if (text.includes('ping')) break;
    }
    expect(text).toContain('101 Switching Protocols');
    const call = extension.calls.find(({ url }) => url === path);
    expect(call).toMatchObject({
      shownBy: 'front-proxy-client',
      headers: { 'x-remote-user': 'kubernetes-admin' },
    });
  });

  it('is in discovery, classic and aggregated', async () => {
    const groups = objectsOf((await test.call('GET', '/apis')).json['groups']);
    expect(groups.at(-1)).toEqual({
      name: 'wardle.example.com',
      versions: [{ groupVersion: 'wardle.example.com/v1', version: 'v1' }],
      preferredVersion: { groupVersion: 'wardle.example.com/v1', version: 'v1' },
    });
    expect((await test.call('GET', '/apis/wardle.example.com')).json).toMatchObject({
      ...{ kind: 'APIGroup', name: 'wardle.example.com' },
    });
    expect((await test.call('GET', root)).json).toMatchObject({ kind: 'APIResourceList' });
    const accept = 'application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList';
    const { json, headers } = await test.call('GET', '/apis', { headers: { accept } });
    expect(objectsOf(json['items']).at(-1)).toEqual({
      metadata: { name: 'wardle.example.com' },
      versions: [
        {
          version: 'v1',
          freshness: 'Current',
          resources: [
            {
              ...{
                resource: 'flunders',
                singularResource: 'flunder',
                scope: 'Namespaced',
                shortNames: ['fl'],
              },
              responseKind: { group: 'wardle.example.com', version: 'v1', kind: 'Flunder' },
              verbs: ['get', 'list', 'watch', 'create'],
              subresources: [
                {
                  subresource: 'status',
                  responseKind: { group: 'wardle.example.com', version: 'v1', kind: 'Flunder' },
                  verbs: ['get'],
                },
              ],
            },
          ],
        },
      ],
    });
    const again = await test.call('GET', '/apis', {
      headers: { accept, 'if-none-match': headers['etag'] ?? '' },
    });
    expect(again.status).toBe(304);
  });

  it('is among the metrics of APIServices', async () => {
    const { text } = await test.call('GET', '/metrics');
    expect(text).toContain('aggregator_unavailable_apiservice{name="v1.wardle.example.com"} 0');
    expect(text).toContain('aggregator_unavailable_apiservice{name="v1.apps"} 0');
    expect(text).toMatch(/^aggregator_discovery_aggregation_count_total [1-9]/m);
  });

  it('is in OpenAPI, both versions', async () => {
    const { json: index } = await test.call('GET', '/openapi/v3');
    expect(at(index, ['paths', 'apis/wardle.example.com/v1'])).toEqual({
      serverRelativeURL: '/openapi/v3/apis/wardle.example.com/v1?hash=H',
    });
    const document = await test.call('GET', '/openapi/v3/apis/wardle.example.com/v1?hash=H');
    expect(document.json).toMatchObject({ info: { title: 'wardle' } });
    const { json: v2 } = await test.call('GET', '/openapi/v2');
    expect(at(v2, ['paths', `${root}/namespaces/{namespace}/flunders`, 'get', 'operationId'])).toBe(
      'listFlunders',
    );
    expect(at(v2, ['definitions', 'com.example.Flunder', 'properties', 'metadata', '$ref'])).toBe(
      '#/definitions/io.k8s.api.core.v1.Pod_v2',
    );
    expect(at(v2, ['definitions', 'io.k8s.api.core.v1.Pod_v2', 'description'])).toBe('another one');
    expect(at(v2, ['definitions', 'io.k8s.api.core.v1.Pod', 'description'])).not.toBe('another one');
  });

  it('is gone with its object', async () => {
    await test.call('DELETE', `${services}/${name}`);
    expect((await test.call('GET', list)).status).toBe(404);
    const groups = objectsOf((await test.call('GET', '/apis')).json['groups']);
    expect(groups.some((group) => group['name'] === 'wardle.example.com')).toBe(false);
  });
});

describe('APIServices of this server', () => {
  it('come and go with custom group versions', async () => {
    test.server.kinds.change({ added: [widgets] });
    const of = (): Promise<Answer> => test.call('GET', `${services}/v1.example.com`);
    await vi.waitFor(
      async () => {
        expect((await of()).json).toMatchObject({
          metadata: { labels: { 'kube-aggregator.kubernetes.io/automanaged': 'true' } },
          spec: { group: 'example.com', version: 'v1', groupPriorityMinimum: 1000, versionPriority: 100 },
          status: { conditions: [{ type: 'Available', status: 'True', reason: 'Local' }] },
        });
      },
      { timeout: 60_000 },
    );
    test.server.kinds.change({ removed: [widgets] });
    await vi.waitFor(async () => expect((await of()).status).toBe(404), { timeout: 60_000 });
  });
});
