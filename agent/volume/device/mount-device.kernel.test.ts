/** Real file systems on loop devices, in a mount namespace of the test's own. */
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, rmSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { createMounts } from '#native/mount/mount.linux.ts';
import { giveGroup } from '#native/fs/give-group.ts';
import { enterOwnMounts } from '#native/fs/own-mounts.fixture.ts';
import { createDeviceMount, type DeviceWish } from './mount-device.ts';

/** A machine without root, loop devices or the programs has none. */
const canLoop =
  process.getuid?.() === 0 &&
  existsSync('/dev/loop-control') &&
  ['losetup', 'mkfs.ext4'].every((program) => existsSync(`/usr/sbin/${program}`));

describe.skipIf(!canLoop)('the file system of a device (needs root and loop devices)', () => {
  let scratch: string;
  let devices: string[] = [];
  const mounts = createMounts();
  const mount = createDeviceMount();
  const { signal } = new AbortController();

  beforeAll(() => {
    enterOwnMounts();
    scratch = mkdtempSync(join(tmpdir(), 'podwright-devices-'));
    for (const name of ['a', 'b']) mkdirSync(join(scratch, name));
  });
  afterEach(() => {
    mounts.unmountTree(scratch);
    for (const device of devices) execFileSync('/usr/sbin/losetup', ['-d', device]);
    devices = [];
  });
  afterAll(() => rmSync(scratch, { recursive: true }));

  const deviceOf = (content = ''): string => {
    const file = join(scratch, `disk-${devices.length}`);
    writeFileSync(file, content);
    truncateSync(file, 16 * 1024 * 1024);
    const device = execFileSync('/usr/sbin/losetup', ['-f', '--show', file], { encoding: 'utf8' }).trim();
    devices.push(device);
    return device;
  };
  const wishOf = (rest: Partial<DeviceWish> = {}): DeviceWish => ({
    ...{ device: devices[0] ?? deviceOf(), fsType: undefined, options: [], isReadOnly: false },
    ...rest,
  });
  const mountAt = (name: string, wish: DeviceWish): Promise<void> => mount(join(scratch, name), wish, signal);
  const infoOf = (name: string) => mounts.list().findLast(({ target }) => target === join(scratch, name));

  it('is made once for two that come at once, who see each other’s files, and kept for the next', async () => {
    const wish = wishOf();
    await Promise.all([mountAt('a', wish), mountAt('b', wish)]);
    writeFileSync(join(scratch, 'a', 'f'), '');
    expect([existsSync(join(scratch, 'b', 'f')), infoOf('a')?.type]).toEqual([true, 'ext4']);
    for (const name of ['a', 'b']) mounts.unmount(join(scratch, name));
    await mountAt('a', { ...wish, options: ['noatime', 'rw'] });
    expect(existsSync(join(scratch, 'a', 'f'))).toBe(true);
    expect(infoOf('a')?.options).toContain('noatime');
  });

  it('is given to a group, itself with all that is in it', async () => {
    await mountAt('a', wishOf());
    const root = join(scratch, 'a');
    writeFileSync(join(root, 'f'), '');
    await giveGroup(root, { gid: 2000 });
    const [of, inside] = [statSync(root), statSync(join(root, 'f'))];
    expect([of.gid, (of.mode & 0o7777).toString(8), inside.gid]).toEqual([2000, '2775', 2000]);
    expect(statSync(scratch).gid).toBe(0);
  });

  it.each([
    ['somebody’s data', 'precious', {}, /has data of an unknown kind, which is left as it is/],
    ['an empty one for who only reads', '', { isReadOnly: true }, /unformatted disk .* in read-only mode/],
    [
      'a kind that nobody makes here',
      '',
      { fsType: 'nosuchfs' },
      /mkfs\.nosuchfs: this machine does not have/,
    ],
    ['a name that is a path', '', { fsType: '../x' }, /is no file system/],
    ['another than is there', 'XFSB', { fsType: 'ext4' }, /as ext4: it has xfs, which is left/],
  ])('is refused for %s', async (_name, content, rest, want) => {
    const device = deviceOf(content);
    await expect(mountAt('a', wishOf({ device, ...rest }))).rejects.toThrow(want);
    expect(infoOf('a')).toBeUndefined();
  });

  it('does not take an option that it does not know', async () => {
    await expect(mountAt('a', wishOf({ options: ['nosuchoption'] }))).rejects.toThrow(/EINVAL/);
  });
});
