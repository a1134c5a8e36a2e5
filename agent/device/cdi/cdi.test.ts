import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { isPodwrightError } from '#base/errors.ts';
import { createRandom } from '#base/random.fixture.ts';
import { scratchDirectory } from '#base/scratch-directory.fixture.ts';
import { noDevices, readContainerDevices } from '#agent/device/container-devices.ts';
import { cdiFilesMax, editsFor, readCdiFiles } from './cdi-files.ts';
import { isCdiKind, parseCdiName } from './cdi-name.ts';
import { cdiVersions, parseCdiSpec } from './cdi-spec.ts';

const root = scratchDirectory('cdi-');

const good = {
  cdiVersion: '1.0.0',
  kind: 'vendor.com/gpu',
  devices: [
    { name: '0', containerEdits: { env: ['A=0'], deviceNodes: [{ path: '/dev/g0' }] } },
    { name: 'all', containerEdits: { env: ['A=all'] } },
  ],
  containerEdits: { env: ['SHARED=1'], additionalGids: [0, 5] },
};

it.each([
  ['vendor.com/gpu=0', true],
  ['vendor.com/gpu=a:b-c.d_e', true],
  ['vendor.com/gpu', false],
  ['vendor.com/gpu=', false],
  ['vendor.com/gpu=0=1', false],
  ['vendor.com/gpu=-0', false],
  ['/gpu=0', false],
  ['a/b/c=0', false],
])('parseCdiName(%s)', (text, isName) => {
  expect(parseCdiName(text) !== undefined).toBe(isName);
});

const edited = (containerEdits: object, cdiVersion = '1.0.0'): object => ({
  ...good,
  cdiVersion,
  containerEdits,
});

describe('parseCdiSpec()', () => {
  it('reads every version, and what is left out', () => {
    for (const cdiVersion of cdiVersions) {
      const devices = [{ name: 'a', containerEdits: { deviceNodes: [{ path: '/dev/a' }] } }];
      const { devices: read } = parseCdiSpec({ cdiVersion, kind: 'v/c', devices });
      expect(read.get('a')?.deviceNodes).toMatchObject([{ hostPath: '/dev/a', permissions: 'rwm' }]);
    }
    expect(isCdiKind('v/c')).toBe(true);
    expect(parseCdiSpec(good).edits.additionalGids).toEqual([5]);
  });

  it.each([
    [null, 'the document: it is no object'],
    [{ ...good, cdiVersion: '2.0.0' }, 'cdiVersion: 2.0.0 is none of'],
    [{ ...good, kind: 'gpu' }, 'kind: "gpu" is no VENDOR/CLASS'],
    [{ ...good, devices: [] }, 'devices: there are none'],
    [{ ...good, more: 1 }, 'more: there is no such field'],
    [{ ...good, devices: [good.devices[1], good.devices[1]] }, 'devices[1].name: all is there twice'],
    [
      { ...good, cdiVersion: '0.4.0', containerEdits: {} },
      '"0" begins with a digit, which needs version 0.5.0',
    ],
    [edited({ env: ['A'] }), 'containerEdits.env[0]: NAME=value is wanted'],
    [edited({ mounts: [{ hostPath: 'a', containerPath: '/b' }] }), 'hostPath: "a" is no absolute path'],
    [edited({ deviceNodes: [{ path: '/dev/../x' }] }), 'path: "/dev/../x" is no absolute path'],
    [edited({ deviceNodes: [{ path: '/dev/x', type: 'z' }] }), 'type: z is none of'],
    [edited({ deviceNodes: [{ path: '/dev/x', permissions: 'q' }] }), 'permissions: q are some of rwm'],
    [edited({ additionalGids: [1] }, '0.6.0'), 'needs cdiVersion 0.7.0, and this is 0.6.0'],
    [edited({ additionalGids: [-1] }), 'a whole number from 0 on is wanted'],
    [edited({ env: 'A=b' }), 'containerEdits.env: a list is wanted'],
  ])('refuses %j', (document, why) => {
    expect(() => parseCdiSpec(document)).toThrow(why);
  });

  it('throws nothing but E_INVALID, whatever it reads', () => {
    const seed = Number(process.env['PODWRIGHT_FUZZ_SEED'] ?? Math.floor(Math.random() * 2 ** 31));
    const random = createRandom(seed);
    const odd = [null, 1, -1, '', '=', '/', 'a/b', [], {}, [null], [{}], true, 1e99, '\0'];
    const mutate = (value: unknown): unknown => {
      if (random() < 0.1) return odd[Math.floor(random() * odd.length)];
      if (Array.isArray(value)) return value.map(mutate);
      if (typeof value !== 'object' || value === null) return value;
      return Object.fromEntries(Object.entries(value).map(([key, each]) => [key, mutate(each)]));
    };
    const full = {
      ...good,
      containerEdits: {
        ...good.containerEdits,
        hooks: [{ hookName: 'createRuntime', path: '/x', args: ['x'], env: ['A=1'], timeout: 5 }],
      },
    };
    for (let run = 0; run < 500; run++) {
      const document = mutate(full);
      try {
        parseCdiSpec(document);
      } catch (error) {
        if (!isPodwrightError(error, 'E_INVALID'))
          throw new Error(`seed ${seed}: ${JSON.stringify(document)}`, { cause: error });
      }
    }
  });
});

describe('CDI files', () => {
  const write = (directory: string, name: string, document: unknown): void => {
    mkdirSync(join(root, directory), { recursive: true });
    const text = typeof document === 'string' ? document : JSON.stringify(document);
    writeFileSync(join(root, directory, name), text);
  };
  const read = (...directories: readonly string[]): ReturnType<typeof readCdiFiles> =>
    readCdiFiles(directories.map((directory) => join(root, directory)));

  it('give what a file says for all of its devices once, then what is of each', async () => {
    write('a', 'gpu.json', good);
    write(
      'a',
      'other.yaml',
      'cdiVersion: 0.6.0\nkind: other.com/x\ndevices:\n- name: dev\n  containerEdits: {env: [B=1]}\n',
    );
    write('a', 'notes.txt', 'x');
    const files = await read('a', 'none');
    const names = ['vendor.com/gpu=0', 'vendor.com/gpu=all', 'other.com/x=dev', 'vendor.com/gpu=0'];
    const env = editsFor(names, files).flatMap((edits) => edits.env);
    expect(env).toEqual(['SHARED=1', 'A=0', 'A=all', 'B=1']);
  });

  it('of a later directory go before; within one, two that have a device are in conflict', async () => {
    write('b', 'gpu.json', good);
    write('c', 'gpu.json', { ...good, containerEdits: { env: ['LATER=1'] } });
    const [edits] = editsFor(['vendor.com/gpu=0'], await read('b', 'c'));
    expect(edits?.env).toEqual(['LATER=1']);
    write('c', 'twice.json', good);
    const files = await read('b', 'c');
    expect(() => editsFor(['vendor.com/gpu=0'], files)).toThrow('conflicting device "vendor.com/gpu=0"');
  });

  it('that do not have a device, or cannot be read, are named', async () => {
    write('d', 'bad.json', '{');
    const files = await read('d');
    expect(() => editsFor(['vendor.com/gpu=9', 'rubbish'], files)).toThrow(
      /unresolvable CDI devices vendor.com\/gpu=9, rubbish \(not read: .*bad.json: /,
    );
    write('d', 'gpu.json', edited({ intelRdt: {} }));
    const rdt = await read('d');
    expect(() => editsFor(['vendor.com/gpu=0'], rdt)).toThrow('containerEdits.intelRdt');
    const moved = { netDevices: [{ hostInterfaceName: 'eth1', name: 'net0' }] };
    write('d', 'gpu.json', edited(moved, '1.1.0'));
    const net = await read('d');
    expect(() => editsFor(['vendor.com/gpu=0'], net)).toThrow('containerEdits.netDevices');
    expect(() => parseCdiSpec(edited(moved, '1.0.0'))).toThrow('needs cdiVersion 1.1.0');
  });

  it('have hooks, which the container has by their stages', async () => {
    const hook = { hookName: 'createContainer', path: '/usr/bin/nvidia-ctk', args: ['nvidia-ctk', 'hook'] };
    const late = { hookName: 'poststop', path: '/bin/true', env: ['A=1'], timeout: 5 };
    write('h', 'gpu.json', edited({ hooks: [hook, late, { ...hook, args: ['second'] }] }));
    const answer = { env: [], mounts: [], nodes: [], annotations: {}, cdiDevices: ['vendor.com/gpu=all'] };
    const { hooks } = await readContainerDevices([answer], [join(root, 'h')]);
    expect(hooks).toEqual({
      createContainer: [
        { path: hook.path, args: hook.args },
        { path: hook.path, args: ['second'] },
      ],
      poststop: [{ path: '/bin/true', env: ['A=1'], timeout: 5 }],
    });
    for (const [wrong, why] of [
      [{ hookName: 'preStart' }, 'hookName: preStart is none of prestart, createRuntime'],
      [{ path: 'bin/x' }, 'path: "bin/x" is no absolute path'],
      [{ env: ['A'] }, 'env[0]: NAME=value is wanted'],
      [{ timeout: -1 }, 'timeout: a whole number'],
      [{ other: 1 }, 'other: there is no such field'],
    ] as const)
      expect(() => parseCdiSpec(edited({ hooks: [{ ...hook, ...wrong }] }))).toThrow(why);
  });

  it('are named alone to a runtime that follows them itself', async () => {
    const annotations = { 'cdi.k8s.io/plugin': 'vendor.com/gpu=1', own: 'x' };
    const answer = { env: [], mounts: [], nodes: [], annotations, cdiDevices: ['vendor.com/gpu=not-here'] };
    const given = await readContainerDevices([answer, answer], undefined);
    expect(given).toEqual({ ...noDevices, annotations, cdiDevices: ['vendor.com/gpu=not-here'] });
  });

  it('are no more than there may be', async () => {
    for (let file = 0; file <= cdiFilesMax; file++) write('e', `${file}.json`, '{}');
    await expect(read('e')).rejects.toMatchObject({ code: 'E_LIMIT' });
  });
});
