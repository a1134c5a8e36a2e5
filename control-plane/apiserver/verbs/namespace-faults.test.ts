import { expect, it } from 'vitest';
import { startTestServer } from '#control-plane/apiserver/test-server.fixture.ts';

const why =
  'spec.devices.requests[1].adminAccess: Forbidden: admin access to devices requires the `resource.kubernetes.io/admin-access: true` label on the containing namespace';
const exactly = { deviceClassName: 'gpu' };
const spec = {
  devices: {
    requests: [
      { name: 'a', exactly },
      { name: 'b', exactly: { ...exactly, adminAccess: true } },
    ],
  },
};

it('claims may look at what others have in namespaces that are labelled for it alone', async () => {
  await using test = await startTestServer();
  const label = { 'resource.kubernetes.io/admin-access': 'true' };
  await test.make('/api/v1/namespaces', { metadata: { name: 'plain' } });
  await test.make('/api/v1/namespaces', { metadata: { name: 'admin', labels: label } });
  const path = (namespace: string, plural: string) =>
    `/apis/resource.k8s.io/v1/namespaces/${namespace}/${plural}`;
  for (const [plural, body] of [
    ['resourceclaims', { metadata: { name: 'c' }, spec }],
    ['resourceclaimtemplates', { metadata: { name: 'c' }, spec: { spec } }],
  ] as const) {
    const refused = await test.call('POST', path('plain', plural), { body });
    expect(refused.status).toBe(422);
    expect(String(refused.json['message'])).toContain(why);
    expect((await test.call('POST', path('admin', plural), { body })).status).toBe(201);
  }
  const result = { request: 'b', driver: 'd', pool: 'p', device: 'x', adminAccess: true };
  const status = { allocation: { devices: { results: [result] } } };
  const of = `${path('admin', 'resourceclaims')}/c/status`;
  const write = () =>
    test.call('PATCH', of, {
      body: { status },
      headers: { 'content-type': 'application/merge-patch+json' },
    });
  await test.call('PATCH', '/api/v1/namespaces/admin', {
    body: { metadata: { labels: { 'resource.kubernetes.io/admin-access': null } } },
    headers: { 'content-type': 'application/merge-patch+json' },
  });
  expect(String((await write()).json['message'])).toContain(
    'status.allocation.devices.results[0].adminAccess',
  );
});
