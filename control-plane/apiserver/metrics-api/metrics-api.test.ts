import { createServer, type Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import * as fc from 'fast-check';
import { at, objectsOf } from '#api/wire/json.ts';
import {
  podNamed,
  startTestServer,
  wholeBody,
  type TestServer,
} from '#control-plane/apiserver/test-server.fixture.ts';
import { nodeMetrics, podMetrics } from './usage.ts';

const root = '/apis/metrics.k8s.io/v1beta1';
const ns = '/api/v1/namespaces/default';
const time = '2026-01-02T03:04:05Z';
const usage = { cpu: { time, usageNanoCores: 12_345 }, memory: { time, workingSetBytes: 2_097_152 } };

const deadline = { timeout: 60_000 };

describe('metrics.k8s.io of the server itself', () => {
  let test: TestServer;
  let kubelet: Server;
  let asked = 0;
  beforeAll(async () => {
    test = await startTestServer({ mayDial: () => true, hasMetricsApi: true });
    const { serving } = await test.server.issueNodeCredentials('n1', {
      serverUrl: 'https://x',
      hosts: ['127.0.0.1'],
    });
    let uid = '';
    kubelet = createServer({ cert: serving.certPem, key: serving.keyPem }, (request, response) => {
      asked++;
      const pods = [
        { podRef: { name: 'p', namespace: 'default', uid }, containers: [{ name: 'c', ...usage }] },
      ];
      response.end(
        JSON.stringify(request.url === '/stats/summary' ? { node: { nodeName: 'n1', ...usage }, pods } : {}),
      );
    });
    await new Promise<void>((resolve) => kubelet.listen(0, '127.0.0.1', resolve));
    const node = (name: string, port: number): object => ({
      metadata: { name, labels: { a: name } },
      status: {
        addresses: [{ type: 'InternalIP', address: '127.0.0.1' }],
        daemonEndpoints: { kubeletEndpoint: { Port: port } },
      },
    });
    await test.make('/api/v1/nodes', node('n1', (kubelet.address() as AddressInfo).port));
    await test.make('/api/v1/nodes', node('down', 1));
    await test.make(`${ns}/serviceaccounts`, { metadata: { name: 'default' } });
    for (const name of ['p', 'waiting']) {
      const spec = { nodeName: 'n1', containers: [{ name: 'c', image: 'i' }] };
      const made = await test.make(`${ns}/pods`, {
        ...podNamed(name),
        metadata: { name, labels: { app: name } },
        spec,
      });
      const phase = name === 'p' ? 'Running' : 'Pending';
      await test.call('PUT', `${ns}/pods/${name}/status`, { body: { ...made, status: { phase } } });
      if (name === 'p') uid = String(at(made, 'metadata.uid'));
    }
  }, 180_000);
  afterAll(async () => {
    kubelet.closeAllConnections();
    kubelet.close();
    await test[Symbol.asyncDispose]();
  });

  it('says what nodes use, of those that answer', async () => {
    const { json } = await test.call('GET', `${root}/nodes`);
    expect(json).toEqual({
      ...{ kind: 'NodeMetricsList', apiVersion: 'metrics.k8s.io/v1beta1', metadata: {} },
      items: [
        {
          metadata: { name: 'n1', creationTimestamp: time, labels: { a: 'n1' } },
          ...{ timestamp: time, window: '10s', usage: { cpu: '12345n', memory: '2048Ki' } },
        },
      ],
    });
    expect((await test.call('GET', `${root}/nodes/down`)).json).toMatchObject({
      ...{ code: 404, message: 'nodes.metrics.k8s.io "down" not found' },
    });
  });

  it('says what pods use, of those that run', async () => {
    const pod = {
      metadata: { name: 'p', namespace: 'default' },
      containers: [{ name: 'c', usage: { cpu: '12345n', memory: '2048Ki' } }],
    };
    for (const path of ['/pods', '/namespaces/default/pods', '/pods?labelSelector=app%3Dp'])
      expect((await test.call('GET', `${root}${path}`)).json).toMatchObject({
        kind: 'PodMetricsList',
        items: [pod],
      });
    expect((await test.call('GET', `${root}/namespaces/default/pods/p`)).json).toMatchObject({
      kind: 'PodMetrics',
      ...pod,
    });
    for (const path of [
      '/namespaces/other/pods',
      '/pods?labelSelector=app%3Dx',
      '/pods?fieldSelector=metadata.name%3Dx',
    ])
      expect((await test.call('GET', `${root}${path}`)).json['items']).toEqual([]);
  });

  it('asks a node once in a while', async () => {
    const before = asked;
    await Promise.all(Array.from({ length: 20 }, () => test.call('GET', `${root}/nodes`)));
    expect(asked - before).toBeLessThanOrEqual(1);
  });

  it('refuses what it does not have', async () => {
    expect((await test.call('POST', `${root}/nodes`, { body: {} })).status).toBe(405);
    expect((await test.call('GET', `${root}/nothing`)).status).toBe(404);
    expect((await test.call('GET', `${root}/nodes?labelSelector=%3D`)).status).toBe(400);
    const bob = test.server.transport({ name: 'bob', groups: ['system:authenticated'] });
    const { status, body } = await bob.request({ method: 'GET', path: `${root}/nodes`, headers: {} });
    expect([status, Buffer.from(await wholeBody(body)).toString()]).toEqual([
      403,
      expect.stringContaining('cannot list resource \\"nodes\\" in API group \\"metrics.k8s.io\\"'),
    ]);
  });

  it('is in discovery', async () => {
    const groups = objectsOf((await test.call('GET', '/apis')).json['groups']);
    expect(groups.at(-1)).toMatchObject({ name: 'metrics.k8s.io', preferredVersion: { version: 'v1beta1' } });
    expect((await test.call('GET', root)).json).toMatchObject({
      ...{ kind: 'APIResourceList', groupVersion: 'metrics.k8s.io/v1beta1' },
      resources: [
        { name: 'nodes', kind: 'NodeMetrics' },
        { name: 'pods', namespaced: true },
      ],
    });
  });

  it('makes room for a server that somebody installs', async () => {
    const path = '/apis/apiregistration.k8s.io/v1/apiservices/v1beta1.metrics.k8s.io';
    expect((await test.call('GET', path)).json).toMatchObject({
      status: { conditions: [{ reason: 'Local' }] },
    });
    const patch = async (body: object): Promise<number> =>
      (await test.call('PATCH', path, { body, headers: { 'content-type': 'application/merge-patch+json' } }))
        .status;
    const service = { namespace: 'kube-system', name: 'metrics-server' };
    expect(await patch({ spec: { service, insecureSkipTLSVerify: true } })).toBe(200);
    await vi.waitFor(async () => {
      const { json } = await test.call('GET', path);
      expect(objectsOf(at(json, 'status.conditions'))[0]).toMatchObject({
        status: 'False',
        reason: 'ServiceNotFound',
      });
    }, deadline);
    expect((await test.call('GET', `${root}/nodes`)).status).toBe(503);
    expect(await patch({ spec: { service: null, insecureSkipTLSVerify: null } })).toBe(200);
    expect((await test.call('GET', `${root}/nodes`)).status).toBe(200);
    await vi.waitFor(async () => {
      const { json } = await test.call('GET', path);
      expect(objectsOf(at(json, 'status.conditions'))[0]).toMatchObject({ status: 'True', reason: 'Local' });
    }, deadline);
  });
});

describe('what a node says', () => {
  it('may be anything', () => {
    fc.assert(
      fc.property(
        fc.dictionary(fc.constantFrom('node', 'pods', 'cpu', 'memory'), fc.jsonValue()),
        (summary) => {
          const object = { metadata: { name: 'x', uid: 'u' } };
          nodeMetrics(object, summary);
          podMetrics(object, summary);
          return true;
        },
      ),
      { numRuns: 1000 },
    );
  });
});
