/** A hundred claims on a real server: half get volumes that are there, half have them made. */
import { expect, it } from 'vitest';
import { systemClock } from '#base/clock.ts';
import { silentLogger } from '#base/log.ts';
import { persistentVolumeClaims, persistentVolumes } from '#api/schema/kind-ref.ts';
import { selectedNodeAnnotation, storageProvisionerAnnotations } from '#api/volume/claim.ts';
import { localProvisioner, volumesDirectoryAnnotation } from '#api/volume/local-volumes.ts';
import { createInformers } from '#client/informers.ts';
import { startTestServer } from '#control-plane/apiserver/test-server.fixture.ts';
import { createOwnClients } from '#control-plane/controllers/own-clients.ts';
import { startControllers } from '#control-plane/controllers/start-controllers.ts';
import { renderLocalClass } from './local-class.ts';

const claimsPath = '/api/v1/namespaces/a/persistentvolumeclaims';

it('a hundred claims are bound, each to a volume of its own', async () => {
  await using test = await startTestServer();
  const clients = createOwnClients(test.server);
  await using informers = createInformers({ client: clients.controllerManager, clock: systemClock });
  const shared = { informers, clock: systemClock, logger: silentLogger };
  await using _controllers = startControllers({
    ...shared,
    clientAs: clients.controller,
    rootCa: { pem: 'PEM' },
  });

  await informers.synced();
  await test.make('/api/v1/namespaces', { metadata: { name: 'a' } });
  const annotations = { [volumesDirectoryAnnotation]: '/volumes' };
  await test.make('/api/v1/nodes', { metadata: { name: 'n', annotations } });
  await test.make('/apis/storage.k8s.io/v1/storageclasses', renderLocalClass('made', false));
  const numbers = Array.from({ length: 50 }, (_, index) => index);
  const spec = { accessModes: ['ReadWriteOnce'] };
  for (const number of numbers) {
    const there = {
      ...spec,
      capacity: { storage: '1Gi' },
      hostPath: { path: '/x' },
      storageClassName: 'there',
    };
    await test.make('/api/v1/persistentvolumes', { metadata: { name: `v${number}` }, spec: there });
  }
  const asked = { ...spec, resources: { requests: { storage: '1Mi' } } };
  const volumes = new Map<string, string>(); // by claim
  const bound = Promise.withResolvers<void>();
  let revisions = 0;
  using _watch = informers.for(persistentVolumeClaims).onChange(({ key, current }) => {
    revisions++;
    if (current?.status?.phase === 'Bound') volumes.set(key, current.spec?.volumeName ?? '');
    if (volumes.size === 100) bound.resolve();
  });
  // Those that are there are Available by then.
  await expect
    .poll(() =>
      informers
        .for(persistentVolumes)
        .list()
        .filter(({ status }) => status?.phase === 'Available'),
    )
    .toHaveLength(50);
  let volumeRevisions = 0;
  using _volumes = informers.for(persistentVolumes).onChange(({ old, current }) => {
    if (old?.metadata?.resourceVersion !== current?.metadata?.resourceVersion) volumeRevisions++;
  });
  volumeRevisions = 0; // Of those that are there it was told at once.

  const [began, before] = [systemClock.monotonic(), process.cpuUsage()];
  await Promise.all(
    numbers.flatMap((number) => [
      test.make(claimsPath, {
        metadata: { name: `there-${number}` },
        spec: { ...asked, storageClassName: 'there' },
      }),
      test.make(claimsPath, {
        metadata: { name: `made-${number}`, annotations: { [selectedNodeAnnotation]: 'n' } },
        spec: { ...asked, storageClassName: 'made' },
      }),
    ]),
  );
  await bound.promise;
  const { user, system } = process.cpuUsage(before);
  const ms = Math.round(systemClock.monotonic() - began);
  console.log(`100 claims bound in ${ms} ms, ${Math.round((user + system) / 1000)} ms of processor time`);
  expect(new Set(volumes.values()).size).toBe(100);
  // As it was created, with its volume, and as that is told: who made the volume comes with its name.
  expect(revisions).toBe(300);
  // Created or given to the claim, and Bound: a volume's own turn does not write what its claim's does.
  expect(volumeRevisions).toBe(200);
  const { metadata } = informers.for(persistentVolumeClaims).get('a/made-0') ?? {};
  for (const annotation of storageProvisionerAnnotations)
    expect(metadata?.annotations?.[annotation]).toBe(localProvisioner);
});
