import { mkdirSync, mkdtempSync, writeFileSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { describe, expect, test } from 'vitest';
import type { Pod } from '#api/generated/objects.ts';
import { overLimit } from './evict.ts';

const kib = 1024;

interface Written {
  readonly layer?: number;
  readonly log?: number;
  readonly volume?: number;
  readonly hosts?: number;
  readonly message?: number;
}

/** What a pod would be evicted for that wrote so much, in KiB. */
async function verdict(pod: Pod, written: Written): Promise<string | undefined> {
  const root = mkdtempSync(path.join(tmpdir(), 'evict-'));
  await using _root = { [Symbol.asyncDispose]: () => rm(root, { recursive: true, force: true }) };

  const write = (file: string, size = 0): void => {
    mkdirSync(path.dirname(file), { recursive: true });
    writeFileSync(file, Buffer.alloc(size * kib, 'x'));
  };
  const directories = {
    pods: `${root}/pods`,
    podsMemory: `${root}/memory`,
    kubelet: `${root}/kubelet`,
    volumes: `${root}/volumes`,
    logs: `${root}/logs`,
  };
  write(`${root}/layer/deep/file`, written.layer);
  write(`${directories.logs}/ns_p_u/c/0.log`, written.log);
  write(`${directories.pods}/u/volumes/emptyDir/v/file`, written.volume);
  write(`${directories.pods}/u/etc-hosts`, written.hosts);
  write(`${directories.pods}/u/containers/c/0123456789ab`, written.message);
  const over = await overLimit(pod, { directories, writableLayers: new Map([['c', [`${root}/layer`]]]) });
  return over && `${over.signal}: ${over.message}`;
}

const podOf = (storage: string | undefined, sizeLimit?: string): Pod => ({
  metadata: { name: 'p', namespace: 'ns', uid: 'u' },
  spec: {
    containers: [
      {
        name: 'c',
        image: 'i',
        ...(storage === undefined ? {} : { resources: { limits: { 'ephemeral-storage': storage } } }),
      },
      { name: 'd', image: 'i' },
    ],
    volumes: [{ name: 'v', emptyDir: sizeLimit === undefined ? {} : { sizeLimit } }],
  },
});

describe('overLimit()', () => {
  test.each<[string, Pod, Written, string | undefined]>([
    ['no limit', podOf(undefined), { layer: 300, log: 300, volume: 300 }, undefined],
    ['within', podOf('1Mi', '1Mi'), { layer: 300, log: 300, volume: 300 }, undefined],
    [
      'a volume',
      podOf('1Mi', '100Ki'),
      { volume: 300 },
      'emptydirfs.limit: Usage of EmptyDir volume "v" exceeds the limit "100Ki". ',
    ],
    [
      'the pod, with what it wrote to its /etc/hosts',
      podOf('400Ki'),
      { hosts: 500 },
      'ephemeralpodfs.limit: Pod ephemeral local storage usage exceeds the total limit of containers 400Ki. ',
    ],
    [
      'the pod, with its messages of termination',
      podOf('400Ki'),
      { message: 500 },
      'ephemeralpodfs.limit: Pod ephemeral local storage usage exceeds the total limit of containers 400Ki. ',
    ],
    [
      'the pod, with its volumes',
      podOf('400Ki'),
      { layer: 300, volume: 300 },
      'ephemeralpodfs.limit: Pod ephemeral local storage usage exceeds the total limit of containers 400Ki. ',
    ],
  ])('%s', async (_name, pod, written, want) => {
    expect(await verdict(pod, written)).toBe(want);
  });

  test('a container, with its log, though the pod has room', async () => {
    const pod = podOf('400Ki');
    const roomy = { name: 'd', image: 'i', resources: { limits: { 'ephemeral-storage': '10Mi' } } };
    const [first] = pod.spec?.containers ?? [];
    if (first === undefined) throw new Error('no container');
    const two = { ...pod, spec: { ...pod.spec, containers: [first, roomy] } };
    expect(await verdict(two, { layer: 300, log: 300 })).toBe(
      'ephemeralcontainerfs.limit: Container c exceeded its local ephemeral storage limit "400Ki". ',
    );
  });
});
