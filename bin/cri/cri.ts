/** `podwright cri`: the runtime without kubelet, proxy and DNS, served as CRI. */
import { join, resolve } from 'node:path';

import { systemClock } from '#base/clock.ts';
import { removeDrafts } from '#base/durable-file.ts';
import { PodwrightError } from '#base/errors.ts';
import { parseCidr } from '#base/ip.ts';
import { writeDefaultConflist } from '#agent/network/conflist-dir.ts';
import { followHostNames, hostNameFiles } from '#agent/node/host-names.ts';
import { createRuntime, type RuntimeOptions } from '#agent/runtime/create-runtime.ts';
import { parseUlimit, ulimitProblems } from '#agent/runtime/plan/ulimits.ts';
import { createCgroups } from '#native/cgroup/cgroup.linux.ts';
import type { Cgroups } from '#native/cgroup/cgroup.ts';
import { ensureSupervisor } from '#native/launch/build.ts';
import { createLauncher } from '#native/launch/launcher.linux.ts';
import { createMounts } from '#native/mount/mount.linux.ts';
import { countContainers, startControl } from '#bin/control.ts';
import { connectThrough } from '#bin/egress-connect.ts';
import { claimDirectory } from '#bin/ownership/claim-directory.ts';
import { agentPaths, type AgentPaths } from '#bin/paths.ts';
import { findCgroupRoot } from '#bin/program/cgroup-root.ts';
import type { CriCommandOptions } from '#bin/options/command-options.ts';
import { diskFullError } from '#bin/program/data-dir.ts';
import { holdSupervisor } from '#bin/program/hold-supervisor.ts';
import { createLogger } from '#bin/program/log.ts';
import { openCgroups } from '#bin/node/open-cgroups.ts';
import { startKernel } from '#bin/node/start-kernel.ts';
import { conflistDirOf, openPodNetwork } from '#bin/program/network/pod-network.ts';
import { announceReady } from '#bin/program/ready.ts';
import { startCri } from './start-cri.ts';
import { handlerPrograms } from '#bin/options/handler-option.ts';
import { stopSignal } from '#bin/program/stop-signal.ts';

/** Until a signal ends it. Its pods go on. @throws E_USAGE, E_BUSY, E_PERMISSION, E_UNSUPPORTED */
export async function runCri(options: CriCommandOptions): Promise<void> {
  try {
    await serve(options);
  } catch (error) {
    throw diskFullError(resolve(options.data), error);
  }
}

async function serve(options: CriCommandOptions): Promise<void> {
  const stop = stopSignal();
  refuseOptions(options);
  const logger = createLogger(process.env, { process: 'cri' });
  const supervisorPath = await ensureSupervisor();
  await using stack = new AsyncDisposableStack();

  const paths = claimPaths(stack, options);
  const kernel = stack.use(await startKernel(logger));
  const conflistDir = options.cniConfDir === undefined ? conflistDirOf(paths) : resolve(options.cniConfDir);
  const setPodCidrs = (podCidrs: readonly string[]): Promise<void> =>
    writeDefaultConflist(conflistDir, { podCidrs, leaseDir: join(paths.run, 'leases') });
  if (options.podCidr !== undefined) await setPodCidrs(options.podCidr);
  const parts = { paths, kernel, conflistDir, clock: systemClock, logger };
  const network = await openPodNetwork(stack, { ...parts, firstFamily: 4 });
  const runtime = stack.use(
    await createRuntime(
      {
        runDirectory: paths.run,
        dataDirectory: paths.data,
        launcher: createLauncher({ supervisorPath: await holdSupervisor(supervisorPath, paths.data) }),
        netlink: kernel.netlink,
        network,
        cgroups: await openTree(options.cgroup),
        mounts: createMounts(),
        handlers: { programs: handlerPrograms(options.runtimeHandler), cgroupRoot: findCgroupRoot() },
        ulimits: (options.defaultUlimit ?? []).map(parseUlimit),
        clock: systemClock,
        log: logger,
        registry: registryOf(options),
      },
      new AbortController().signal,
    ),
  );
  const { resolvConf } = options;
  const files =
    resolvConf === undefined ? hostNameFiles : { ...hostNameFiles, resolvConf, resolved: undefined };
  const hostNames = stack.use(await followHostNames({ files, clock: systemClock, log: logger }));
  stack.use(
    await startControl(paths.controlSocket, {
      images: runtime.images,
      pinned: [],
      containersOf: (imageId) => countContainers(runtime, imageId),
      status: () => ({
        node: 'cri',
        pid: process.pid,
        startedAtMs: 0,
        pods: runtime.observeAll().length,
        rssBytes: process.memoryUsage.rss(),
      }),
    }),
  );
  stack.use(
    await startCri({
      path: resolve(options.socket),
      ...{ paths, runtime, network, hostNames, clock: systemClock, logger },
      cgroupDefault: 'podwright',
      // A network of others is theirs to configure.
      ...(options.cniConfDir === undefined ? { setPodCidrs } : {}),
    }),
  );
  await announceReady(process.env);
  logger.info({ signal: await stop }, 'stopping; pods go on');
}

function refuseOptions({ podCidr = [], cniConfDir, defaultUlimit }: CriCommandOptions): void {
  const [problem] = ulimitProblems(defaultUlimit);
  if (problem !== undefined) throw new PodwrightError('E_USAGE', problem);
  const odd = podCidr.find((cidr) => parseCidr(cidr) === undefined);
  if (odd !== undefined)
    throw new PodwrightError('E_USAGE', `--pod-cidr ${odd}: no network; write 10.1.2.0/24`);
  if (podCidr.length > 0 && cniConfDir !== undefined)
    throw new PodwrightError('E_USAGE', '--pod-cidr: the network is that of --cni-conf-dir');
}

function claimPaths(stack: AsyncDisposableStack, { data, run }: CriCommandOptions): AgentPaths {
  const paths = agentPaths(resolve(data), resolve(run));
  stack.use(claimDirectory(paths.data, { role: 'agent', mode: 0o700, option: '--data' }));
  removeDrafts(paths.data);
  stack.use(claimDirectory(paths.run, { role: 'run', mode: 0o700, option: '--run' }));
  return paths;
}

/** A kubelet's cgroups are below the mount, and only it says which; what is made there has names of its own. */
function openTree(directory: string | undefined): Promise<Cgroups> | Cgroups {
  return directory === undefined ? createCgroups(findCgroupRoot()) : openCgroups(resolve(directory));
}

function registryOf(options: CriCommandOptions): NonNullable<RuntimeOptions['registry']> {
  return {
    insecureRegistries: options.insecureRegistry,
    hostsDirectory: options.registryConfigDir === undefined ? undefined : resolve(options.registryConfigDir),
    ...(options.egressSocket === undefined ? {} : { connect: connectThrough(options.egressSocket) }),
  };
}
