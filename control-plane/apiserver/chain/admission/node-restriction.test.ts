import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createApiClient } from '#client/api-client.ts';
import { leases, nodes } from '#api/schema/kind-ref.ts';
import { startTestServer, type TestServer } from '#control-plane/apiserver/test-server.fixture.ts';

describe('a node', () => {
  let test: TestServer;
  const clientOf = (name: string, groups: readonly string[] = ['system:nodes']) =>
    createApiClient({ transport: test.server.transport({ name, groups }), userAgent: 'test' });
  beforeAll(async () => {
    test = await startTestServer();
    await test.make('/api/v1/nodes', { metadata: { name: 'b' } });
    const lease = { metadata: { name: 'b' }, spec: {} };
    await test.make('/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases', lease);
  });
  afterAll(() => test[Symbol.asyncDispose]());

  it('registers itself, and no other', async () => {
    await clientOf('system:node:a').create(nodes, { metadata: { name: 'a' } });
    await expect(clientOf('system:node:a').create(nodes, { metadata: { name: 'c' } })).rejects.toThrow(
      'nodes "c" is forbidden: node "a" is not allowed to modify node "c"',
    );
    await clientOf('system:node:a', ['system:masters']).create(nodes, { metadata: { name: 'c' } }); // Not a node without the group.
  });

  it.each(['/api/v1/nodes/b', '/api/v1/nodes/b/status'])('does not write %s of another', async (path) => {
    const transport = test.server.transport({ name: 'system:node:a', groups: ['system:nodes'] });
    for (const method of ['PATCH', 'DELETE'] as const) {
      if (method === 'DELETE' && path.endsWith('status')) continue;
      const type = method === 'PATCH' ? 'application/merge-patch+json' : 'application/json';
      const headers = { 'content-type': type };
      const answer = await transport.request({ method, path, headers, body: Buffer.from('{}') });
      expect(answer.status).toBe(403);
    }
    const read = await transport.request({ method: 'GET', path: '/api/v1/nodes/a', headers: {} });
    expect(read.status).toBe(200);
  });

  it('does not delete others with a collection', async () => {
    const transport = test.server.transport({ name: 'system:node:a', groups: ['system:nodes'] });
    const answer = await transport.request({ method: 'DELETE', path: '/api/v1/nodes', headers: {} });
    expect(answer.status).toBe(403);
  });

  it('does not renew the lease of another', async () => {
    const transport = test.server.transport({ name: 'system:node:a', groups: ['system:nodes'] });
    const path = '/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases/b';
    const headers = { 'content-type': 'application/merge-patch+json' };
    const answer = await transport.request({ method: 'PATCH', path, headers, body: Buffer.from('{}') });
    expect(answer.status).toBe(403);
    await clientOf('system:node:a').create(leases, {
      metadata: { name: 'a', namespace: 'kube-node-lease' },
      spec: {},
    });
  });
});
