/** What a node is told by KubeletConfiguration and has no option of the command line for. */
import type { Taint } from '#api/generated/objects.ts';
import type { JsonObject } from '#api/meta/object.ts';
import { parseDurationMs } from '#api/meta/duration.ts';
import { isObject } from '#api/wire/json.ts';
import { quantityToInteger, quantityToMilli, tryParseQuantity } from '#api/meta/quantity.ts';
import { PodwrightError } from '#base/errors.ts';
import { defaultAssign, readAssign, type AssignSettings } from '#agent/kubelet/assign/rules.ts';
import { defaultCgroupRules, type CgroupRules } from '#agent/kubelet/render/cgroup-rules.ts';
import {
  defaultNodeCgroups,
  readCgroupRules,
  readNodeCgroups,
  type NodeCgroupSettings,
} from './isolation.ts';
import { examineGates } from './feature-gates.ts';
import { readShutdown, type ShutdownGroups } from './shutdown.ts';
import {
  defaultVerification,
  readVerification,
  type VerificationSettings,
} from '#agent/kubelet/images/pulled/verification.ts';
import { defaultEviction, readEviction, type EvictionSettings } from '#agent/kubelet/evict/thresholds.ts';

/** Amounts that no pod gets. */
export interface Reserved {
  readonly cpuMilli: number;
  readonly memoryBytes: number;
  readonly storageBytes: number;
  readonly pids: number;
}

export interface KubeletSettings {
  /** Processes of a pod; undefined: no limit. */
  readonly podPidsMax: number | undefined;
  /** 0: no limit of pods by CPUs. */
  readonly podsPerCore: number;
  readonly isSeccompDefault: boolean;
  readonly allowedUnsafeSysctls: readonly string[];
  /** How long at most a container that ends again and again waits for its next start. */
  readonly restartBackoffMaxMs: number;
  readonly idsPerPod: number;
  readonly taints: readonly Taint[];
  readonly providerId: string | undefined;
  readonly statusUpdateMs: number;
  readonly statusReportMs: number;
  /** -1: all. */
  readonly imagesInStatusMax: number;
  readonly leaseSeconds: number;
  readonly logMonitorMs: number;
  /** Undefined: nothing is said of it. */
  readonly imagePullsAtOnceMax: number | undefined;
  readonly verification: VerificationSettings;
  readonly reserved: Reserved;
  /** Its two parts. */
  readonly kubeReserved: Reserved;
  readonly systemReserved: Reserved;
  /** What containers are given for themselves alone. */
  readonly assign: AssignSettings;
  readonly cgroupRules: CgroupRules;
  readonly nodeCgroups: NodeCgroupSettings;
  /** failSwapOn: a host with swap is not taken. */
  readonly isSwapRefused: boolean;
  readonly shutdown: ShutdownGroups;
  readonly eviction: EvictionSettings;
  readonly staticPodPath: string | undefined;
  readonly fileCheckMs: number;
}

const none: Reserved = { cpuMilli: 0, memoryBytes: 0, storageBytes: 0, pids: 0 };

/** The kubelet's defaults. */
export const defaultSettings: KubeletSettings = {
  podPidsMax: undefined,
  podsPerCore: 0,
  isSeccompDefault: false,
  allowedUnsafeSysctls: [],
  restartBackoffMaxMs: 300_000,
  idsPerPod: 65_536,
  taints: [],
  providerId: undefined,
  statusUpdateMs: 10_000,
  statusReportMs: 300_000,
  imagesInStatusMax: 50,
  leaseSeconds: 40,
  logMonitorMs: 10_000,
  imagePullsAtOnceMax: undefined,
  verification: defaultVerification,
  reserved: none,
  kubeReserved: none,
  systemReserved: none,
  assign: defaultAssign,
  cgroupRules: defaultCgroupRules,
  nodeCgroups: defaultNodeCgroups,
  isSwapRefused: false,
  shutdown: [],
  eviction: defaultEviction,
  staticPodPath: undefined,
  fileCheckMs: 20_000,
};

/** Of a configuration whose fields have their shapes. Pure. @throws {E_INVALID} with all that is wrong */
export function readSettings(configuration: JsonObject): KubeletSettings {
  const problems = [...examineGates(configuration).problems];
  const read = new Reader(configuration, problems);
  const system = reservedOf(read.texts('systemReserved'), 'systemReserved', problems);
  const kube = reservedOf(read.texts('kubeReserved'), 'kubeReserved', problems);
  const assign = readAssign(configuration, sum(system, kube), problems);
  const { reservedCpus: cpus } = assign;
  const pids = read.integer('podPidsLimit', -1, [-1, 4_194_304]);
  const nodeCgroups = readNodeCgroups(configuration, problems);
  const settings: KubeletSettings = {
    podPidsMax: pids <= 0 ? undefined : pids,
    podsPerCore: read.integer('podsPerCore', 0, [0, 65_536]),
    isSeccompDefault: configuration['seccompDefault'] === true,
    allowedUnsafeSysctls: read.list('allowedUnsafeSysctls'),
    restartBackoffMaxMs: restartBackoffOf(configuration['crashLoopBackOff'], problems),
    idsPerPod: idsPerPodOf(configuration['userNamespaces'], problems),
    taints: taintsOf(configuration['registerWithTaints'], problems),
    providerId: read.text('providerID'),
    statusUpdateMs: read.duration('nodeStatusUpdateFrequency', defaultSettings.statusUpdateMs),
    statusReportMs: read.duration('nodeStatusReportFrequency', defaultSettings.statusReportMs),
    imagesInStatusMax: read.integer('nodeStatusMaxImages', 50, [-1, 100_000]),
    leaseSeconds: read.integer('nodeLeaseDurationSeconds', 40, [1, 86_400]),
    imagePullsAtOnceMax: pullsAtOnceOf(configuration, problems),
    verification: readVerification(configuration, problems),
    logMonitorMs: read.duration('containerLogMonitorInterval', defaultSettings.logMonitorMs),
    // Of CPUs that are named, as many as they are stand for what both would keep.
    reserved: cpus === undefined ? sum(system, kube) : { ...sum(system, kube), cpuMilli: cpus.length * 1000 },
    kubeReserved: kube,
    systemReserved: system,
    assign: { ...assign, reconcileMs: read.duration('cpuManagerReconcilePeriod', defaultAssign.reconcileMs) },
    cgroupRules: readCgroupRules(configuration, problems),
    nodeCgroups,
    isSwapRefused: configuration['failSwapOn'] === true,
    shutdown: readShutdown(configuration, problems),
    eviction: readEviction(configuration, problems, nodeCgroups.enforced.has('pods')),
    staticPodPath: read.text('staticPodPath'),
    fileCheckMs: read.duration('fileCheckFrequency', defaultSettings.fileCheckMs),
  };
  if (problems.length > 0) throw new PodwrightError('E_INVALID', problems.join('; '));
  return settings;
}

/** Of pulls that somebody wants side by side without saying how many. */
const pullsAtOnceMost = 64;

/** serializeImagePulls and maxParallelImagePulls, which go together. */
function pullsAtOnceOf(
  { serializeImagePulls: isSerial, maxParallelImagePulls: most }: JsonObject,
  problems: string[],
): number | undefined {
  if (typeof most === 'number') {
    if (most < 1) problems.push(`maxParallelImagePulls: ${most} must be a positive number`);
    else if (most > 1 && isSerial === true)
      problems.push('maxParallelImagePulls: it cannot be larger than 1 unless serializeImagePulls is false');
    return Math.min(most, pullsAtOnceMost);
  }
  if (typeof isSerial !== 'boolean') return undefined;
  return isSerial ? 1 : pullsAtOnceMost;
}

class Reader {
  readonly #document: JsonObject;
  readonly #problems: string[];

  constructor(document: JsonObject, problems: string[]) {
    this.#document = document;
    this.#problems = problems;
  }

  text(name: string): string | undefined {
    const value = this.#document[name];
    return typeof value === 'string' && value !== '' ? value : undefined;
  }

  list(name: string): readonly string[] {
    const value = this.#document[name];
    return Array.isArray(value) ? value.map(String) : [];
  }

  texts(name: string): Readonly<Record<string, string>> {
    const value = this.#document[name];
    return isObject(value)
      ? Object.fromEntries(Object.entries(value).map(([key, text]) => [key, String(text)]))
      : {};
  }

  integer(name: string, otherwise: number, [least, most]: readonly [number, number]): number {
    const value = this.#document[name];
    if (typeof value !== 'number') return otherwise;
    if (value < least || value > most)
      this.#problems.push(`${name}: ${value} is not from ${least} to ${most}`);
    return value;
  }

  /** More than nothing: 0 is the default, as for the kubelet. */
  duration(name: string, otherwise: number): number {
    const text = this.text(name);
    const ms = text === undefined ? 0 : parseDurationMs(text);
    if (ms < 0) this.#problems.push(`${name}: ${text} is negative`);
    return ms <= 0 ? otherwise : ms;
  }
}

/** By the names of resources, as kubeReserved has them. */
function reservedOf(amounts: Readonly<Record<string, string>>, at: string, problems: string[]): Reserved {
  const kinds = new Set(['cpu', 'memory', 'ephemeral-storage', 'pid']);
  const parsed = new Map(
    Object.entries(amounts).map(([name, text]) => {
      const quantity = tryParseQuantity(text);
      if (!kinds.has(name)) problems.push(`${at}.${name}: cpu, memory, ephemeral-storage or pid is reserved`);
      if (quantity === undefined || quantityToInteger(quantity) < 0)
        problems.push(`${at}.${name}: ${text} is not an amount`);
      return [name, quantity] as const;
    }),
  );
  const amount = (name: string): number => {
    const quantity = parsed.get(name);
    return quantity === undefined ? 0 : quantityToInteger(quantity);
  };
  const cpu = parsed.get('cpu');
  return {
    cpuMilli: cpu === undefined ? 0 : quantityToMilli(cpu),
    memoryBytes: amount('memory'),
    storageBytes: amount('ephemeral-storage'),
    pids: amount('pid'),
  };
}

function sum(a: Reserved, b: Reserved): Reserved {
  return {
    cpuMilli: a.cpuMilli + b.cpuMilli,
    memoryBytes: a.memoryBytes + b.memoryBytes,
    storageBytes: a.storageBytes + b.storageBytes,
    pids: a.pids + b.pids,
  };
}

function restartBackoffOf(value: unknown, problems: string[]): number {
  const text = isObject(value) ? value['maxContainerRestartPeriod'] : undefined;
  if (typeof text !== 'string') return defaultSettings.restartBackoffMaxMs;
  const ms = parseDurationMs(text);
  if (ms < 1000 || ms > 300_000)
    problems.push(`crashLoopBackOff.maxContainerRestartPeriod: ${text} is not from 1s to 5m`);
  return ms;
}

function idsPerPodOf(value: unknown, problems: string[]): number {
  const count = isObject(value) ? value['idsPerPod'] : undefined;
  if (typeof count !== 'number') return defaultSettings.idsPerPod;
  if (count < 65_536 || count % 65_536 !== 0 || count > 2 ** 31)
    problems.push(`userNamespaces.idsPerPod: ${count} is no multiple of 65536`);
  return count;
}

const taintEffects = ['NoSchedule', 'PreferNoSchedule', 'NoExecute'] as const;

function taintsOf(value: unknown, problems: string[]): readonly Taint[] {
  if (!Array.isArray(value)) return [];
  return value.flatMap((taint: unknown, index): readonly Taint[] => {
    if (!isObject(taint)) return [];
    const { key, value: text } = taint;
    const effect = taintEffects.find((known) => known === taint['effect']);
    if (typeof key === 'string' && key !== '' && effect !== undefined)
      return [{ key, effect, ...(typeof text === 'string' ? { value: text } : {}) }];
    problems.push(`registerWithTaints[${index}]: a key and one of ${taintEffects.join(', ')} are wanted`);
    return [];
  });
}
