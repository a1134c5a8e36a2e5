/** config.json of a bundle, runtime-spec 1.2 (config.md, config-linux.md), and what is refused of it by name. Pure. */
import { PodwrightError } from '#base/errors.ts';
import { any, boolean, checkShape, fields, integer, list, map, refuse, string, words } from './shape.ts';
import type { Shape } from './shape.ts';

export interface OciIdMapping {
  readonly containerID: number;
  readonly hostID: number;
  readonly size: number;
}

export interface OciMount {
  readonly destination: string;
  readonly type?: string;
  readonly source?: string;
  readonly options?: readonly string[];
  readonly uidMappings?: readonly OciIdMapping[];
  readonly gidMappings?: readonly OciIdMapping[];
}

export interface OciHook {
  readonly path: string;
  readonly args?: readonly string[];
  readonly env?: readonly string[];
  /** Seconds. */
  readonly timeout?: number;
}

export const hookStages = [
  'prestart',
  'createRuntime',
  'createContainer',
  'startContainer',
  'poststart',
  'poststop',
] as const;
export type HookStage = (typeof hookStages)[number];

export interface OciProcess {
  readonly terminal?: boolean;
  readonly consoleSize?: { readonly height: number; readonly width: number };
  readonly user?: {
    readonly uid?: number;
    readonly gid?: number;
    readonly umask?: number;
    readonly additionalGids?: readonly number[];
  };
  readonly args: readonly string[];
  readonly env?: readonly string[];
  readonly cwd: string;
  readonly capabilities?: Readonly<
    Partial<Record<'bounding' | 'effective' | 'inheritable' | 'permitted' | 'ambient', readonly string[]>>
  >;
  readonly rlimits?: readonly { readonly type: string; readonly soft: number; readonly hard: number }[];
  readonly noNewPrivileges?: boolean;
  readonly apparmorProfile?: string;
  readonly oomScoreAdj?: number;
  readonly scheduler?: {
    readonly policy: string;
    readonly nice?: number;
    readonly priority?: number;
    readonly flags?: readonly string[];
    readonly runtime?: number;
    readonly deadline?: number;
    readonly period?: number;
  };
  readonly ioPriority?: { readonly class: string; readonly priority?: number };
  readonly execCPUAffinity?: { readonly initial?: string; readonly final?: string };
}

export interface OciDeviceRule {
  readonly allow: boolean;
  readonly type?: string;
  readonly major?: number;
  readonly minor?: number;
  readonly access?: string;
}

type Throttle = { readonly major: number; readonly minor: number; readonly rate: number };

export interface OciResources {
  readonly devices?: readonly OciDeviceRule[];
  readonly memory?: {
    readonly limit?: number;
    readonly reservation?: number;
    readonly swap?: number;
    readonly checkBeforeUpdate?: boolean;
  };
  readonly cpu?: {
    readonly shares?: number;
    readonly quota?: number;
    readonly burst?: number;
    readonly period?: number;
    readonly cpus?: string;
    readonly mems?: string;
    readonly idle?: number;
  };
  readonly pids?: { readonly limit?: number };
  readonly blockIO?: {
    readonly weight?: number;
    readonly weightDevice?: readonly {
      readonly major: number;
      readonly minor: number;
      readonly weight?: number;
    }[];
    readonly throttleReadBpsDevice?: readonly Throttle[];
    readonly throttleWriteBpsDevice?: readonly Throttle[];
    readonly throttleReadIOPSDevice?: readonly Throttle[];
    readonly throttleWriteIOPSDevice?: readonly Throttle[];
  };
  readonly hugepageLimits?: readonly { readonly pageSize: string; readonly limit: number }[];
  readonly rdma?: Readonly<Record<string, { readonly hcaHandles?: number; readonly hcaObjects?: number }>>;
  readonly unified?: Readonly<Record<string, string>>;
}

export interface OciLinux {
  readonly namespaces?: readonly { readonly type: string; readonly path?: string }[];
  readonly uidMappings?: readonly OciIdMapping[];
  readonly gidMappings?: readonly OciIdMapping[];
  readonly timeOffsets?: Readonly<Record<string, { readonly secs?: number; readonly nanosecs?: number }>>;
  readonly devices?: readonly {
    readonly path: string;
    readonly type: string;
    readonly major?: number;
    readonly minor?: number;
    readonly fileMode?: number;
    readonly uid?: number;
    readonly gid?: number;
  }[];
  readonly cgroupsPath?: string;
  readonly resources?: OciResources;
  readonly rootfsPropagation?: string;
  readonly seccomp?: Readonly<Record<string, unknown>>;
  readonly sysctl?: Readonly<Record<string, string>>;
  readonly maskedPaths?: readonly string[];
  readonly readonlyPaths?: readonly string[];
  readonly personality?: { readonly domain: string; readonly flags?: readonly string[] };
}

export interface OciConfig {
  readonly ociVersion: string;
  readonly root: { readonly path: string; readonly readonly?: boolean };
  readonly mounts?: readonly OciMount[];
  readonly process?: OciProcess;
  readonly hostname?: string;
  readonly domainname?: string;
  readonly hooks?: Readonly<Partial<Record<HookStage, readonly OciHook[]>>>;
  readonly annotations?: Readonly<Record<string, string>>;
  readonly linux?: OciLinux;
}

const mapping = fields({ 'containerID!': integer, 'hostID!': integer, 'size!': integer });
const hook = fields({ 'path!': string, args: list(string), env: list(string), timeout: integer });
const strings = list(string);
const v1 = refuse('there is no such limit in cgroup v2');
const throttles = list(fields({ 'major!': integer, 'minor!': integer, 'rate!': integer }));
const selinux = refuse('SELinux labels are not set; leave it out');

export const resourcesShape: Shape = fields({
  devices: list(
    fields({
      'allow!': boolean,
      type: words('a', 'b', 'c', 'u', ''),
      major: integer,
      minor: integer,
      access: string,
    }),
  ),
  memory: fields({
    ...{ limit: integer, reservation: integer, swap: integer, checkBeforeUpdate: boolean },
    ...{ kernel: v1, kernelTCP: v1, swappiness: v1, disableOOMKiller: v1 },
    useHierarchy: any, // So it is in cgroup v2.
  }),
  cpu: fields({
    ...{
      shares: integer,
      quota: integer,
      burst: integer,
      period: integer,
      cpus: string,
      mems: string,
      idle: integer,
    },
    ...{ realtimeRuntime: v1, realtimePeriod: v1 },
  }),
  pids: fields({ limit: integer }),
  blockIO: fields({
    weight: integer,
    leafWeight: v1,
    weightDevice: list(fields({ 'major!': integer, 'minor!': integer, weight: integer, leafWeight: v1 })),
    throttleReadBpsDevice: throttles,
    throttleWriteBpsDevice: throttles,
    throttleReadIOPSDevice: throttles,
    throttleWriteIOPSDevice: throttles,
  }),
  hugepageLimits: list(fields({ 'pageSize!': string, 'limit!': integer })),
  network: refuse('cgroup v2 has no classes and priorities of packets'),
  rdma: map(fields({ hcaHandles: integer, hcaObjects: integer })),
  unified: map(string),
});

export const processShape: Shape = fields({
  terminal: boolean,
  consoleSize: fields({ 'height!': integer, 'width!': integer }),
  user: fields({
    uid: integer,
    gid: integer,
    umask: integer,
    additionalGids: list(integer),
    username: refuse('users have numbers here'),
  }),
  'args!': strings,
  env: strings,
  'cwd!': string,
  capabilities: fields({
    ...{ bounding: strings, effective: strings, inheritable: strings, permitted: strings, ambient: strings },
  }),
  rlimits: list(fields({ 'type!': string, 'soft!': integer, 'hard!': integer })),
  noNewPrivileges: boolean,
  apparmorProfile: string,
  oomScoreAdj: integer,
  selinuxLabel: selinux,
  scheduler: fields({
    ...{ 'policy!': string, nice: integer, priority: integer, flags: strings },
    ...{ runtime: integer, deadline: integer, period: integer },
  }),
  ioPriority: fields({
    'class!': words('IOPRIO_CLASS_RT', 'IOPRIO_CLASS_BE', 'IOPRIO_CLASS_IDLE'),
    priority: integer,
  }),
  execCPUAffinity: fields({ initial: string, final: string }),
  commandLine: refuse('it is of Windows; give args'),
});

const linuxShape = fields({
  namespaces: list(
    fields({
      'type!': words('pid', 'network', 'mount', 'ipc', 'uts', 'user', 'cgroup', 'time'),
      path: string,
    }),
  ),
  uidMappings: list(mapping),
  gidMappings: list(mapping),
  timeOffsets: map(fields({ secs: integer, nanosecs: integer })),
  devices: list(
    fields({
      ...{ 'path!': string, 'type!': words('b', 'c', 'u', 'p'), major: integer, minor: integer },
      ...{ fileMode: integer, uid: integer, gid: integer },
    }),
  ),
  cgroupsPath: string,
  resources: resourcesShape,
  rootfsPropagation: words(
    '',
    ...['shared', 'slave', 'private', 'unbindable'].flatMap((word) => [word, `r${word}`]),
  ),
  seccomp: any, // Read by native/launch/seccomp-profile.
  sysctl: map(string),
  maskedPaths: strings,
  readonlyPaths: strings,
  mountLabel: selinux,
  personality: fields({
    'domain!': words('LINUX', 'LINUX32'),
    flags: refuse('no flags of personalities are known'),
  }),
  intelRdt: refuse('resctrl is not written; leave it out'),
  netDevices: refuse('network devices are not moved; move them before the container is created'),
  memoryPolicy: refuse('memory policies are not set; leave it out'),
});

const configShape = fields({
  'ociVersion!': string,
  'root!': fields({ 'path!': string, readonly: boolean }),
  mounts: list(
    fields({
      ...{ 'destination!': string, type: string, source: string, options: strings },
      ...{ uidMappings: list(mapping), gidMappings: list(mapping) },
    }),
  ),
  process: processShape,
  hostname: string,
  domainname: string,
  hooks: fields(Object.fromEntries(hookStages.map((stage) => [stage, list(hook)]))),
  annotations: map(string),
  linux: linuxShape,
  windows: refuse('this is Linux'),
  solaris: refuse('this is Linux'),
  freebsd: refuse('this is Linux'),
  vm: refuse('containers are no virtual machines here'),
  zos: refuse('this is Linux'),
});

/** Newest version of the specification that is known. */
export const ociVersionMax = '1.2.1';

/** Bytes of a configuration at most. */
export const configBytesMax = 16_777_216;

export interface ParsedConfig {
  readonly config: OciConfig;
  /** Members that no field is of, which are passed over (config.md, "Extensibility"). */
  readonly unknown: readonly string[];
}

/** @throws {E_INVALID, E_UNSUPPORTED} naming the member */
export function parseOciConfig(text: string): ParsedConfig {
  const unknown: string[] = [];
  const document = parseJson(text, 'config.json');
  checkShape(document, configShape, '', (path) => void unknown.push(path));
  const config = withoutNulls(document) as OciConfig;
  if (!/^1\.\d+\.\d+(?:[-+].*)?$/.test(config.ociVersion))
    throw new PodwrightError('E_UNSUPPORTED', `ociVersion: ${config.ociVersion} is none of 1.x.y`);
  return { config, unknown };
}

/** A process as `exec --process` has it. @throws as parseOciConfig */
export function parseOciProcess(text: string): OciProcess {
  const document = parseJson(text, 'process');
  checkShape(document, processShape, 'process', () => undefined);
  return withoutNulls(document) as OciProcess;
}

/** Limits as `update --resources` has them. @throws as parseOciConfig */
export function parseOciResources(text: string): OciResources {
  const document = parseJson(text, 'resources');
  checkShape(document, resourcesShape, 'resources', () => undefined);
  return withoutNulls(document) as OciResources;
}

function parseJson(text: string, what: string): unknown {
  if (text.length > configBytesMax)
    throw new PodwrightError('E_LIMIT', `parse ${what}: ${text.length} bytes, at most ${configBytesMax}`);
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new PodwrightError('E_INVALID', `parse ${what}: not JSON`, { cause });
  }
}

/** What is null is not there. */
function withoutNulls(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(withoutNulls);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value).flatMap(([name, member]) =>
      member === null ? [] : [[name, withoutNulls(member)]],
    ),
  );
}
