/** A process of a bundle as the launch takes it. Pure. */
import { PodwrightError } from '#base/errors.ts';
import type { OciConfig, OciProcess } from '#api/oci/runtime/config.ts';
import { compileSeccompProfile } from '#native/launch/seccomp-profile/compile-profile.ts';
import { parseSeccompProfile } from '#native/launch/seccomp-profile/profile.ts';
import { hostArchitecture } from '#native/launch/syscall-numbers.ts';
import type { SeccompFilter } from '#native/launch/launch.ts';
import type { BundleProcess, CapabilitySets } from '#native/launch/runner/bundle-launch.ts';

export interface ProcessFacts {
  /** CAP_* that this process has: no other can be given. */
  readonly permitted: readonly string[];
  readonly hasAppArmor: boolean;
  readonly kernelRelease: string;
  /** Of 0, 1, 2: pipes, sockets, files, terminals; not the host's devices. */
  readonly ownStreams: readonly number[];
  /** CAP_MKNOD is not given: no device filter stands behind it. */
  readonly isNodev: boolean;
  readonly warn: (text: string) => void;
}

/** @throws {E_INVALID, E_UNSUPPORTED} naming the member */
export function renderProcess(
  process: OciProcess,
  seccomp: NonNullable<OciConfig['linux']>['seccomp'],
  facts: ProcessFacts,
): BundleProcess {
  const { user = {}, args, cwd, apparmorProfile = '', consoleSize } = process;
  if (args.length === 0 || args[0] === '') throw invalid('process.args', 'they are empty');
  if (!cwd.startsWith('/')) throw invalid('process.cwd', `${cwd} is not an absolute path`);
  const odd = (process.env ?? []).find((each) => !each.includes('='));
  if (odd !== undefined) throw invalid('process.env', `${JSON.stringify(odd)} has no =`);
  if (apparmorProfile !== '' && apparmorProfile !== 'unconfined' && !facts.hasAppArmor)
    throw new PodwrightError(
      'E_UNSUPPORTED',
      `process.apparmorProfile: ${apparmorProfile}: AppArmor is not enabled`,
    );
  const capabilities = capabilitiesOf(process.capabilities ?? {}, facts);
  return {
    ...{ args, cwd, capabilities },
    env: process.env ?? [],
    user: {
      uid: idOf(user.uid ?? 0, 'process.user.uid'),
      gid: idOf(user.gid ?? 0, 'process.user.gid'),
      additionalGids: (user.additionalGids ?? []).map((gid) => idOf(gid, 'process.user.additionalGids')),
    },
    umask: user.umask ?? 0o022,
    noNewPrivileges: process.noNewPrivileges ?? false,
    seccomp: seccomp === undefined ? undefined : filterOf(seccomp, capabilities, facts),
    rlimits: (process.rlimits ?? []).map(({ type, soft, hard }) => ({ name: type, soft, hard })),
    oomScoreAdj: process.oomScoreAdj,
    terminal:
      process.terminal !== true
        ? undefined
        : consoleSize === undefined || (consoleSize.width === 0 && consoleSize.height === 0)
          ? 'default'
          : { columns: consoleSize.width, rows: consoleSize.height },
    apparmorProfile: ['', 'unconfined'].includes(apparmorProfile) ? undefined : apparmorProfile,
    ioPriority: ioPriorityOf(process.ioPriority),
    scheduler: schedulerOf(process.scheduler),
    cpus: affinityOf(process.execCPUAffinity),
    ownStreams: facts.ownStreams,
    hasOwnKeyring: true,
  };
}

function filterOf(
  seccomp: Readonly<Record<string, unknown>>,
  { bounding }: CapabilitySets,
  { kernelRelease }: ProcessFacts,
): SeccompFilter {
  const machine = hostArchitecture === 'x86_64' ? 'amd64' : 'arm64';
  try {
    const profile = parseSeccompProfile(JSON.stringify(seccomp), {
      capabilities: bounding,
      machine,
      kernelRelease,
    });
    return {
      name: 'linux.seccomp',
      program: compileSeccompProfile(profile, hostArchitecture).toString('base64'),
      flags: profile.flags,
    };
  } catch (error) {
    if (!(error instanceof PodwrightError)) throw error;
    throw new PodwrightError(error.code, `linux.seccomp.${error.message}`, { cause: error });
  }
}

function capabilitiesOf(given: NonNullable<OciProcess['capabilities']>, facts: ProcessFacts): CapabilitySets {
  const wanted = new Set(Object.values(given).flat());
  const missing = [...wanted].filter((name) => !facts.permitted.includes(name));
  if (missing.length > 0)
    facts.warn(`process.capabilities: this process has no ${missing.join(', ')} to give`);
  const kept = (names: readonly string[] = []): readonly string[] =>
    names.filter((name) => facts.permitted.includes(name) && !(facts.isNodev && name === 'CAP_MKNOD'));
  const [permitted, inheritable] = [kept(given.permitted), kept(given.inheritable)];
  // The kernel has none in the ambient set that is not in both (capabilities(7)); what cannot be given is a warning (config.md, "capabilities").
  const ambient = kept(given.ambient).filter(
    (name) => permitted.includes(name) && inheritable.includes(name),
  );
  const lost = kept(given.ambient).filter((name) => !ambient.includes(name));
  if (lost.length > 0)
    facts.warn(`process.capabilities.ambient: ${lost.join(', ')}: not in inheritable and permitted`);
  return {
    bounding: kept(given.bounding),
    effective: kept(given.effective),
    permitted,
    inheritable,
    ambient,
  };
}

/** ioprio_set(2): a class in the upper bits (linux/ioprio.h, IOPRIO_CLASS_SHIFT). */
function ioPriorityOf(priority: OciProcess['ioPriority']): number | undefined {
  if (priority === undefined) return undefined;
  const classes = { IOPRIO_CLASS_RT: 1, IOPRIO_CLASS_BE: 2, IOPRIO_CLASS_IDLE: 3 } as const;
  const level = priority.priority ?? 0;
  if (level < 0 || level > 7) throw invalid('process.ioPriority.priority', 'it is 0 to 7');
  return (classes[priority.class as keyof typeof classes] << 13) | level;
}

const policies = {
  SCHED_OTHER: 0,
  SCHED_FIFO: 1,
  SCHED_RR: 2,
  SCHED_BATCH: 3,
  SCHED_ISO: 4,
  SCHED_IDLE: 5,
  SCHED_DEADLINE: 6,
} as const;
const schedulerFlags = {
  SCHED_FLAG_RESET_ON_FORK: 1,
  SCHED_FLAG_RECLAIM: 2,
  SCHED_FLAG_DL_OVERRUN: 4,
  SCHED_FLAG_KEEP_POLICY: 8,
  SCHED_FLAG_KEEP_PARAMS: 16,
  SCHED_FLAG_UTIL_CLAMP_MIN: 32,
  SCHED_FLAG_UTIL_CLAMP_MAX: 64,
} as const;

/** struct sched_attr (linux/sched/types.h), its first version of 48 bytes. */
function schedulerOf(scheduler: OciProcess['scheduler']): Buffer | undefined {
  if (scheduler === undefined) return undefined;
  const policy = numberOf(policies, scheduler.policy, 'process.scheduler.policy');
  const attr = Buffer.alloc(48);
  attr.writeUInt32LE(attr.length, 0);
  attr.writeUInt32LE(policy, 4);
  const all = (scheduler.flags ?? []).reduce(
    (sum, name) => sum | numberOf(schedulerFlags, name, 'process.scheduler.flags'),
    0,
  );
  attr.writeBigUInt64LE(BigInt(all), 8);
  attr.writeInt32LE(scheduler.nice ?? 0, 16);
  attr.writeUInt32LE(scheduler.priority ?? 0, 20);
  attr.writeBigUInt64LE(BigInt(scheduler.runtime ?? 0), 24);
  attr.writeBigUInt64LE(BigInt(scheduler.deadline ?? 0), 32);
  attr.writeBigUInt64LE(BigInt(scheduler.period ?? 0), 40);
  return attr;
}

function numberOf(table: Readonly<Record<string, number>>, name: string, at: string): number {
  const value = Object.hasOwn(table, name) ? table[name] : undefined;
  if (value === undefined) throw invalid(at, `${name} is unknown`);
  return value;
}

/** Of an exec: what it begins with is over when it runs. */
function affinityOf(affinity: OciProcess['execCPUAffinity']): readonly number[] | undefined {
  const text = affinity?.final ?? affinity?.initial ?? '';
  return text === '' ? undefined : parseCpuList(text, 'process.execCPUAffinity');
}

/** `0-3,7`, as cpuset(7) has it. @throws E_INVALID */
export function parseCpuList(text: string, at: string): readonly number[] {
  return text.split(',').flatMap((part) => {
    const [, first, last = first] = /^\s*(\d{1,4})(?:-(\d{1,4}))?\s*$/.exec(part) ?? [];
    const [from, to] = [Number(first), Number(last)];
    if (first === undefined || from > to || to > 1023) throw invalid(at, `${part} is no list of CPUs`);
    return Array.from({ length: to - from + 1 }, (_, index) => from + index);
  });
}

function idOf(id: number, at: string): number {
  if (id < 0 || id >= 0xffff_ffff) throw invalid(at, `${id} is no id`);
  return id;
}

function invalid(at: string, why: string): PodwrightError {
  return new PodwrightError('E_INVALID', `${at}: ${why}`);
}
