import { mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { ConfigMap, Pod, Secret, Volume } from '#api/generated/objects.ts';
import { podContentBytesMax, sharedContentBytesMax } from './content-room.ts';
import { memoryRoomBytes, needsMemoryRoom } from './memory-room.ts';
import { noClaims } from './claims/no-claims.fixture.ts';
import { createFakeMounter, type FakeMounter } from './mounter.fake.ts';
import { createPodVolumes, type PodVolumes } from './pod-volumes.ts';

const ownSources = [
  { serviceAccountToken: { path: 'token' } },
  { configMap: { name: 'kube-root-ca.crt' } },
  { downwardAPI: { items: [{ path: 'namespace', fieldRef: { fieldPath: 'metadata.namespace' } }] } },
];
const own: Volume = { name: 'kube-api-access', projected: { sources: ownSources } };
const secret: Volume = { name: 's', secret: { secretName: 's' } };
const podOf = (volumes: readonly Volume[]): Pod => ({
  metadata: { uid: 'u1', namespace: 'ns', name: 'p' },
  spec: { containers: [], volumes: [...volumes] },
});

test.each<[string, readonly Volume[], boolean]>([
  ['nothing', [], false],
  ['what every pod has', [own], false],
  [
    'that, a ConfigMap and an emptyDir',
    [own, { name: 'c', configMap: { name: 'c' } }, { name: 'e', emptyDir: {} }],
    false,
  ],
  ['a Secret', [secret], true],
  ['that and a Secret', [own, secret], true],
  ['two tokens', [own, { ...own, name: 'more' }], true],
  [
    'another ConfigMap projected',
    [{ name: 'p', projected: { sources: [{ configMap: { name: 'c' } }] } }],
    true,
  ],
  ['a Secret projected', [{ name: 'p', projected: { sources: [{ secret: { name: 's' } }] } }], true],
  ['annotations projected', [{ name: 'p', projected: { sources: [{ downwardAPI: { items: [{ path: 'a', fieldRef: { fieldPath: 'metadata.annotations' } }] } }] } }], true], // prettier-ignore
  ['many tokens', [{ name: 'p', projected: { sources: [...ownSources, ...ownSources] } }], true],
])('needsMemoryRoom() of a pod with %s', (_what, volumes, want) =>
  expect(needsMemoryRoom(podOf(volumes))).toBe(want),
);

describe('volumes of API data', () => {
  let root: string;
  let mounter: FakeMounter;
  let volumes: PodVolumes;
  const configMaps = new Map<string, ConfigMap>();
  const secrets = new Map<string, Secret>();
  beforeEach(() => {
    root = mkdtempSync(path.join(tmpdir(), 'walk-room-'));
    mounter = createFakeMounter();
    configMaps.clear();
    secrets.clear();
    configMaps.set('kube-root-ca.crt', { data: { 'ca.crt': 'CA' } });
    secrets.set('s', { data: { key: Buffer.from('value').toString('base64') } });
    volumes = createPodVolumes({
      directory: path.join(root, 'pods'),
      memoryDirectory: path.join(root, 'memory'),
      mounter,
      objects: () => ({
        ...noClaims,
        configMap: async (_namespace, name) => configMaps.get(name),
        secret: async (_namespace, name) => secrets.get(name),
        serviceAccountToken: async () => ({ token: 'token', refreshAtMs: 5000 }),
      }),
    });
  });
  afterEach(() => rmSync(root, { recursive: true, force: true }));

  const mount = (list: readonly Volume[], field = (name: string): string => name) =>
    volumes.mount({
      pod: podOf(list),
      downward: { field, resource: () => '1' },
      now: 0,
      signal: new AbortController().signal,
    });

  test('a Secret is in a tmpfs of the pod’s own, mounted once and unmounted with it', async () => {
    const room = path.join(root, 'memory/u1');
    const { byName } = await mount([own, secret]);
    expect([...mounter.mounts]).toEqual([[room, `tmpfs ${memoryRoomBytes}`]]);
    expect(readFileSync(path.join(byName.get('s')?.path ?? '', 'key'), 'utf8')).toBe('value');
    await mount([own, secret]);
    expect(mounter.mounts.size).toBe(1);
    await volumes.remove('u1');
    expect([mounter.mounts.size, await volumes.uids()]).toEqual([0, []]);
  });

  test('what was cut off before the mount is mounted, what an earlier agent left is not covered', async () => {
    mkdirSync(path.join(root, 'memory/u1'), { recursive: true });
    await mount([secret]);
    expect(mounter.mounts.size).toBe(1);
    await volumes.remove('u1');
    mkdirSync(path.join(root, 'memory/u1/volumes/secret/s'), { recursive: true });
    await mount([secret]);
    expect(mounter.mounts.size).toBe(0);
  });

  test('ConfigMaps and the downward API are on disk, and mount nothing', async () => {
    configMaps.set('c', { data: { a: '1' } });
    const items = [{ path: 'labels', fieldRef: { fieldPath: 'metadata.labels' } }];
    const { byName } = await mount([
      own,
      { name: 'c', configMap: { name: 'c' } },
      { name: 'd', downwardAPI: { items } },
    ]);
    expect(byName.get('c')?.path).toBe(path.join(root, 'pods/u1/volumes/configMap/c'));
    expect(byName.get('d')?.path).toBe(path.join(root, 'pods/u1/volumes/downwardAPI/d'));
    expect(mounter.mounts.size).toBe(0);
  });

  test('what nearly all pods have cannot fill the tmpfs that they share', async () => {
    configMaps.set('kube-root-ca.crt', { data: { 'ca.crt': 'x'.repeat(sharedContentBytesMax) } });
    await expect(mount([own])).rejects.toThrow(
      `volume "kube-api-access": its files take more than ${sharedContentBytesMax} bytes; name fewer keys, or bring what is large in an image`,
    );
    await mount([own, secret]);
  });

  test('one key under thousands of paths is refused before it is written', async () => {
    configMaps.set('c', { data: { big: 'x'.repeat(900_000) } });
    const items = Array.from({ length: 5000 }, (_, index) => ({ key: 'big', path: `p${index}` }));
    const failure = mount([{ name: 'c', configMap: { name: 'c', items } }]);
    await expect(failure).rejects.toMatchObject({ code: 'E_LIMIT' });
    await expect(failure).rejects.toThrow(`more than ${podContentBytesMax} bytes`);
  });

  test('annotations under thousands of paths are asked for as often as there is room', async () => {
    let asked = 0;
    const items = Array.from({ length: 5000 }, (_, index) => ({ path: `p${index}`, fieldRef: { fieldPath: 'metadata.annotations' } })); // prettier-ignore
    const field = (): string => (asked++, 'x'.repeat(262_144));
    await expect(mount([{ name: 'd', downwardAPI: { items } }], field)).rejects.toThrow('more than');
    expect(asked).toBeLessThanOrEqual(podContentBytesMax / 262_144 + 1);
  });

  test('thousands of volumes and sources of one object have the pod’s room together', async () => {
    configMaps.set('c', { data: { big: 'x'.repeat(900_000) } });
    let asked = 0;
    const counted = configMaps.get.bind(configMaps);
    configMaps.get = (name) => (asked++, counted(name));
    const many = Array.from({ length: 2000 }, (_, index) => ({
      name: `v${index}`,
      configMap: { name: 'c' },
    }));
    await expect(mount(many)).rejects.toThrow('bytes together');
    expect(asked).toBeLessThan(100);
    const sources = Array.from({ length: 2000 }, () => ({ configMap: { name: 'c' } }));
    await expect(mount([{ name: 'p', projected: { sources } }])).rejects.toThrow('more than');
    expect(asked).toBeLessThan(200);
    configMaps.get = counted;
  });
});
