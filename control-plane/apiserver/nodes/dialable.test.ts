import { once } from 'node:events';
import { createServer, type Server } from 'node:net';
import tls from 'node:tls';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parseKubeconfig } from '#client/kubeconfig.ts';
import { startTestServer, type Json, type TestServer } from '#control-plane/apiserver/test-server.fixture.ts';

const ns = '/api/v1/namespaces/default';
const addresses = [
  '127.0.0.1',
  '127.9.9.9',
  '0.0.0.0',
  '169.254.169.254',
  '224.0.0.1',
  '239.1.1.1',
  '255.255.255.255',
  '::1',
  '::',
  '::ffff:127.0.0.1',
  '::ffff:a9fe:a9fe',
  '64:ff9b::7f00:1',
  'fe80::1',
  'ff02::1',
  'fd00:ec2::254',
];
/** What a resolver makes an address of, or a host's own table. */
const names = ['localhost', '127.1', '0x7f000001', '2130706433', '0177.0.0.1', '[::1]'];

describe('what the server does not let itself be sent to', () => {
  let test: TestServer;
  let bait: Server;
  let port = 0;
  let connectionCount = 0;
  let pod: Json;

  beforeAll(async () => {
    test = await startTestServer();
    bait = createServer((socket) => {
      connectionCount++;
      socket.destroy();
    }).listen(0);
    await once(bait, 'listening');
    const address = bait.address();
    port = typeof address === 'object' && address !== null ? address.port : 0;
    await test.make(`${ns}/serviceaccounts`, { metadata: { name: 'default' } });
    await test.make('/api/v1/nodes', { metadata: { name: 'n' } });
    pod = await test.make(`${ns}/pods`, {
      metadata: { name: 'p' },
      spec: { nodeName: 'n', containers: [{ name: 'c', image: 'i' }] },
    });
  });
  afterAll(async () => {
    bait.close();
    await test[Symbol.asyncDispose]();
    expect(connectionCount).toBe(0);
  });

  const refused = { code: 400, reason: 'BadRequest', message: 'address not allowed' };
  const nodeAt = async (address: string): Promise<void> => {
    const status = {
      addresses: [
        { type: address.includes('.') || address.includes(':') ? 'InternalIP' : 'Hostname', address },
      ],
      daemonEndpoints: { kubeletEndpoint: { Port: port } },
    };
    const patch = await test.call('PATCH', '/api/v1/nodes/n/status', {
      headers: { 'content-type': 'application/merge-patch+json' },
      body: { status },
    });
    expect(patch.status).toBe(200);
  };

  it.each(addresses)('the pod at %s', async (address) => {
    const status = { podIP: address, podIPs: [{ ip: address }] };
    const put = await test.call('PUT', `${ns}/pods/p/status`, {
      body: { ...pod, metadata: { name: 'p' }, status },
    });
    if (address.startsWith('::ffff:')) {
      expect(put.status).toBe(422); // Not as new objects must be (KEP-4858).
      return;
    }
    expect(put.status).toBe(200); // An address of some host: that it is ours, only who dials can know.
    expect((await test.call('GET', `${ns}/pods/p:${port}/proxy/x`)).json).toMatchObject(refused);
    expect((await test.call('POST', `${ns}/pods/https:p:${port}/proxy/x`)).json).toMatchObject(refused);
  });

  it.each([...addresses, ...names])('the node at %s', async (address) => {
    await nodeAt(address);
    for (const path of [
      `/api/v1/nodes/n/proxy/pods`,
      `/api/v1/nodes/n:${port}/proxy/`,
      `/api/v1/nodes/https:n:${port}/proxy/`,
      `${ns}/pods/p/log`,
    ]) {
      const { json } = await test.call('GET', path);
      // A resolver that knows no such spelling of an address does as well.
      const isUnknown = address.startsWith('[') || String(json['message']).includes('ENOTFOUND');
      if (!isUnknown) expect(json).toMatchObject(refused);
      else expect(json['code']).toBeGreaterThanOrEqual(400);
    }
  });

  it.each(['127.0.0.1', 'localhost'])('the node at %s, by an upgrade', async (address) => {
    await nodeAt(address);
    const access = parseKubeconfig(test.server.adminKubeconfig('https://x'), { directory: '/' });
    const inline = (source: typeof access.ca): string => (source.kind === 'inline' ? source.text : '');
    for (const path of [`${ns}/pods/p/exec?command=sh`, `${ns}/pods/p/portforward?ports=1`]) {
      const socket = tls.connect({
        host: '127.0.0.1',
        port: test.server.ports[0],
        ca: inline(access.ca),
        cert: inline(access.clientCert),
        key: inline(access.clientKey),
      });
      socket.write(`POST ${path} HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: SPDY/3.1\r\n\r\n`);
      let text = '';
      for await (const chunk of socket) text += String(chunk);
      expect(text).toMatch(/^HTTP\/1\.1 400 Bad Request\r\n/);
      expect(text).toContain('"message":"address not allowed"');
    }
  });

  it('a slice from before it was looked at, or of names', async () => {
    await test.make(`${ns}/services`, { metadata: { name: 's' }, spec: { ports: [{ port }] } });
    await test.make('/apis/discovery.k8s.io/v1/namespaces/default/endpointslices', {
      metadata: { name: 's-1', labels: { 'kubernetes.io/service-name': 's' } },
      addressType: 'FQDN',
      endpoints: [{ addresses: ['a.localhost'] }],
      ports: [{ port }],
    });
    const key = '/registry/endpointslices/default/s-1';
    await test.server.store.update(key, (current) => {
      const text = Buffer.from(current?.value ?? []).toString();
      const value = Buffer.from(text.replace('a.localhost', 'localhost')); // As no server of today takes it.
      return { expect: [], ops: [{ op: 'put', key, value }] };
    });
    expect((await test.call('GET', `${ns}/services/s/proxy/`)).json).toMatchObject(refused);
  });
});
