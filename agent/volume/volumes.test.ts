import {
  existsSync,
  chmodSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  readlinkSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { createServer } from 'node:net';
import { once } from 'node:events';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { Worker } from 'node:worker_threads';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { ConfigMap, Pod, Secret, Volume } from '#api/generated/objects.ts';
import { writeAtomically } from './atomic-writer.ts';
import { noClaims } from './claims/no-claims.fixture.ts';
import { createFakeMounter, type FakeMounter } from './mounter.fake.ts';
import { createPodVolumes, type PodVolumes } from './pod-volumes.ts';
import { bindSubPath, readInside } from './sub-path.ts';
import { volumeKinds } from './volume-kinds.ts';

let root: string;
let mounter: FakeMounter;
let volumes: PodVolumes;
const configMaps = new Map<string, ConfigMap>();
const secrets = new Map<string, Secret>();
const isRoot = process.getuid?.() === 0;

beforeEach(() => {
  root = mkdtempSync(path.join(tmpdir(), 'volumes-'));
  mounter = createFakeMounter();
  configMaps.clear();
  secrets.clear();
  volumes = createPodVolumes({
    directory: path.join(root, 'pods'),
    memoryDirectory: path.join(root, 'memory'),
    mounter,
    objects: () => ({
      ...noClaims,
      configMap: async (_namespace, name) => configMaps.get(name),
      secret: async (_namespace, name) => secrets.get(name),
      serviceAccountToken: async ({ audience }) => ({
        token: `token for ${audience ?? 'the api'}`,
        refreshAtMs: 5000,
      }),
      podCertificate: async ({ source }) => ({
        ...{ keyPem: `key ${source.keyType}\n`, chainPem: `by ${source.signerName}\n`, refreshAtMs: 7000 },
      }),
    }),
  });
});
afterEach(() => rmSync(root, { recursive: true, force: true }));

const mount = (volume: Volume, spec: Partial<Pod['spec']> = {}) =>
  volumes.mount({
    pod: {
      metadata: { uid: 'u1', namespace: 'ns', name: 'p' },
      spec: { containers: [], volumes: [volume], ...spec },
    },
    downward: {
      field: (field) => `value of ${field}`,
      resource: (container, resource) => `${container}/${resource}`,
    },
    now: 0,
    signal: new AbortController().signal,
  });
const mountOne = async (volume: Volume, spec: Partial<Pod['spec']> = {}): Promise<string> => {
  const { byName } = await mount(volume, spec);
  return byName.get(volume.name)?.path ?? '';
};
const read = (...parts: readonly string[]): string => readFileSync(path.join(...parts), 'utf8');
const modeOf = (file: string): string => (statSync(file).mode & 0o7777).toString(8);

describe('volumes', () => {
  test('emptyDir is writable by all and stays over a repeat', async () => {
    const directory = await mountOne({ name: 'v', emptyDir: {} });
    writeFileSync(path.join(directory, 'kept'), 'x');
    expect(modeOf(directory)).toBe('777');
    expect(await mountOne({ name: 'v', emptyDir: {} })).toBe(directory);
    expect(read(directory, 'kept')).toBe('x');
  });

  test('emptyDir in memory is no larger than the memory of its pod', async () => {
    const containers = [{ name: 'c', image: 'i', resources: { limits: { memory: '1Mi' } } }];
    const volume: Volume = { name: 'v', emptyDir: { medium: 'Memory', sizeLimit: '64Mi' } };
    const directory = await mountOne(volume, { containers });
    expect([...mounter.mounts]).toEqual([[directory, 'tmpfs 1048576']]);
  });

  test.each<[medium: string, sizes: readonly string[], want: string]>([
    ['HugePages', ['2Mi'], 'hugetlbfs 2097152'],
    ['HugePages-1Gi', ['2Mi', '1Gi'], 'hugetlbfs 1073741824'],
    ['HugePages', ['2Mi', '1Gi'], 'the containers request several page sizes'],
    ['HugePages', [], 'there is no resource request for huge pages'],
    ['HugePages-1Gi', ['2Mi'], 'no resource request for huge pages of the size'],
    ['Disk', [], 'emptyDir medium Disk is not supported'],
  ])('emptyDir of medium %s where %j is asked for: %s', async (medium, sizes, want) => {
    const limits = Object.fromEntries(sizes.map((size) => [`hugepages-${size}`, size]));
    const containers = [{ name: 'c', image: 'i', resources: { limits } }];
    const told = await mountOne({ name: 'v', emptyDir: { medium } }, { containers }).catch(
      (error: Error) => error.message,
    );
    expect([...mounter.mounts.values(), told].join(' ')).toContain(want);
  });

  test.each<[string, Partial<Pod['spec']>, string | undefined, number]>([
    ['what all pods have', {}, undefined, 1000],
    ['its limit', {}, '100', 100],
    ['what all pods have, where its limit is more', {}, '2k', 1000],
    ['the limit of its pod', { resources: { limits: { memory: '50' } } }, '100', 50],
    [
      'not of some of its containers',
      {
        containers: [
          { name: 'a', image: 'i', resources: { limits: { memory: '50' } } },
          { name: 'b', image: 'i' },
        ],
      },
      undefined,
      1000,
    ],
  ])('emptyDir in memory is of the size of %s', async (_name, spec, sizeLimit, want) => {
    volumes = createPodVolumes({
      ...{ directory: path.join(root, 'pods'), memoryDirectory: path.join(root, 'memory'), mounter },
      objects: () => ({
        ...noClaims,
        configMap: async () => undefined,
        secret: async () => undefined,
        serviceAccountToken: () => Promise.reject(new Error('not asked')),
      }),
      allocatable: { memoryBytes: 1000 },
    });
    const limit = sizeLimit === undefined ? {} : { sizeLimit };
    await mountOne({ name: 'v', emptyDir: { medium: 'Memory', ...limit } }, spec);
    expect([...mounter.mounts.values()]).toEqual([`tmpfs ${want}`]);
  });

  test('emptyDir of huge pages that the pod asks for as a whole', async () => {
    await mountOne(
      { name: 'v', emptyDir: { medium: 'HugePages' } },
      { resources: { limits: { 'hugepages-2Mi': '4Mi' } } },
    );
    expect([...mounter.mounts.values()]).toEqual(['hugetlbfs 2097152']);
  });

  test('emptyDir in memory is a tmpfs of its size limit, mounted once and unmounted', async () => {
    const volume: Volume = { name: 'v', emptyDir: { medium: 'Memory', sizeLimit: '64Mi' } };
    const directory = await mountOne(volume);
    await mountOne(volume);
    expect([...mounter.mounts]).toEqual([[directory, 'tmpfs 67108864']]);
    await volumes.remove('u1');
    expect(mounter.mounts.size).toBe(0);
    expect(await volumes.uids()).toEqual([]);
  });

  test('configMap files follow the object, all at once', async () => {
    configMaps.set('c', {
      data: { a: '1', b: '2' },
      binaryData: { bin: Buffer.from([0, 255]).toString('base64') },
    });
    const volume: Volume = { name: 'v', configMap: { name: 'c' } };
    const directory = await mountOne(volume);
    expect(read(directory, 'a') + read(directory, 'b')).toBe('12');
    expect(readFileSync(path.join(directory, 'bin'))).toEqual(Buffer.from([0, 255]));
    const before = readlinkSync(path.join(directory, '..data'));
    await mountOne(volume);
    expect(readlinkSync(path.join(directory, '..data'))).toBe(before);
    configMaps.set('c', { data: { a: '3', c: '4' } });
    await mountOne(volume);
    expect(readdirSync(directory).filter((name) => !name.startsWith('..'))).toEqual(['a', 'c']);
    expect(read(directory, 'a')).toBe('3');
    expect(readdirSync(directory).filter((name) => name.startsWith('..'))).toHaveLength(2);
  });

  test('items choose keys, paths and modes', async () => {
    secrets.set('s', { data: { k: Buffer.from('v').toString('base64'), other: '' } });
    const directory = await mountOne({
      name: 'v',
      secret: {
        secretName: 's',
        defaultMode: 0o400,
        items: [{ key: 'k', path: 'deep/er/file', mode: 0o640 }],
      },
    });
    expect(read(directory, 'deep/er/file')).toBe('v');
    expect(modeOf(path.join(directory, 'deep/er/file'))).toBe('640');
    expect(readdirSync(directory).filter((name) => !name.startsWith('..'))).toEqual(['deep']);
  });

  test('what is missing is named, unless it is optional', async () => {
    await expect(mount({ name: 'v', configMap: { name: 'c' } })).rejects.toThrow('configmap "c" not found');
    await expect(mount({ name: 'v', secret: { secretName: 's' } })).rejects.toThrow('secret "s" not found');
    configMaps.set('c', { data: {} });
    const items = [{ key: 'k', path: 'p' }];
    await expect(mount({ name: 'v', configMap: { name: 'c', items } })).rejects.toThrow(
      'references non-existent config key: k',
    );
    secrets.set('s', { data: {} });
    await expect(mount({ name: 's', secret: { secretName: 's', items } })).rejects.toThrow(
      'references non-existent secret key: k',
    );
    secrets.delete('s');
    expect(
      readdirSync(await mountOne({ name: 'v', configMap: { name: 'c', items, optional: true } })),
    ).toHaveLength(2);
    await mount({ name: 'w', secret: { secretName: 's', optional: true } });
  });

  test.each(['../x', '/x', 'a/../../x', '..data', ''])(
    'a path %j does not leave the volume',
    async (file) => {
      configMaps.set('c', { data: { k: 'v' } });
      await expect(
        mount({ name: 'v', configMap: { name: 'c', items: [{ key: 'k', path: file }] } }),
      ).rejects.toMatchObject({ code: 'E_INVALID' });
    },
  );

  test('projected puts its sources together and says when to refresh', async () => {
    configMaps.set('kube-root-ca.crt', { data: { 'ca.crt': 'CA' } });
    const sources = [
      { serviceAccountToken: { path: 'token', audience: 'vault' } },
      { configMap: { name: 'kube-root-ca.crt' } },
      { downwardAPI: { items: [{ path: 'namespace', fieldRef: { fieldPath: 'metadata.namespace' } }] } },
    ];
    const { byName, refreshAtMs } = await mount({ name: 'v', projected: { sources } });
    const directory = byName.get('v')?.path ?? '';
    expect([read(directory, 'token'), read(directory, 'ca.crt'), read(directory, 'namespace')]).toEqual([
      'token for vault',
      'CA',
      'value of metadata.namespace',
    ]);
    expect(refreshAtMs).toBe(5000);
    expect(modeOf(path.join(directory, 'token'))).toBe('644');
  });

  test('downwardAPI shows fields and resources', async () => {
    const items = [
      { path: 'labels', fieldRef: { fieldPath: 'metadata.labels' } },
      { path: 'cpu', resourceFieldRef: { containerName: 'a', resource: 'limits.cpu' } },
    ];
    const directory = await mountOne({ name: 'v', downwardAPI: { items } });
    expect([read(directory, 'labels'), read(directory, 'cpu')]).toEqual([
      'value of metadata.labels',
      'a/limits.cpu',
    ]);
  });

  test.skipIf(!isRoot)('fsGroup owns what volumes make (needs root)', async () => {
    configMaps.set('c', { data: { a: '1' } });
    const spec = { securityContext: { fsGroup: 2000 } };
    const empty = statSync(await mountOne({ name: 'e', emptyDir: {} }, spec));
    expect([empty.gid, (empty.mode & 0o7777).toString(8)]).toEqual([2000, '2777']);
    const directory = await mountOne({ name: 'c', configMap: { name: 'c', defaultMode: 0o400 } }, spec);
    const file = statSync(path.join(directory, 'a'));
    expect([file.gid, (file.mode & 0o777).toString(8)]).toEqual([2000, '440']);
  });

  test('a mount that failed is over, and does not write beside the next', async () => {
    const server = Promise.withResolvers<void>();
    let tokens = 0;
    volumes = createPodVolumes({
      directory: path.join(root, 'pods'),
      memoryDirectory: path.join(root, 'memory'),
      mounter,
      objects: () => ({
        ...noClaims,
        configMap: async () => {
          await server.promise; // A list is asked for again and again, a token once.
          return { metadata: {}, data: { a: '1' } };
        },
        secret: async () => undefined,
        serviceAccountToken: async () => {
          if (tokens++ < 2) throw new Error('connection closed');
          return { token: 'token', refreshAtMs: 5000 };
        },
      }),
    });
    const config: Volume = { name: 'c', configMap: { name: 'c' } };
    const token: Volume = { name: 't', projected: { sources: [{ serviceAccountToken: { path: 'token' } }] } };
    const attempt = () => mount(config, { volumes: [config, token] });
    setImmediate(() => server.resolve());
    await expect(attempt()).rejects.toThrow('connection closed');
    await expect(attempt()).rejects.toThrow('connection closed');
    const { byName } = await attempt();
    expect(read(byName.get('c')?.path ?? '', 'a')).toBe('1');
  });

  test('a certificate is there for its reader, with its key, in the files that are asked for', async () => {
    const source = { signerName: 's/x', keyType: 'ED25519' };
    const paths = { credentialBundlePath: 'both', keyPath: 'key', certificateChainPath: 'chain' };
    const volume = { name: 'v', projected: { sources: [{ podCertificate: { ...source, ...paths } }] } };
    const { byName, refreshAtMs } = await mount(volume);
    const at = byName.get('v')?.path ?? '';
    expect(['both', 'key', 'chain'].map((file) => read(at, file))).toEqual([
      ...['key ED25519\nby s/x\n', 'key ED25519\n', 'by s/x\n'],
    ]);
    expect(refreshAtMs).toBe(7000);
    const user = { containers: [{ name: 'c', image: 'i', securityContext: { runAsUser: 0 } }] };
    expect(modeOf(path.join(await mountOne(volume, user), 'key'))).toBe('600');
  });

  test('an unknown kind is refused by name', async () => {
    const iscsi = { targetPortal: '192.0.2.1', iqn: 'iqn.2001-04.com.example:x', lun: 0 };
    await expect(mount({ name: 'v', iscsi })).rejects.toThrow(
      'volume "v": kind iscsi is not supported by this node',
    );
  });

  test('a share of an NFS server is mounted once for the pod, and unmounted with it', async () => {
    const share: Volume = { name: 'v', nfs: { server: 'nas', path: '/export', readOnly: true } };
    const { byName } = await mount(share);
    const { path: target = '', isReadOnly } = byName.get('v') ?? {};
    expect([...mounter.mounts]).toEqual([[target, 'nfs nas:/export ro']]);
    expect(isReadOnly).toBe(true);
    mounter.nfs = async () => {
      throw new Error('it is there');
    };
    await mount(share);
    await volumes.remove('u1');
    expect([...mounter.mounts]).toEqual([]);
    expect(existsSync(target)).toBe(false);
  });

  test('the table says which kinds there are', () => {
    expect(Object.keys(volumeKinds)).toEqual([
      'emptyDir',
      'configMap',
      'secret',
      'projected',
      'downwardAPI',
      'hostPath',
      'persistentVolumeClaim',
      'ephemeral',
      'csi',
      'image',
      'nfs',
    ]);
  });
});

describe('hostPath', () => {
  const types = [
    'Directory',
    'DirectoryOrCreate',
    'File',
    'FileOrCreate',
    'Socket',
    'CharDevice',
    'BlockDevice',
  ] as const;
  const accepts: Readonly<Record<string, readonly string[]>> = {
    directory: ['Directory', 'DirectoryOrCreate'],
    file: ['File', 'FileOrCreate'],
    socket: ['Socket'],
    device: ['CharDevice'],
    missing: ['DirectoryOrCreate', 'FileOrCreate'],
  };
  test.each(Object.keys(accepts))('a %s passes for its types only', async (what) => {
    const server = createServer();
    const places: Readonly<Record<string, string>> = {
      directory: root,
      file: path.join(root, 'f'),
      socket: path.join(root, 's'),
      device: '/dev/null',
    };
    writeFileSync(path.join(root, 'f'), '');
    server.listen(path.join(root, 's'));
    await once(server, 'listening');
    const passed: string[] = [];
    for (const type of types) {
      const place = places[what] ?? path.join(root, `missing-${type}`);
      const result = await mount({ name: 'v', hostPath: { path: place, type } }).catch(
        (error: Error) => error,
      );
      if (!(result instanceof Error)) passed.push(type);
      else expect(result.message).toMatch('hostPath type check failed');
    }
    server.close();
    expect(passed).toEqual(accepts[what]);
  });
});

/** Reads both files of what ..data points at, until it is told to stop; then says which pairs differed. */
const readPairs = `
const { readFileSync, readlinkSync } = require('node:fs');
const { parentPort, receiveMessageOnPort, workerData } = require('node:worker_threads');
const mixtures = [];
const readPair = () => {
  const current = workerData + '/' + readlinkSync(workerData + '/..data');
  try {
    const [a, b] = ['a', 'b'].map((name) => readFileSync(current + '/' + name, 'utf8'));
    if (a !== b) mixtures.push([a, b]);
  } catch (error) {
    if (error.code !== 'ENOENT') throw error; // The old files went while they were read.
  }
};
readPair();
parentPort.postMessage('first pair read');
while (receiveMessageOnPort(parentPort) === undefined) readPair();
parentPort.postMessage(mixtures);
`;

describe('writeAtomically()', () => {
  test('a reader sees the old files or the new, never a mixture', async () => {
    const directory = path.join(root, 'v');
    const payload = (text: string) =>
      new Map(['a', 'b'].map((name) => [name, { data: Buffer.from(text), mode: 0o644 }]));
    await writeAtomically(directory, payload('0'), undefined);
    const reader = new Worker(readPairs, { eval: true, workerData: directory });
    const [first] = await once(reader, 'message');
    expect(first).toBe('first pair read');
    // On another thread it reads in between the calls of a write.
    for (let i = 1; i <= 200; i++) await writeAtomically(directory, payload(String(i)), undefined);
    // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a thread, not a window
    reader.postMessage('stop');
    const [mixtures] = await once(reader, 'message');
    await reader.terminate();
    expect(mixtures).toEqual([]);
    expect(await writeAtomically(directory, payload('200'), undefined)).toBe(false);
  });

  test('names that a writer did not live to make are made by the next, though the files are as wanted', async () => {
    const directory = path.join(root, 'v');
    const payload = new Map(['a', 'b'].map((name) => [name, { data: Buffer.from(name), mode: 0o600 }]));
    await writeAtomically(directory, payload, undefined);
    rmSync(path.join(directory, 'b'));
    expect(await writeAtomically(directory, payload, undefined)).toBe(false);
    expect(readFileSync(path.join(directory, 'b'), 'utf8')).toBe('b');
    expect(statSync(path.join(directory, 'b')).mode & 0o777).toBe(0o600);
  });

  test('removes what a writer left that was cut off, and nothing that a forged link names', async () => {
    const directory = path.join(root, 'v');
    mkdirSync(path.join(root, 'host'), { recursive: true });
    writeFileSync(path.join(root, 'host/file'), '');
    const payload = new Map([['a', { data: Buffer.from('1'), mode: 0o644 }]]);
    await writeAtomically(directory, payload, undefined);
    mkdirSync(path.join(directory, '..CutOff'));
    rmSync(path.join(directory, '..data'));
    symlinkSync('../host', path.join(directory, '..data'));
    expect(await writeAtomically(directory, payload, undefined)).toBe(true);
    expect(readdirSync(path.join(root, 'host'))).toEqual(['file']);
    const hidden = readdirSync(directory).filter((name) => name.startsWith('..'));
    expect(hidden.toSorted()).toEqual([readlinkSync(path.join(directory, '..data')), '..data'].toSorted());
  });
});

describe('bindSubPath()', () => {
  const bind = (subPath: string) =>
    bindSubPath({ root: path.join(root, 'v'), subPath, target: path.join(root, 'sub/c/0'), mounter });
  beforeEach(() => {
    mkdirSync(path.join(root, 'v/dir'), { recursive: true });
    mkdirSync(path.join(root, 'secret'));
    writeFileSync(path.join(root, 'v/dir/file'), 'content');
  });

  test('binds directories and files, through links inside', async () => {
    expect(await bind('dir')).toMatchObject({ isFile: false });
    symlinkSync('dir/file', path.join(root, 'v/link'));
    const bound = await bind('link');
    expect(bound.isFile).toBe(true);
    expect(read(bound.path)).toBe('content');
  });

  test('makes what is missing, as open as the volume', async () => {
    chmodSync(path.join(root, 'v'), 0o777);
    await bind('new/deep');
    expect(modeOf(path.join(root, 'v/new/deep'))).toBe('777');
  });

  test.each(['../secret', '/etc', 'out', 'dir/out', 'loop'])('refuses %j', async (subPath) => {
    symlinkSync(path.join(root, 'secret'), path.join(root, 'v/out'));
    symlinkSync('../../secret', path.join(root, 'v/dir/out'));
    symlinkSync('loop', path.join(root, 'v/loop'));
    await expect(bind(subPath)).rejects.toThrow('leads out of the volume');
    expect(mounter.mounts.size).toBe(0);
  });
});

describe('readInside()', () => {
  test('reads a file of a volume, and nothing through links out of it', async () => {
    mkdirSync(path.join(root, 'v/dir'), { recursive: true });
    writeFileSync(path.join(root, 'v/dir/file'), 'content');
    writeFileSync(path.join(root, 'secret'), 'hidden');
    symlinkSync(path.join(root, 'secret'), path.join(root, 'v/out'));
    expect(await readInside(path.join(root, 'v'), 'dir/file', 100)).toBe('content');
    expect(await readInside(path.join(root, 'v'), 'dir/none', 100)).toBeUndefined();
    await expect(readInside(path.join(root, 'v'), 'out', 100)).rejects.toThrow('leads out of the volume');
    await expect(readInside(path.join(root, 'v'), 'dir', 100)).rejects.toThrow('not a file');
    await expect(readInside(path.join(root, 'v'), 'dir/file', 3)).rejects.toThrow('7 bytes, at most 3');
  });
});
