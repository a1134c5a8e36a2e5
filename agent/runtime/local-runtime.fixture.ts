/** A runtime on this kernel: supervisors, namespaces, overlay roots. The pod network is a loopback. */
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { existsSync } from 'node:fs';
import { expect } from 'vitest';
import type { PodNetwork } from '#agent/network/pod-network.ts';
import { systemClock } from '#base/clock.ts';
import { silentLogger } from '#base/log.ts';
import { createCgroups } from '#native/cgroup/cgroup.linux.ts';
import { createLauncher } from '#native/launch/launcher.linux.ts';
import { createMounts } from '#native/mount/mount.linux.ts';
import { createSyncNetlink } from '#native/netlink/netlink.linux.ts';
import { createRuntime, type RuntimeOptions } from './create-runtime.ts';
import { createDemoImage } from './images/demo-image.ts';
import type { LocalRuntime } from './local-runtime.ts';
import type { RuntimeUnderTest } from './runtime.conformance.ts';

export const isRoot: boolean = process.getuid?.() === 0;
export const cgroupMount: string | undefined = ['/sys/fs/cgroup/unified', '/sys/fs/cgroup'].find((path) =>
  existsSync(`${path}/cgroup.procs`),
);

export interface TestNode extends RuntimeUnderTest {
  readonly runtime: LocalRuntime;
  readonly root: string;
  supervisorPid(): Promise<number>;
  /** The agent goes, as with kill -9: it writes and undoes nothing. */
  detach(): Promise<{ readonly supervisorPid: number }>;
  /** Another agent on the same directories. */
  restart(): Promise<LocalRuntime>;
}

/** What a runtime of its own needs, in a directory directly below /tmp; its group of processes has that name, too. */
export interface KernelPlace extends AsyncDisposable {
  readonly options: RuntimeOptions;
}

export async function makeKernelPlace(directory: string): Promise<KernelPlace> {
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
  const prefix = directory.slice('/tmp/'.length);
  await cgroups?.ensure(prefix, []);
  const options: RuntimeOptions = {
    runDirectory: `${directory}/run`,
    dataDirectory: `${directory}/data`,
    launcher: createLauncher(),
    netlink,
    network,
    cgroups: cgroupMount === undefined ? undefined : createCgroups(`${cgroupMount}/${prefix}`),
    mounts: createMounts(),
    clock: systemClock,
    log: silentLogger,
  };
  return {
    options,
    [Symbol.asyncDispose]: async () => {
      await netlink[Symbol.asyncDispose]();
      await cgroups?.remove(prefix, 5_000);
    },
  };
}

export async function makeNode(change: Partial<RuntimeOptions> = {}): Promise<TestNode> {
  const directory = await mkdtemp('/tmp/h6-');
  const place = await makeKernelPlace(directory);
  const options: RuntimeOptions = { ...place.options, ...change };
  const supervisorPid = async (): Promise<number> => {
    const directory = runtime
      .observeAll()
      .map(({ uid, sandbox }) => `${options.runDirectory}/pods/${uid}/s${sandbox?.attempt}`)[0];
    const supervisor = await options.launcher.connectSupervisor(directory ?? '');
    supervisor?.[Symbol.dispose]();
    return supervisor?.pid ?? 0;
  };
  const signal = AbortSignal.timeout(150_000);
  let runtime = await createRuntime(options, signal);
  const [image] = await runtime.images.importArchive(await createDemoImage(), {}, signal);
  return {
    runtime,
    imageId: image?.id ?? '',
    directory: `${directory}/logs`,
    root: directory,
    supervisorPid,
    detach: async () => {
      const pid = await supervisorPid();
      await runtime[Symbol.asyncDispose]();
      return { supervisorPid: pid };
    },
    restart: async () => {
      await runtime[Symbol.asyncDispose]();
      runtime = await createRuntime(options, signal);
      return runtime;
    },
    [Symbol.asyncDispose]: async () => {
      for (const { uid } of runtime.observeAll()) {
        await runtime.stopSandbox(uid, AbortSignal.timeout(150_000));
        await runtime.removePod(uid, AbortSignal.timeout(150_000));
      }
      await runtime[Symbol.asyncDispose]();
      await place[Symbol.asyncDispose]();
      const mounts = await readFile('/proc/self/mountinfo', 'utf8');
      expect(mounts).not.toContain(directory);
      await rm(directory, { recursive: true });
    },
  };
}
