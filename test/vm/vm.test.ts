import { describe, expect, it } from 'vitest';

import { withoutTag } from './compile-cache.ts';
import { orderModules, productionPackages } from './image.ts';
import { planVm } from './machine.ts';
import { parsePrintUris } from './packages.ts';
import { parseReport } from './report.ts';

describe('parsePrintUris()', () => {
  it('takes archives with and without a hash, in a stable order, without what only scripts need', () => {
    const text = [
      "'http://archive/pool/s/systemd_252-1_amd64.deb' systemd_252-1_amd64.deb 300 MD5Sum:00",
      "'http://archive/pool/p/perl_5_amd64.deb' perl_5_amd64.deb 900 MD5Sum:00",
      "'http://archive/pool/l/libc6_2.36_amd64.deb' libc6_2.36_amd64.deb 200 ",
      '',
    ].join('\n');
    expect(parsePrintUris(text)).toEqual([
      { file: 'libc6_2.36_amd64.deb', bytes: 200 },
      { file: 'systemd_252-1_amd64.deb', bytes: 300 },
    ]);
  });
});

describe('orderModules()', () => {
  const modulesDep = [
    'kernel/fs/erofs/erofs.ko: kernel/lib/libcrc32c.ko',
    'kernel/lib/libcrc32c.ko:',
    'kernel/drivers/virtio/virtio_ring.ko: kernel/drivers/virtio/virtio.ko',
    'kernel/drivers/virtio/virtio.ko:',
    'kernel/drivers/block/virtio-blk.ko: kernel/drivers/virtio/virtio_ring.ko kernel/drivers/virtio/virtio.ko',
  ].join('\n');

  it('puts each module after those it needs, once', () => {
    const order = orderModules(modulesDep, ['virtio_blk', 'erofs']).map((path) => path.split('/').at(-1));
    expect(order).toEqual(['virtio.ko', 'virtio_ring.ko', 'virtio-blk.ko', 'libcrc32c.ko', 'erofs.ko']);
  });

  it('passes over what is built into the kernel', () => {
    expect(orderModules(modulesDep, ['overlay'])).toEqual([]);
  });
});

it('productionPackages() leaves out the root and what is for development', () => {
  const packages = {
    '': {},
    'node_modules/b': {},
    'node_modules/a': { dev: false },
    'node_modules/c': { dev: true },
  };
  expect(productionPackages(packages)).toEqual(['node_modules/a', 'node_modules/b']);
});

it('planVm() emulates, shares nothing writable, and powers off rather than reboots', () => {
  const image = { kernel: '/k', initramfs: '/i', root: '/r' };
  const line = planVm({ image, jobTar: '/j', consoleLog: '/c' }).join(' ');
  expect(line).toMatch(/^-accel tcg,/);
  expect(line).not.toContain('kvm');
  expect(line.match(/readonly=on/g)).toHaveLength(2);
  expect(line).toContain('-no-reboot');
});

it.each([
  ['{"kind":"through"}', { kind: 'through' }],
  ['npm warn', undefined],
  ['3', undefined],
])('parseReport(%s)', (line, want) => {
  expect(parseReport(line)).toEqual(want);
});

describe('withoutTag()', () => {
  it('leaves version, processor and user as they are', () => {
    expect(withoutTag('v26.10.0-x64-310b2ce3-0')).toBe('v26.10.0-x64-TAG-0');
  });

  it.each(['', 'v26.10.0-x64-TAG-0', 'v26.10.0-x64-310b2ce3'])('refuses %j', (folder) => {
    expect(() => withoutTag(folder)).toThrow('find the tag');
  });
});
