/** A node of its own whose runtime is the real one, served as CRI: supervisors, namespaces, overlay roots. The pod network is a loopback. */
import { existsSync, mkdtempSync, readFileSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { Readable } from 'node:stream';
import { expect } from 'vitest';
import type { PodNetwork } from '#agent/network/pod-network.ts';
import { createRuntime, type RuntimeOptions } from '#agent/runtime/create-runtime.ts';
import { createDemoImage } from '#agent/runtime/images/demo-image.ts';
import type { LocalRuntime } from '#agent/runtime/local-runtime.ts';
import { systemClock } from '#base/clock.ts';
import { silentLogger } from '#base/log.ts';
import { createCgroups } from '#native/cgroup/cgroup.linux.ts';
import { createLauncher } from '#native/launch/launcher.linux.ts';
import { createMounts } from '#native/mount/mount.linux.ts';
import { createSyncNetlink } from '#native/netlink/netlink.linux.ts';
import { serveCri, type CriServerUnderTest } from './cri.fixture.ts';

export const isRoot: boolean = process.getuid?.() === 0;
const cgroupMount = ['/sys/fs/cgroup/unified', '/sys/fs/cgroup'].find((path) =>
  existsSync(`${path}/cgroup.procs`),
);

export interface KernelCri extends CriServerUnderTest {
  readonly root: string;
  /** The agent goes, as with kill -9, and another comes. */
  kill(): Promise<void>;
}

/** `archives`: images beside the one of the demo. */
export async function makeNode(archives: readonly Buffer[] = []): Promise<KernelCri> {
  const root = mkdtempSync('/tmp/h-cri-');
  const prefix = root.slice('/tmp/'.length);
  const netlink = createSyncNetlink();
  const network: PodNetwork = {
    add: async ({ netnsPath }) => {
      await netlink.apply({ kind: 'path', path: netnsPath }, [{ op: 'setLink', name: 'lo', up: true }]);
      return { ips: ['127.0.0.1'] };
    },
    del: async () => undefined,
    collect: async () => undefined,
    check: async () => [],
    status: async () => ({ isReady: true, reason: '' }),
  };
  const cgroups = cgroupMount === undefined ? undefined : createCgroups(cgroupMount);
  await cgroups?.ensure(prefix, []);
  const options: RuntimeOptions = {
    runDirectory: `${root}/run`,
    dataDirectory: `${root}/data`,
    launcher: createLauncher(),
    netlink,
    network,
    cgroups: cgroupMount === undefined ? undefined : createCgroups(`${cgroupMount}/${prefix}`),
    mounts: createMounts(),
    clock: systemClock,
    log: silentLogger,
  };
  const signal = new AbortController().signal;
  let runtime: LocalRuntime = await createRuntime(options, signal);
  const [image] = await runtime.images.importArchive(await createDemoImage(), {}, signal);
  for (const archive of archives) await runtime.images.importArchive(Readable.from([archive]), {}, signal);
  const cri = await serveCri(runtime, {
    image: image?.names[0] ?? '',
    isReal: true,
    change: { dataDirectory: options.dataDirectory },
  });
  return {
    ...cri,
    root,
    kill: async () => {
      await runtime[Symbol.asyncDispose]();
      runtime = await createRuntime(options, signal);
      await cri.restart(runtime);
    },
    [Symbol.asyncDispose]: async () => {
      for (const { uid } of runtime.observeAll()) {
        await runtime.stopSandbox(uid, signal);
        await runtime.removePod(uid, signal);
      }
      await cri[Symbol.asyncDispose]();
      await runtime[Symbol.asyncDispose]();
      await netlink[Symbol.asyncDispose]();
      await cgroups?.remove(prefix, 5_000);
      expect(readFileSync('/proc/self/mountinfo', 'utf8')).not.toContain(root);
      await rm(root, { recursive: true });
    },
  };
}
