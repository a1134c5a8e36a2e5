/** A tmpfs that all pods share, as small as a greedy pod makes it: no other pod is kept from starting. */
import { mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, expect, describe, it } from 'vitest';
import type { Volume } from '#api/generated/objects.ts';
import { enterOwnMounts } from '#native/fs/own-mounts.fixture.ts';
import { createMounts } from '#native/mount/mount.linux.ts';
import { createMounter } from './mounter.ts';
import { noClaims } from './claims/no-claims.fixture.ts';
import { createPodVolumes, type PodVolumes } from './pod-volumes.ts';
import { bindSubPath } from './sub-path.ts';

describe.skipIf(process.getuid?.() !== 0)('volumes in memory (needs root)', () => {
  const mounts = createMounts();
  const large = Buffer.alloc(950_000, 'x');
  let scratch: string;
  let volumes: PodVolumes;

  beforeAll(() => {
    enterOwnMounts();
    scratch = mkdtempSync(path.join(tmpdir(), 'walk-memory-'));
    mkdirSync(path.join(scratch, 'memory'));
    mounts.mount(path.join(scratch, 'memory'), { kind: 'tmpfs', sizeBytes: 2 * 1_048_576 });
    volumes = createPodVolumes({
      directory: path.join(scratch, 'pods'),
      memoryDirectory: path.join(scratch, 'memory'),
      mounter: createMounter(mounts),
      objects: () => ({
        ...noClaims,
        configMap: async (_namespace, name) => ({ data: { key: name === 'big' ? large.toString() : 'CA' } }),
        secret: async () => ({ data: { key: large.toString('base64') } }),
        serviceAccountToken: async () => ({ token: 'x'.repeat(1200), refreshAtMs: 0 }),
      }),
    });
  });
  afterAll(() => {
    mounts.unmountTree(scratch);
    rmSync(scratch, { recursive: true });
  });

  const own: Volume = {
    name: 'own',
    projected: {
      sources: [{ serviceAccountToken: { path: 'token' } }, { configMap: { name: 'kube-root-ca.crt' } }],
    },
  };
  const mount = (uid: string, list: readonly Volume[]) =>
    volumes.mount({
      pod: {
        metadata: { uid, namespace: 'ns', name: uid },
        spec: { containers: [], volumes: [...list], securityContext: { fsGroup: 2000 } },
      },
      downward: { field: () => '', resource: () => '' },
      now: 0,
      signal: new AbortController().signal,
    });

  it('75 pods with a large ConfigMap and a large Secret, and as many with neither, have room', async () => {
    for (let index = 0; index < 75; index++) {
      const large = [
        { name: 'c', configMap: { name: 'big' } },
        { name: 's', secret: { secretName: 's' } },
      ];
      const { byName } = await mount(`large-${index}`, [own, ...large]);
      expect(readFileSync(path.join(byName.get('s')?.path ?? '', 'key')).length).toBe(950_000);
      await mount(`small-${index}`, [own]);
    }
    const rooms = mounts.list().filter(({ target }) => target.startsWith(path.join(scratch, 'memory/')));
    expect(rooms.map(({ target }) => path.basename(target)).toSorted()).toEqual(
      Array.from({ length: 75 }, (_, index) => `large-${index}`).toSorted(),
    );
    expect(rooms.every(({ options }) => ['nosuid', 'nodev'].every((word) => options.includes(word)))).toBe(
      true,
    );
    for (let index = 0; index < 75; index++) {
      await volumes.remove(`large-${index}`);
      await volumes.remove(`small-${index}`);
    }
    expect(readdirSync(path.join(scratch, 'memory'))).toEqual([]);
    expect(mounts.list().filter(({ target }) => target.startsWith(path.join(scratch, 'memory/')))).toEqual(
      [],
    );
  });

  it('an emptyDir in memory has owner, mode and size from the first moment on', async () => {
    const volume: Volume = { name: 'e', emptyDir: { medium: 'Memory', sizeLimit: '1Mi' } };
    const { byName } = await mount('e', [volume]);
    const { gid, mode } = statSync(byName.get('e')?.path ?? '');
    expect([gid, (mode & 0o7777).toString(8)]).toEqual([2000, '3777']);
    // What a container asks of it by subPath is as open, and its users' files are as much their own.
    const target = path.join(scratch, 'subpath');
    const mounter = createMounter(mounts);
    await bindSubPath({ root: byName.get('e')?.path ?? '', subPath: 'sub', target, mounter });
    const made = statSync(target);
    expect([made.gid, (made.mode & 0o7777).toString(8)]).toEqual([2000, '3777']);
    expect(mounter.unmount(target)).toBe(true);
    const [mounted] = mounts.list().filter(({ target }) => target === byName.get('e')?.path);
    expect(mounted?.superOptions).toContain('size=1024k');
    await volumes.remove('e');
  });
});
