import { expect, test } from 'vitest';
import { createFakeClock } from '#base/clock.ts';
import { services } from '#api/schema/kind-ref.ts';
import { createFakeApiClient } from '#client/client.fake.ts';
import { ensureKubeDns } from './kube-dns.ts';

test('ensureKubeDns() makes the Service once', async () => {
  const client = createFakeApiClient(createFakeClock());
  await ensureKubeDns(client, ['10.96.0.10', 'fd00:10:96::a']);
  await ensureKubeDns(client, ['10.96.0.99']);
  const [service, ...others] = client.all(services);
  expect(service?.spec).toMatchObject({
    clusterIP: '10.96.0.10',
    clusterIPs: ['10.96.0.10', 'fd00:10:96::a'],
    ipFamilyPolicy: 'RequireDualStack',
  });
  // kubectl cluster-info prints it: "KubeDNS is running at".
  expect(service?.metadata?.labels).toMatchObject({ 'kubernetes.io/name': 'KubeDNS' });
  expect(others).toEqual([]);
});
