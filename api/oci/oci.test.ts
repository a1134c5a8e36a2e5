import { assert, property, string, uint8Array } from 'fast-check';
import { describe, expect, it } from 'vitest';
import { isPodwrightError } from '#base/errors.ts';
import { parseImageConfig, requirePlatform } from './config.ts';
import { parseDockerArchive } from './docker-archive.ts';
import { orderManifests, parseManifest, type Descriptor } from './manifest.ts';
import { platformOf, rankPlatform } from './platform.ts';
import { formatReference, isImageId, parseReference } from './reference.ts';

const hex = 'a'.repeat(64);
const digest = `sha256:${hex}`;
const json = (value: unknown): Buffer => Buffer.from(JSON.stringify(value));

describe('parseReference()', () => {
  it.each([
    ['busybox', 'docker.io/library/busybox:latest'],
    ['busybox:1.36', 'docker.io/library/busybox:1.36'],
    ['podwright/demo', 'docker.io/podwright/demo:latest'],
    ['docker.io/busybox', 'docker.io/library/busybox:latest'],
    ['index.docker.io/library/busybox', 'docker.io/library/busybox:latest'],
    ['localhost/app', 'localhost/app:latest'],
    ['localhost:5000/app', 'localhost:5000/app:latest'],
    ['127.0.0.1:5000/team/app:v1', '127.0.0.1:5000/team/app:v1'],
    ['[::1]:5000/app', '[::1]:5000/app:latest'],
    ['registry.k8s.io/pause:3.9', 'registry.k8s.io/pause:3.9'],
    ['gcr.io/a/b/c/d', 'gcr.io/a/b/c/d:latest'],
    [`busybox@${digest}`, `docker.io/library/busybox@${digest}`],
    [`localhost:5000/app:v1@${digest}`, `localhost:5000/app:v1@${digest}`],
    ['Host/app', 'Host/app:latest'],
    ['a__b/c-d.e', 'docker.io/a__b/c-d.e:latest'],
  ])('%s is %s', (text, want) => {
    expect(formatReference(parseReference(text))).toBe(want);
  });

  it.each([
    ['', 'malformed'],
    ['Busybox', 'lower case'],
    ['busybox:', 'is not a tag'],
    ['busybox:-x', 'is not a tag'],
    ['busy box', 'malformed'],
    ['a//b', 'malformed'],
    ['../etc', 'registry host'],
    ['busybox@sha256:12', 'digest'],
    ['busybox@md5:00', 'digest'],
    [`busybox@sha512:${'a'.repeat(64)}`, 'digest'],
    ['-host.example/app', 'registry host'],
    [`x.io/${'a'.repeat(300)}`, 'too long'],
  ])('refuses %j: %s', (text, why) => {
    expect(() => parseReference(text)).toThrow(why);
  });

  it('only ever throws E_INVALID, and what it gives parses to itself', () => {
    assert(
      property(string({ maxLength: 60 }), (text) => {
        try {
          const once = formatReference(parseReference(text));
          expect(formatReference(parseReference(once))).toBe(once);
        } catch (error) {
          expect(isPodwrightError(error, 'E_INVALID')).toBe(true);
        }
      }),
    );
  });
});

describe('isImageId()', () => {
  it.each([
    [hex, true],
    [digest, true],
    ['busybox', false],
    [hex.slice(1), false],
  ])('%s: %s', (text, want) => {
    expect(isImageId(text)).toBe(want);
  });
});

describe('parseManifest()', () => {
  const descriptor = { mediaType: 'x', digest, size: 1 };

  it('reads manifests and indexes of both families', () => {
    const manifest = parseManifest(json({ schemaVersion: 2, config: descriptor, layers: [descriptor] }));
    expect(manifest).toMatchObject({
      kind: 'manifest',
      config: { digest, sizeBytes: 1 },
      layers: [{ digest }],
    });
    const platform = { os: 'linux', architecture: 'arm64', variant: 'v8' };
    const index = parseManifest(json({ schemaVersion: 2, manifests: [{ ...descriptor, platform }] }));
    expect(index).toMatchObject({ kind: 'index', manifests: [{ platform }] });
  });

  it.each([
    [{ schemaVersion: 1 }, 'only schema version 2'],
    [{ schemaVersion: 2 }, 'config: not an object'],
    [
      { schemaVersion: 2, config: { ...descriptor, digest: 'sha256:00' } },
      'config: digest: "sha256:00" is no digest',
    ],
    [{ schemaVersion: 2, config: { ...descriptor, size: -1 } }, 'config: size: not a size'],
    [{ schemaVersion: 2, config: descriptor, layers: {} }, 'layers: not an array'],
    [{ schemaVersion: 2, config: descriptor, layers: [null] }, 'layers[0]: not an object'],
    [
      { schemaVersion: 2, config: descriptor, layers: Array.from({ length: 501 }, () => descriptor) },
      'more than 500 layers',
    ],
    [{ schemaVersion: 2, manifests: [], layers: [] }, 'both an index and a manifest'],
    [[], 'not an object'],
    [null, 'not an object'],
  ])('refuses %j', (value, why) => {
    expect(() => parseManifest(json(value))).toThrow(why);
  });

  it('only ever throws our own errors', () => {
    assert(
      property(uint8Array({ maxLength: 100 }), (bytes) => {
        for (const parse of [parseManifest, parseImageConfig, parseDockerArchive]) {
          try {
            parse(bytes);
          } catch (error) {
            expect(isPodwrightError(error)).toBe(true);
          }
        }
      }),
    );
  });
});

describe('rankPlatform()', () => {
  const of = (text: string): Descriptor['platform'] & object => {
    const [os = '', architecture = '', variant] = text.split('/');
    return { os, architecture, variant };
  };
  const flags = (text: string): ReadonlySet<string> => new Set(text.split(' '));
  const v2 = 'cx16 lahf_lm popcnt pni sse4_1 sse4_2 ssse3';
  const v3 = `${v2} avx avx2 bmi1 bmi2 f16c fma abm movbe xsave`;

  it.each([
    {
      machine: platformOf('x64', flags(v3)),
      order: ['linux/amd64', 'linux/amd64/v3', 'linux/amd64/v2', 'linux/386'],
    },
    { machine: platformOf('x64', flags(v2)), order: ['linux/amd64/v1', 'linux/amd64/v2', 'linux/386'] },
    { machine: platformOf('x64'), order: ['linux/x86_64', 'linux/i386'] },
    {
      machine: platformOf('arm64'),
      order: ['linux/arm64/v8', 'linux/arm/v8', 'linux/arm/v7', 'linux/arm/v6', 'linux/arm/v5'],
    },
    { machine: platformOf('arm64'), order: ['linux/aarch64', 'linux/arm', 'linux/armel'] },
    { machine: of('linux/arm/v6'), order: ['linux/arm/v6', 'linux/arm/v5'] },
    { machine: of('linux/riscv64'), order: ['Linux/riscv64'] },
  ])('$machine.architecture $machine.variant takes $order', ({ machine, order }) => {
    const all = [...'amd64 amd64/v2 amd64/v3 amd64/v4 arm64 arm64/v9 s390x arm/v7 386'.split(' ')].map(
      (each) => `linux/${each}`,
    );
    const ranks = order.map((each) => rankPlatform(of(each), machine) ?? NaN);
    expect(ranks).toEqual(ranks.toSorted((a, b) => a - b));
    expect(new Set(ranks).size).toBe(order.length);
    expect(rankPlatform(of(`windows/${machine.architecture}`), machine)).toBeUndefined();
    expect(all.filter((each) => rankPlatform(of(each), machine) === 0).length).toBeLessThan(2);
  });

  it('takes the best of an index, then those that name nothing, in its order', () => {
    const named = (text: string | undefined, sizeBytes: number): Descriptor => ({
      mediaType: '',
      digest,
      sizeBytes,
      annotations: {},
      urls: [],
      platform: text === undefined ? undefined : of(text),
    });
    const manifests = [
      named(undefined, 1),
      named('linux/386', 2),
      named('linux/amd64', 3),
      named('unknown/unknown', 4),
      named('linux/amd64/v1', 5),
      named('linux/arm64', 6),
    ];
    expect(orderManifests(manifests, platformOf('x64')).map((each) => each.sizeBytes)).toEqual([3, 5, 2, 1]);
  });
});

describe('parseImageConfig()', () => {
  const base = { os: 'linux', architecture: 'amd64', rootfs: { type: 'layers', diff_ids: [digest] } };

  it('reads what running needs, and nulls as absent', () => {
    const config = parseImageConfig(
      json({
        ...base,
        config: {
          User: 'web',
          Env: ['A=1'],
          Cmd: ['x'],
          Entrypoint: null,
          ExposedPorts: { '80/tcp': {} },
          StopSignal: 'SIGINT',
        },
      }),
    );
    expect(config).toMatchObject({
      diffIds: [digest],
      user: 'web',
      env: ['A=1'],
      cmd: ['x'],
      entrypoint: [],
      exposedPorts: ['80/tcp'],
      stopSignal: 'SIGINT',
      workingDir: '',
    });
    expect(parseImageConfig(json(base))).toMatchObject({ user: '', env: [], cmd: [] });
    expect(parseImageConfig(json({ ...base, config: { Entrypoint: '/bare' } })).entrypoint).toEqual([
      '/bare',
    ]);
  });

  it.each([
    [{ ...base, rootfs: { type: 'other' } }, 'is not "layers"'],
    [{ ...base, rootfs: { type: 'layers', diff_ids: ['../x'] } }, 'diff_ids[0]'],
    [{ ...base, config: { Env: 'A=1' } }, 'Env: not an array'],
    [{}, 'it names no layers (rootfs)'],
  ])('refuses %j', (value, why) => {
    expect(() => parseImageConfig(json(value))).toThrow(why);
  });

  it('refuses another machine', () => {
    const config = parseImageConfig(json({ ...base, architecture: 's390x' }));
    expect(() => requirePlatform(config, platformOf('x64'), 'a')).toThrow(
      'it is for linux/s390x, this machine is linux/amd64',
    );
  });
});

describe('parseDockerArchive()', () => {
  it('reads images, with null where there are no tags', () => {
    expect(parseDockerArchive(json([{ Config: 'c.json', RepoTags: null, Layers: ['a/layer.tar'] }]))).toEqual(
      [{ config: 'c.json', repoTags: [], layers: ['a/layer.tar'] }],
    );
  });

  it.each([[[]], [{}], [[{ Layers: [] }]], [[{ Config: 'c', Layers: [1] }]]])('refuses %j', (value) => {
    expect(() => parseDockerArchive(json(value))).toThrow('manifest.json');
  });
});
