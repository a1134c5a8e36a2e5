import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { createFakeClock } from '#base/clock.ts';
import type { Logger } from '#base/log.ts';
import { untilQuiet } from '#base/quiet.fixture.ts';
import * as kinds from '#api/schema/kind-ref.ts';
import type { PersistentVolume } from '#api/generated/objects.ts';
import { localProvisioner, localVolumeFinalizer, volumeNodeLabel } from '#api/volume/local-volumes.ts';
import { createFakeApiClient, type FakeApiClient } from '#client/client.fake.ts';
import { createInformers } from '#client/informers.ts';
import { keepLocalVolumes } from './keep-local-volumes.ts';
import { createLocalVolumes, type LocalVolumes } from './local-volumes.ts';
import { writeRecord } from './records.ts';

const name = 'pvc-11111111-2222-3333-4444-555555555555';
const clock = createFakeClock(0);
let root: string;
let stack: AsyncDisposableStack;
let client: FakeApiClient;
let localVolumes: LocalVolumes;
let grown: string[];
let told: unknown[];
let failed: string[];

beforeEach(async () => {
  root = mkdtempSync(path.join(tmpdir(), 'keep-'));
  stack = new AsyncDisposableStack();
  client = createFakeApiClient(clock);
  [grown, told, failed] = [[], [], []];
  localVolumes = createLocalVolumes({ directory: path.join(root, 'volumes'), nodeName: 'n1' });
  for (let index = 0; index < 12; index++)
    mkdirSync(path.join(root, 'volumes', `orphan-${index}`), { recursive: true });
  const note = (fields: unknown): void => void told.push(fields);
  const logger: Logger = { error: note, warn: note, info: note, debug: note, child: () => logger };
  const informers = stack.use(createInformers({ client, clock }));
  stack.use(
    keepLocalVolumes({
      ...{ informers, clock, logger, nodeName: 'n1', localVolumes, podsDirectory: path.join(root, 'pods') },
      events: { record: (_regarding, _type, reason, message) => void failed.push(`${reason}: ${message}`) },
      onGrown: (uid) => void grown.push(uid),
    }),
  );
  await untilQuiet();
});
afterEach(async () => {
  await stack.disposeAsync();
  rmSync(root, { recursive: true, force: true });
});

const seed = (phase?: 'Bound'): PersistentVolume =>
  client.seed(kinds.persistentVolumes, {
    ...(phase === undefined ? {} : { status: { phase } }),
    metadata: {
      name,
      labels: { [volumeNodeLabel]: 'n1' },
      annotations: { 'pv.kubernetes.io/provisioned-by': localProvisioner },
      finalizers: [localVolumeFinalizer],
    },
    spec: {
      capacity: { storage: '1Gi' },
      persistentVolumeReclaimPolicy: 'Delete',
      local: { path: path.join(root, 'volumes', name, 'data') },
    },
  });
const podDirectory = (): string => path.join(root, 'pods', 'u1', 'volumes', 'persistentVolumeClaim', 'v');
const use = async (volume: PersistentVolume): Promise<void> => {
  mkdirSync(podDirectory(), { recursive: true });
  const record = { claim: 'n/c', claimUid: 'c', volume: name, volumeUid: volume.metadata?.uid ?? '' };
  await writeRecord(podDirectory(), record);
};

it('a volume that goes is removed once no pod has it, and its object with it', async () => {
  const volume = seed();
  await localVolumes.ensure(volume);
  writeFileSync(path.join(root, 'volumes', name, 'data', 'f'), '');
  await use(volume);
  await client.delete(kinds.persistentVolumes, { name });
  await untilQuiet();
  expect([existsSync(path.join(root, 'volumes', name)), client.all(kinds.persistentVolumes).length]).toEqual([
    true,
    1,
  ]);
  rmSync(path.join(root, 'pods'), { recursive: true });
  clock.advance(1000);
  await expect.poll(() => client.all(kinds.persistentVolumes)).toEqual([]);
  expect(existsSync(path.join(root, 'volumes', name))).toBe(false);
});

it('a volume that cannot be proven ours stays with its object, which says why', async () => {
  const volume = seed();
  mkdirSync(path.join(root, 'volumes', name));
  writeFileSync(path.join(root, 'volumes', name, 'theirs'), '');
  await client.delete(kinds.persistentVolumes, { name });
  await expect.poll(() => failed[0]).toMatch(/^VolumeFailedDelete: .* it has files, and no mark of ours$/);
  expect(client.all(kinds.persistentVolumes)[0]?.metadata?.uid).toBe(volume.metadata?.uid);
  expect(existsSync(path.join(root, 'volumes', name, 'theirs'))).toBe(true);
});

it('pods are told of volumes that grow', async () => {
  await use(seed());
  await untilQuiet();
  grown = [];
  const body = { spec: { capacity: { storage: '2Gi' } } };
  await client.patch(kinds.persistentVolumes, { name }, { kind: 'merge', body });
  await expect.poll(() => grown).toEqual(['u1']);
});

it.each([
  { name: 'bound by then, as it may have grown', phase: 'Bound', want: ['u1'] },
  { name: 'not bound, which no pod has', phase: undefined, want: [] },
] as const)('pods are told of a volume that is seen first: $name', async ({ phase, want }) => {
  mkdirSync(podDirectory(), { recursive: true });
  await writeRecord(podDirectory(), { claim: 'n/c', claimUid: 'c', volume: name, volumeUid: '' });
  seed(phase);
  await untilQuiet();
  expect(grown).toEqual(want);
});

it('what has no object stays, and is told of, ten by name', async () => {
  await expect.poll(() => told).toMatchObject([{ count: 12 }]);
  expect(told).toMatchObject([{ some: { length: 10 } }]);
  expect(existsSync(path.join(root, 'volumes', 'orphan-0'))).toBe(true);
});
