/**
 * A container as another OCI runtime is told it: config.json of the same launch that we would do ourselves (runtime-spec, config.md). The
 * pod's namespaces that the runtime itself runs in are not named: what is not named is inherited. Pure.
 */
import type {
  OciConfig,
  OciDeviceRule,
  OciLinux,
  OciMount,
  OciProcess,
  OciResources,
} from '#api/oci/runtime/config.ts';
import { PodwrightError } from '#base/errors.ts';
import type { DeviceRule } from '#native/bpf/device-rules.ts';
import type {
  ContainerLaunch,
  ExecLaunch,
  IdRange,
  LaunchMount,
  LaunchSecurity,
} from '#native/launch/launch.ts';
import { renderDefaultSeccomp, renderUnconfinedSeccomp } from '#native/launch/seccomp-profile/oci-seccomp.ts';
import type { Architecture } from '#native/launch/syscall-numbers.ts';
import type { CgroupResources } from '#agent/runtime/runtime.ts';

export interface BundleFacts {
  readonly hooks?: OciConfig['hooks'] | undefined;
  /** Where the root is when the runtime looks. */
  readonly root: string;
  /** Of /proc, where the container joins a pid namespace that is there; undefined: it has one of its own, or the host's. */
  readonly pidNamespacePath: string | undefined;
  /** As cgroup v2 has it from its mount on; undefined: the runtime stays where it is started. */
  readonly cgroupsPath: string | undefined;
  readonly devices: readonly DeviceRule[];
  readonly resources: CgroupResources;
  /** Controllers of cgroup v2 that this host has not: a runtime fails at their files. */
  readonly missing: readonly string[];
  readonly architecture: Architecture;
  /** Capabilities that this process has: nobody gets more. */
  readonly permitted: readonly string[];
  readonly isTerminal: boolean;
  /** The pod's user namespace, of /proc, where it has one; mounts and root are as placeUsers() has them. */
  readonly userNamespacePath: string | undefined;
}

/** Versions of the specification that runtimes of Debian 12 know. */
const ociVersion = '1.0.2';

/** @throws {E_UNSUPPORTED} for a seccomp profile that is known as a filter alone */
export function renderBundleConfig(launch: Omit<ContainerLaunch, 'cgroup'>, facts: BundleFacts): OciConfig {
  const { security, mounts, pidNamespace } = launch;
  const seccomp = seccompOf(security, facts.architecture);
  const hasShared = mounts.some(({ options }) => options.includes('rshared') || options.includes('shared'));
  return {
    ociVersion,
    root: { path: facts.root, readonly: security.readonlyRoot },
    process: renderBundleProcess(launch, facts),
    mounts: mounts.map(mountOf),
    ...(facts.hooks === undefined ? {} : { hooks: facts.hooks }),
    linux: {
      namespaces: [
        ...(facts.userNamespacePath === undefined ? [] : [{ type: 'user', path: facts.userNamespacePath }]),
        { type: 'mount' },
        // A privileged container sees the host's cgroups, as where we start it ourselves.
        ...(security.privileged ? [] : [{ type: 'cgroup' }]),
        ...(pidNamespace === 'host'
          ? []
          : [
              {
                type: 'pid',
                ...(facts.pidNamespacePath === undefined ? {} : { path: facts.pidNamespacePath }),
              },
            ]),
      ],
      ...mappingsOf(launch.ids),
      devices: devicesOf(launch),
      ...(facts.cgroupsPath === undefined
        ? {}
        : { cgroupsPath: facts.cgroupsPath, resources: renderResources(facts) }),
      rootfsPropagation: hasShared ? 'rshared' : 'rslave',
      ...(seccomp === undefined ? {} : { seccomp: { ...seccomp } }),
      sysctl: launch.sysctls,
      maskedPaths: security.maskedPaths,
      readonlyPaths: security.readonlyPaths,
    },
  };
}

/** Of the namespace that the path names: runtimes look here for who its root is on the host. */
function mappingsOf(ids: IdRange | undefined): Pick<OciLinux, 'uidMappings' | 'gidMappings'> {
  if (ids === undefined) return {};
  const mappings = [{ containerID: 0, hostID: ids.first, size: ids.count }];
  return { uidMappings: mappings, gidMappings: mappings };
}

/** In a user namespace nobody makes any: they are mounted. */
function devicesOf({
  devices,
  ids,
}: Pick<ContainerLaunch, 'devices' | 'ids'>): NonNullable<OciLinux['devices']> {
  if (ids !== undefined) return [];
  return devices.map(({ path, type, major, minor, mode, uid, gid }) => ({
    ...{ path, type, major, minor, fileMode: mode & 0o7777 },
    ...{ uid: uid ?? 0, gid: gid ?? 0 },
  }));
}

/** Of a container and of an exec alike. */
export function renderBundleProcess(
  process: Pick<ExecLaunch, 'args' | 'env' | 'cwd' | 'user' | 'security' | 'rlimits'>,
  { permitted, isTerminal }: Pick<BundleFacts, 'permitted' | 'isTerminal'>,
): OciProcess {
  const { args, env, cwd, user, security, rlimits = [] } = process;
  const { appArmor, nodev, privileged } = security;
  const isLeftOut = (name: string): boolean => nodev === true && !privileged && name === 'CAP_MKNOD';
  const capabilities = security.capabilities.filter((name) => permitted.includes(name) && !isLeftOut(name));
  return {
    terminal: isTerminal,
    user: { uid: user.uid, gid: user.gid, additionalGids: user.additionalGids },
    ...{ args, env, cwd },
    // None is inheritable: a program with such a file would have it (CVE-2022-24769).
    capabilities: { bounding: capabilities, effective: capabilities, permitted: capabilities },
    noNewPrivileges: security.noNewPrivileges,
    rlimits: rlimits.map(({ name, soft, hard }) => ({ type: name, soft, hard })),
    ...(appArmor === undefined ? {} : { apparmorProfile: appArmor }),
  };
}

function seccompOf(
  { seccomp, capabilities, privileged }: LaunchSecurity,
  architecture: Architecture,
): object | undefined {
  if (privileged) return undefined;
  if (seccomp === 'runtime-default') return renderDefaultSeccomp(capabilities, architecture);
  if (seccomp === 'unconfined') return renderUnconfinedSeccomp(capabilities, architecture);
  if (seccomp.profile !== undefined) return seccomp.profile;
  throw new PodwrightError(
    'E_UNSUPPORTED',
    `render a bundle: seccomp profile ${seccomp.name}: it is known as a filter alone`,
  );
}

function mountOf({ type, source, target, options, data = '' }: LaunchMount): OciMount {
  return {
    destination: target,
    // So it is called in bundles, of either version.
    type: type === 'cgroup2' ? 'cgroup' : type,
    source,
    options: [...options, ...data.split(',').filter((word) => word !== '')],
  };
}

/** What containers may open, and the limits that a runtime makes something of beside the cgroup that we write: a machine's size. */
export function renderResources({
  devices,
  resources,
  missing,
}: Pick<BundleFacts, 'devices' | 'resources' | 'missing'>): OciResources {
  const { memoryMaxBytes, cpuQuotaUs, cpuPeriodUs, pidsMax } = resources;
  const has = (controller: string): boolean => !missing.includes(controller);
  const cpu = {
    ...(cpuQuotaUs === undefined ? {} : { quota: cpuQuotaUs }),
    ...(cpuPeriodUs === undefined ? {} : { period: cpuPeriodUs }),
  };
  return {
    devices: [{ allow: false, access: 'rwm' }, ...devices.map(deviceRuleOf)],
    ...(memoryMaxBytes === undefined || !has('memory') ? {} : { memory: { limit: memoryMaxBytes } }),
    ...(Object.keys(cpu).length === 0 || !has('cpu') ? {} : { cpu }),
    ...(pidsMax === undefined || !has('pids') ? {} : { pids: { limit: pidsMax } }),
  };
}

function deviceRuleOf({ isAllowed, type, major, minor, access }: DeviceRule): OciDeviceRule {
  return {
    ...{ allow: isAllowed, type, access },
    ...(major === undefined ? {} : { major }),
    ...(minor === undefined ? {} : { minor }),
  };
}
