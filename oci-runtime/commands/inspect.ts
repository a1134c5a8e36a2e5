/** `state`, `list`, `ps`, `events`, `features`: what is there, as text. */
import { existsSync, readdirSync, readFileSync, readlinkSync, statSync } from 'node:fs';
import { basename, dirname } from 'node:path';
import { execFileSync } from 'node:child_process';
import { systemClock } from '#base/clock.ts';
import { errnoOf, PodwrightError } from '#base/errors.ts';
import { hookStages, ociVersionMax } from '#api/oci/runtime/config.ts';
import { capabilityNames } from '#native/launch/capabilities.ts';
import { namespaceKinds } from '#native/launch/runner/bundle-launch.ts';
import { createCgroups } from '#native/cgroup/cgroup.linux.ts';
import type { CgroupStats } from '#native/cgroup/cgroup.ts';
import { mountOptionNames } from '#oci-runtime/render/render-mounts.ts';
import { processesOf } from '#oci-runtime/state/container-cgroup.ts';
import { keyOf, renderState, StateDirectory, statusOf } from '#oci-runtime/state/state.ts';
import type { ContainerState, Status } from '#oci-runtime/state/state.ts';
import { cgroupOf, find } from './signal.ts';
import type { Runtime } from './runtime.ts';

export function stateOf(runtime: Runtime, id: string): string {
  const { state, status } = find(runtime, id);
  return json({
    ...renderState(state, status),
    rootfs: state.config.root.path,
    created: state.created,
    owner: '',
  });
}

/** Of each that can be read; one that goes meanwhile is not there. */
export function listContainers(runtime: Runtime, format: string, isQuiet: boolean): string {
  const names = existsSync(runtime.root) ? readdirSync(runtime.root).toSorted() : [];
  const rows = names.flatMap(
    (name): readonly { readonly state: ContainerState; readonly status: Status }[] => {
      const directory = new StateDirectory(runtime.root, name);
      try {
        const state = directory.readIfWritten();
        return state === undefined ? [] : [{ state, status: statusOf(directory, state) }];
      } catch (error) {
        if (error instanceof PodwrightError || errnoOf(error) === 'ENOTDIR') return [];
        throw error;
      }
    },
  );
  if (isQuiet) return rows.map(({ state }) => `${state.id}\n`).join('');
  const documents = rows.map(({ state, status }) => ({
    ...renderState(state, status),
    rootfs: state.config.root.path,
    created: state.created,
    owner: 'root',
  }));
  if (format === 'json') return json(documents);
  return table([
    ['ID', 'PID', 'STATUS', 'BUNDLE', 'CREATED', 'OWNER'],
    ...rows.map(({ state, status }) => [
      state.id,
      String(status === 'stopped' ? 0 : (state.process?.pid ?? 0)),
      status,
      state.bundle,
      state.created,
      'root',
    ]),
  ]);
}

function table(rows: readonly (readonly string[])[]): string {
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)));
  return rows
    .map(
      (row) =>
        `${row
          .map((cell, column) => cell.padEnd(widths[column] ?? 0))
          .join('  ')
          .trimEnd()}\n`,
    )
    .join('');
}

/** Processes of the container: of its cgroup, or else of its pid namespace. */
export function pidsOf(state: ContainerState): readonly number[] {
  if (state.cgroup !== undefined) return processesOf(state.cgroup);
  const pid = state.process?.pid ?? 0;
  if (keyOf(pid) === undefined) return [];
  if (!(state.config.linux?.namespaces ?? []).some(({ type }) => type === 'pid')) return [pid];
  const namespace = namespaceOf(pid);
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .filter((each) => namespaceOf(each) === namespace);
}

function namespaceOf(pid: number): string | undefined {
  try {
    return readlinkSync(`/proc/${pid}/ns/pid`);
  } catch (error) {
    if (['ENOENT', 'ESRCH'].includes(errnoOf(error) ?? '')) return undefined;
    throw error;
  }
}

/** With `table`, what ps(1) prints of these processes. */
export function processesTable(
  runtime: Runtime,
  id: string,
  { format, options }: { readonly format: string; readonly options: readonly string[] },
): string {
  const pids = pidsOf(find(runtime, id).state);
  if (format === 'json') return json(pids);
  const [head = '', ...lines] = execFileSync('ps', options.length === 0 ? ['-ef'] : options, {
    encoding: 'utf8',
  }).split('\n');
  const column = head.trim().split(/\s+/).indexOf('PID');
  if (column < 0) throw new PodwrightError('E_USAGE', 'ps: its output has no column PID');
  const own = lines.filter((line) => pids.includes(Number(line.trim().split(/\s+/)[column])));
  return [head, ...own].map((line) => `${line}\n`).join('');
}

/** One line of what the cgroup used (runc, events.go, types/events.go). @throws E_UNSUPPORTED without a cgroup */
export async function statsOf(runtime: Runtime, id: string): Promise<string> {
  const { state } = find(runtime, id);
  const directory = cgroupOf(state, 'measure');
  const stats = await createCgroups(dirname(directory)).stats(basename(directory));
  if (stats === undefined)
    throw new PodwrightError('E_NOT_FOUND', `measure container ${id}: its cgroup is gone`);
  return json({ type: 'stats', id, data: renderStats(stats) });
}

function renderStats(stats: CgroupStats): Readonly<Record<string, unknown>> {
  const { cpu, memory, memoryEvents, pidsCurrent, io } = stats;
  const nanoseconds = (us: number): number => us * 1000;
  return {
    cpu: cpu && {
      usage: {
        total: nanoseconds(cpu.usageUs),
        kernel: nanoseconds(cpu.systemUs),
        user: nanoseconds(cpu.userUs),
      },
      throttling: {
        periods: cpu.periodCount ?? 0,
        throttledPeriods: cpu.throttledCount ?? 0,
        throttledTime: nanoseconds(cpu.throttledUs ?? 0),
      },
    },
    memory: memory && {
      cache: memory.fileBytes,
      usage: { usage: memory.currentBytes, failcnt: memoryEvents?.max ?? 0 },
      swap: { usage: memory.swapBytes },
    },
    pids: pidsCurrent === undefined ? undefined : { current: pidsCurrent },
    blkio: {
      ioServiceBytesRecursive: io.flatMap(({ device, readBytes, writtenBytes }) => {
        const [major, minor] = device.split(':').map(Number);
        return [
          { major, minor, op: 'Read', value: readBytes },
          { major, minor, op: 'Write', value: writtenBytes },
        ];
      }),
    },
  };
}

/** Between two looks, where nobody says. */
const intervalMsDefault = 5000;

/** Until the container ends: what it uses, and each time that memory ran out. */
export async function followEvents(
  runtime: Runtime,
  id: string,
  {
    intervalMs = intervalMsDefault,
    write,
  }: { readonly intervalMs?: number; readonly write: (text: string) => void },
): Promise<void> {
  const { state, directory } = find(runtime, id);
  const path = cgroupOf(state, 'measure');
  const cgroups = createCgroups(dirname(path));
  let killed: number | undefined;
  await using _watch = await cgroups.watch(basename(path), (event) => {
    if (event.kind !== 'memory') return;
    if (killed !== undefined && event.events.oomKill > killed) write(json({ type: 'oom', id }));
    killed = event.events.oomKill;
  });

  while (directory.exists() && statusOf(directory, state) !== 'stopped') {
    write(await statsOf(runtime, id));
    await systemClock.sleep(intervalMs);
  }
}

/** runtime-spec, features.md. */
export function features(): string {
  const hasAppArmor = existsSync('/sys/module/apparmor');
  return json({
    ociVersionMin: '1.0.0',
    ociVersionMax,
    hooks: hookStages,
    mountOptions: mountOptionNames,
    linux: {
      namespaces: [...namespaceKinds].toSorted(),
      capabilities: capabilityNames,
      cgroup: { v1: false, v2: true, systemd: false, systemdUser: false, rdma: true },
      seccomp: {
        enabled:
          statSync('/proc/self').isDirectory() &&
          readFileSync('/proc/self/status', 'utf8').includes('Seccomp:'),
        actions: ['ALLOW', 'ERRNO', 'KILL', 'KILL_PROCESS', 'KILL_THREAD', 'LOG', 'TRACE', 'TRAP'].map(
          (name) => `SCMP_ACT_${name}`,
        ),
        operators: ['NE', 'LT', 'LE', 'EQ', 'GE', 'GT', 'MASKED_EQ'].map((name) => `SCMP_CMP_${name}`),
        archs: ['SCMP_ARCH_X86_64', 'SCMP_ARCH_AARCH64'],
        knownFlags: [
          'SECCOMP_FILTER_FLAG_TSYNC',
          'SECCOMP_FILTER_FLAG_LOG',
          'SECCOMP_FILTER_FLAG_SPEC_ALLOW',
        ],
        supportedFlags: [
          'SECCOMP_FILTER_FLAG_TSYNC',
          'SECCOMP_FILTER_FLAG_LOG',
          'SECCOMP_FILTER_FLAG_SPEC_ALLOW',
        ],
      },
      apparmor: { enabled: hasAppArmor },
      selinux: { enabled: false },
      intelRdt: { enabled: false },
      netDevices: { enabled: false },
      mountExtensions: { idmap: { enabled: true } },
    },
    annotations: {},
    potentiallyUnsafeConfigAnnotations: [],
  });
}

function json(value: unknown): string {
  return `${JSON.stringify(value)}\n`;
}
