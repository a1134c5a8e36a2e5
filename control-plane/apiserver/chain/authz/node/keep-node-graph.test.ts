import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { podNamed, startTestServer, type TestServer } from '#control-plane/apiserver/test-server.fixture.ts';

const pods = '/api/v1/namespaces/default/pods';
const patch = { 'content-type': 'application/strategic-merge-patch+json' };
const env = (secret: string): object => ({ envFrom: [{ secretRef: { name: secret } }] });

describe('what a node may read', () => {
  let test: TestServer;
  const reads = async (secret: string, node = 'a', of = test): Promise<boolean> => {
    const path = `/api/v1/namespaces/default/secrets/${secret}`;
    const user = { name: `system:node:${node}`, groups: ['system:nodes'] };
    const { status } = await of.server.transport(user).request({ method: 'GET', path, headers: {} });
    return status !== 403;
  };
  beforeAll(async () => {
    test = await startTestServer();
    await test.make('/api/v1/namespaces/default/serviceaccounts', { metadata: { name: 'default' } });
    const spec = { containers: [{ name: 'c', image: 'i', ...env('own') }] };
    await test.make(pods, podNamed('p', { spec }));
  });
  afterAll(() => test[Symbol.asyncDispose]());

  it('follows a pod: bound, debugged, over', async () => {
    expect(await reads('own')).toBe(false);
    await test.make(`${pods}/p/binding`, { metadata: { name: 'p' }, target: { kind: 'Node', name: 'a' } });
    expect(await reads('own')).toBe(true);
    expect(await reads('own', 'b')).toBe(false);
    const containers = [{ name: 'd', image: 'i', ...env('debug') }];
    await test.call('PATCH', `${pods}/p/ephemeralcontainers`, {
      body: { spec: { ephemeralContainers: containers } },
      headers: patch,
    });
    expect(await reads('debug')).toBe(true);
    await test.call('PATCH', `${pods}/p/status`, { body: { status: { phase: 'Failed' } }, headers: patch });
    expect(await reads('own')).toBe(false);
  });

  it('is there when the server starts again', async () => {
    await test.make(
      pods,
      podNamed('q', { spec: { nodeName: 'a', containers: [{ name: 'c', image: 'i', ...env('later') }] } }),
    );
    await test.server.close();
    await using again = await startTestServer({ dataDir: test.directory });

    expect(await reads('later', 'a', again)).toBe(true);
    await again.call('DELETE', `${pods}/q`, { body: { gracePeriodSeconds: 0 } });
    expect(await reads('later', 'a', again)).toBe(false);
  });
});
