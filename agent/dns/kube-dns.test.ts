import { expect, test } from 'vitest';
import { createFakeClock } from '#base/clock.ts';
import { services } from '#api/schema/kind-ref.ts';
import { createFakeApiClient } from '#client/client.fake.ts';
import { ensureKubeDns } from './kube-dns.ts';

test('ensureKubeDns() makes the Service once', async () => {
  const client = createFakeApiClient(createFakeClock());
  await ensureKubeDns(client, '10.96.0.10');
  await ensureKubeDns(client, '10.96.0.99');
  expect(client.all(services).map((service) => service.spec?.clusterIP)).toEqual(['10.96.0.10']);
});
