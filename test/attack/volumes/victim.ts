/**
 * What brings a volume of a driver to a pod and back, in one process that is there to be killed: the controller that attaches, the driver's
 * sidecars and the agent's part, over an API in memory whose every write is on disk before whoever wrote goes on.
 *
 *     node test/attack/volumes/victim.ts DIRECTORY SOCKET come|go
 */
import { existsSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { systemClock } from '#base/clock.ts';
import { describeError } from '#base/errors.ts';
import { silentLogger } from '#base/log.ts';
import {
  csiDrivers,
  csiNodes,
  nodes,
  persistentVolumeClaims,
  persistentVolumes,
  pods,
  volumeAttachments,
  type KindRef,
} from '#api/schema/kind-ref.ts';
import type { KubeObject } from '#api/meta/object.ts';
import type { Pod } from '#api/generated/objects.ts';
import { createClaimObjects } from '#agent/volume/claims/claim-objects.ts';
import { createLocalVolumes } from '#agent/volume/claims/local-volumes.ts';
import { createCsi, type Csi } from '#agent/volume/csi/start-csi.ts';
import { createMounter } from '#agent/volume/mounter.ts';
import { createPodVolumes, type PodVolumes } from '#agent/volume/pod-volumes.ts';
import { createFakeApiClient, type FakeApiClient } from '#client/client.fake.ts';
import { createEventRecorder } from '#client/event-recorder.ts';
import { createInformers, type Informers } from '#client/informers.ts';
import { connectDriver } from '#control-plane/csi/controller-driver.ts';
import { startCsiController } from '#control-plane/csi/start-csi-controller.ts';
import { runAttachDetach } from '#control-plane/controllers/attach-detach/reconcile.ts';
import { createMounts } from '#native/mount/mount.linux.ts';

const [directory = '', socket = '', what = ''] = process.argv.slice(2);
const driverName = 'toy.csi.example.com';
const file = join(directory, 'api.json');
const clock = systemClock;
/** Longer than anything takes on a busy machine. */
const patienceMs = 60_000;

const kinds = [
  csiDrivers,
  csiNodes,
  nodes,
  persistentVolumes,
  persistentVolumeClaims,
  pods,
  volumeAttachments,
];

/** An API that forgets nothing that it answered. */
function openApi(): FakeApiClient {
  const api = createFakeApiClient(clock);
  if (existsSync(file)) {
    const kept = JSON.parse(readFileSync(file, 'utf8')) as readonly (readonly KubeObject[])[];
    kinds.forEach((kind, at) => {
      for (const object of kept[at] ?? []) api.seed(kind as KindRef<KubeObject>, object);
    });
  }
  const keep = (): void => {
    writeFileSync(`${file}.draft`, JSON.stringify(kinds.map((kind) => api.all(kind as KindRef<KubeObject>))));
    renameSync(`${file}.draft`, file);
  };
  const kept =
    <A extends readonly unknown[], R>(call: (...args: A) => Promise<R>) =>
    async (...args: A): Promise<R> => {
      const answer = await call(...args);
      keep();
      return answer;
    };
  const { create, update, patch } = api;
  const client: FakeApiClient = {
    ...api,
    create: kept(create) as typeof create,
    update: kept(update) as typeof update,
    patch: kept(patch) as typeof patch,
    delete: kept(api.delete) as typeof api.delete,
  };
  keep();
  return client;
}

const client = openApi();
const pod = JSON.parse(readFileSync(join(directory, 'pod.json'), 'utf8')) as Pod;
const uid = pod.metadata?.uid ?? '';
const podsDirectory = join(directory, 'pods');

await using life = new AsyncDisposableStack();

const informers = life.use(createInformers({ client, clock, logger: silentLogger }));
const driver = life.use(await connectDriver(socket));
const recorder = life.use(createEventRecorder({ client, component: 'x', clock, logger: silentLogger }));
const mounter = createMounter(createMounts());
const csi: Csi = createCsi({
  ...{ informers, nodeName: 'n1', kubeletDirectory: join(directory, 'kubelet'), podsDirectory, mounter },
  ...{ clock, logger: silentLogger, bootId: 'boot' },
  // As the agent tells its Node.
  onReleased: () => void tellInUse(),
});
life.use(csi);
const volumes = createVolumes(csi, informers);

for (const controller of startCsiController({
  ...{ driver, client, informers, clock, logger: silentLogger, namespace: 'x' },
}))
  life.use(controller);
life.use(
  runAttachDetach({
    ...{ client, informers, clock, logger: silentLogger, recorder: () => recorder },
    presence: { isSure: () => true } as never,
  }),
);
csi.startWhen(Promise.resolve());
await csi.drivers.register({ name: driverName, endpoint: socket, identity: '1' });
await tellInUse();

const deadline = clock.monotonic() + patienceMs;
if (what === 'come') {
  await again('mount', async () => {
    const signal = new AbortController().signal;
    const { byName } = await volumes.mount({
      ...{ pod, now: clock.now(), signal },
      downward: { field: () => '', resource: () => '' },
    });
    process.stdout.write(`there ${byName.get('v')?.path ?? ''}\n`);
  });
} else {
  await client.delete(pods, { namespace: 'ns', name: 'p' }, { gracePeriodSeconds: 0 }).catch(() => undefined);
  await again('remove', () => volumes.remove(uid));
  await again('detach', async () => {
    await tellInUse();
    const { status } = await client.get(nodes, { name: 'n1' });
    const left = client.all(volumeAttachments).length + (status?.volumesAttached?.length ?? 0);
    if (left > 0) throw new Error(`${left} attached`);
  });
  process.stdout.write('gone\n');
}
process.exit(0);

async function tellInUse(): Promise<void> {
  const volumesInUse = await csi.volumes.volumesInUse();
  const how = { kind: 'merge', body: { status: { volumesInUse } }, subresource: 'status' } as const;
  await client.patch(nodes, { name: 'n1' }, how);
}

async function again(step: string, work: () => Promise<void>): Promise<void> {
  for (;;) {
    try {
      return await work();
    } catch (error) {
      if (clock.monotonic() > deadline) {
        process.stderr.write(`${step}: ${describeError(error)}\n`);
        process.exit(3);
      }
      await clock.sleep(50);
    }
  }
}

function createVolumes(drivers: Csi, objects: Informers): PodVolumes {
  const claims = createClaimObjects({
    madeHere: () => undefined,
    ...{ client: objects.client, nodeName: 'n1', podsDirectory },
    localVolumes: createLocalVolumes({ directory: join(directory, 'volumes'), nodeName: 'n1' }),
  });
  return createPodVolumes({
    ...{ directory: podsDirectory, memoryDirectory: join(directory, 'memory'), mounter },
    unmountPod: drivers.volumes.unmountPod,
    onForced: drivers.volumes.unstageSoon,
    objects: () => ({
      ...claims,
      csi: drivers.volumes,
      configMap: async () => undefined,
      secret: async () => undefined,
      serviceAccountToken: async () => ({ token: '', refreshAtMs: Infinity }),
    }),
  });
}
