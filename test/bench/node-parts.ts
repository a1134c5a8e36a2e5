/** The parts of a node that the launch rows need, wired as bin/agent.ts does but for the API. */
import { randomBytes } from 'node:crypto';
import { mkdirSync } from 'node:fs';
import { mkdtemp, readFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { undecided } from '#agent/kubelet/render/seccomp.ts';
import { renderSecurity } from '#agent/kubelet/render/security.ts';
import { createPodNetwork } from '#agent/network/cni-pod-network.ts';
import { writeDefaultConflist } from '#agent/network/conflist-dir.ts';
import type { PodNetwork } from '#agent/network/pod-network.ts';
import { createRuntime } from '#agent/runtime/create-runtime.ts';
import { buildDemoArchive } from '#agent/runtime/images/demo-image.ts';
import type { ContainerConfig, Runtime, SandboxConfig } from '#agent/runtime/runtime.ts';
import { systemClock } from '#base/clock.ts';
import { silentLogger } from '#base/log.ts';
import { createInvoker } from '#cni-plugins/registry.ts';
import { createCgroups } from '#native/cgroup/cgroup.linux.ts';
import { createLauncher } from '#native/launch/launcher.linux.ts';
import { createMounts } from '#native/mount/mount.linux.ts';
import { createNetlinkWorker, type NetlinkWorker } from '#native/netlink/worker.ts';
import { buildProbe, makeProbeRoot } from './probe.ts';

export interface NodeParts extends AsyncDisposable {
  readonly directory: string;
  readonly kernel: NetlinkWorker;
  readonly network: PodNetwork;
  readonly runtime: Runtime;
  /** A root directory with the probe as /probe. */
  readonly root: string;
  sandbox(uid: string): SandboxConfig;
  /** The probe as the kubelet would run it. */
  container(args: readonly string[]): ContainerConfig;
}

const cgroupMount = '/sys/fs/cgroup';
const signal = AbortSignal.timeout(300_000);

export async function createNodeParts(): Promise<NodeParts> {
  // A supervisor's socket lies below: its path is short.
  const directory = await mkdtemp(join(tmpdir(), 'n'));
  const run = await mkdtemp('/run/b');
  const probe = buildProbe(directory);
  const kernel = await createNetlinkWorker();
  await writeDefaultConflist(join(directory, 'net.d'), {
    podCidrs: ['10.244.0.0/16'],
    leaseDir: join(run, 'leases'),
  });
  const network = createPodNetwork({
    invoke: createInvoker({ ...kernel, isNetnsRemovedByCaller: true }),
    conflistDir: join(directory, 'net.d'),
    binDirs: [],
    cacheDir: join(run, 'cni'),
  });
  const cgroup = `podwright-bench-${process.pid}`;
  const cgroups = createCgroups(cgroupMount);
  await cgroups.ensure(cgroup, []);
  const runtime = await createRuntime(
    {
      runDirectory: run,
      dataDirectory: join(directory, 'data'),
      launcher: createLauncher(),
      netlink: kernel.netlink,
      network,
      cgroups: createCgroups(`${cgroupMount}/${cgroup}`),
      mounts: createMounts(),
      clock: systemClock,
      log: silentLogger,
    },
    signal,
  );
  mkdirSync(join(directory, 'logs'));
  // The demo image with the probe for its one program.
  const archive = await buildDemoArchive({
    busybox: await readFile(probe),
    applets: [],
    nodeArchitecture: process.arch,
  });
  const [image] = await runtime.images.importArchive(archive, {}, signal);
  return {
    directory,
    kernel,
    network,
    runtime,
    root: makeProbeRoot(directory, probe),
    sandbox: sandboxConfig,
    container: (args) => containerConfig(image?.id ?? '', join(directory, 'logs'), args),
    [Symbol.asyncDispose]: async () => {
      for (const { uid } of runtime.observeAll()) await removePod(runtime, uid);
      await runtime[Symbol.asyncDispose]();
      await kernel[Symbol.asyncDispose]();
      await cgroups.remove(cgroup, 5_000);
    },
  };
}

/** The sandbox and all that is in it. */
export async function removePod(runtime: Runtime, uid: string): Promise<void> {
  await runtime.stopSandbox(uid, signal);
  await runtime.removePod(uid, signal);
}

function sandboxConfig(uid: string): SandboxConfig {
  return {
    uid,
    namespace: 'default',
    name: uid,
    attempt: 0,
    hostname: uid,
    labels: {},
    annotations: {},
    hostNetwork: false,
    hostPid: false,
    hostIpc: false,
    sharePidNamespace: false,
    sysctls: {},
    portMappings: [],
    cgroupParent: `kubepods/besteffort/pod${uid}`,
    resources: {},
  };
}

function containerConfig(imageId: string, logs: string, args: readonly string[]): ContainerConfig {
  const id = randomBytes(32).toString('hex');
  return {
    id,
    name: 'main',
    attempt: 0,
    imageId,
    image: 'probe',
    command: ['/bin/busybox', ...args],
    args: [],
    env: [],
    workingDir: undefined,
    mounts: [],
    user: { fsGroups: [] },
    runAsNonRoot: false,
    security: renderSecurity({}, { name: 'main' }, undecided),
    devices: [],
    rlimits: [],
    oomScoreAdj: 0,
    resources: {},
    stdio: { logPath: join(logs, id), stdin: false, stdinOnce: false, tty: false },
    stopSignal: undefined,
  };
}

/** What a container that ran to its end printed. */
export async function logOf(parts: NodeParts, uid: string, container: ContainerConfig): Promise<string> {
  const { runtime } = parts;
  const { promise, resolve } = Promise.withResolvers<void>();
  const look = (): void => {
    const found = runtime.observe(uid)?.containers.find(({ id }) => id === container.id);
    if (found?.state.state === 'exited') resolve();
  };
  using _watch = runtime.onChange(look);

  look();
  await promise;
  return readFile(container.stdio.logPath ?? '', 'utf8');
}
