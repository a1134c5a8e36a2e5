import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createMounts } from '#native/mount/mount.linux.ts';
import { enterOwnMounts } from '#native/fs/own-mounts.fixture.ts';
import { createPodVolumes } from './pod-volumes.ts';

describe.skipIf(process.getuid?.() !== 0)('removing the volumes of a pod (needs root)', () => {
  const uid = '0b0c5f6e-8f1e-4a52-9a0b-7d1f5b8f2c11';
  let scratch: string;
  const mounts = createMounts();
  const volumes = () =>
    createPodVolumes({
      directory: join(scratch, 'pods'),
      memoryDirectory: join(scratch, 'memory'),
      objects: () => expect.fail('no object is needed'),
      mounter: {
        bind: (source, target) => mounts.mount(target, { kind: 'bind', source, recursive: true }),
        nfs: async () => undefined,
        device: async () => undefined,
        hugePages: () => undefined,
        tmpfs: (target) => mounts.mount(target, { kind: 'tmpfs' }),
        unmount: (target) => mounts.unmount(target),
        isMountPoint: () => false,
      },
    });

  beforeAll(() => {
    enterOwnMounts();
    scratch = mkdtempSync(join(tmpdir(), 'podwright-volumes-'));
  });

  afterAll(() => {
    mounts.unmountTree(scratch);
    rmSync(scratch, { recursive: true });
  });

  it('unmounts what somebody left mounted below one, whatever its depth, and removes nothing of it', async () => {
    const outside = join(scratch, 'outside');
    mkdirSync(outside);
    writeFileSync(join(outside, 'f'), 'kept');
    const volume = join(scratch, 'pods', uid, 'volumes/emptyDir/e');
    const memory = join(scratch, 'memory', uid, 'volumes/emptyDir/m');
    for (const path of [join(volume, 'a/b'), memory]) mkdirSync(path, { recursive: true });
    mounts.mount(memory, { kind: 'tmpfs' });
    for (const path of [join(volume, 'a/b'), join(volume, 'a/b'), memory]) {
      mounts.mount(path, { kind: 'bind', source: outside });
    }
    writeFileSync(join(volume, 'file'), '');
    mounts.mount(join(volume, 'file'), { kind: 'bind', source: join(outside, 'f') });
    await volumes().remove(uid);
    expect([readdirSync(join(scratch, 'pods')), readdirSync(join(scratch, 'memory'))]).toEqual([[], []]);
    expect(readFileSync(join(outside, 'f'), 'utf8')).toBe('kept');
    expect(await volumes().uids()).toEqual([]);
  });

  it('removes what is deeper than a path can be long', async () => {
    const name = 'd'.repeat(200);
    const volume = join(scratch, 'pods', uid, 'volumes/emptyDir/e');
    const script = `mkdir -p "$0"; cd "$0"; i=0; while [ $i -lt 24 ]; do mkdir ${name} && cd ${name} || exit 1; i=$((i+1)); done`;
    execFileSync('bash', ['-c', script, volume]);
    await volumes().remove(uid);
    expect(readdirSync(join(scratch, 'pods'))).toEqual([]);
  });

  it.each(['', '.', '..', 'a/b', '../x', '.hidden'])('takes no uid that is another path: %j', async (bad) => {
    mkdirSync(join(scratch, 'pods', uid), { recursive: true });
    await expect(volumes().remove(bad)).rejects.toMatchObject({ code: 'E_INVALID' });
    expect(readdirSync(join(scratch, 'pods'))).toEqual([uid]);
  });
});
