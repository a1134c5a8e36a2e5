/** A bundle as the launch takes it: what is not there is decided here, and what cannot be done is refused by name. Pure. */
import { isAbsolute, join } from 'node:path';
import { PodwrightError } from '#base/errors.ts';
import type { OciConfig, OciIdMapping, OciLinux } from '#api/oci/runtime/config.ts';
import { namespaceKinds } from '#native/launch/runner/bundle-launch.ts';
import type {
  BundleLaunch,
  BundleUsers,
  IdMapping,
  NamespaceKind,
} from '#native/launch/runner/bundle-launch.ts';
import { ownerOf } from '#native/launch/runner/compile-bundle-process.ts';
import { renderMounts, type MountFacts } from './render-mounts.ts';
import { renderProcess, type ProcessFacts } from './render-process.ts';

export interface BundleFacts extends MountFacts, ProcessFacts {
  /** Whether a path is a namespace that this process is in. */
  readonly isOwnNamespace: (path: string) => boolean;
  readonly hasOwnKeyring: boolean;
}

/** @throws {E_INVALID, E_UNSUPPORTED} naming the member */
export function renderBundle(config: OciConfig, facts: BundleFacts): BundleLaunch {
  const { linux = {}, root, process } = config;
  if (process === undefined) throw invalid('process', 'it is missing');
  const namespaces = namespacesOf(linux, facts);
  const has = (kind: NamespaceKind): boolean => namespaces.some((each) => each.kind === kind);
  if (!has('mount'))
    throw new PodwrightError(
      'E_UNSUPPORTED',
      'linux.namespaces: mount is needed: a root is put together in one',
    );
  for (const [name, kind] of [
    ['hostname', 'uts'],
    ['domainname', 'uts'],
  ] as const) {
    if ((config[name] ?? '') !== '' && !has(kind)) throw invalid(name, `it needs a namespace ${kind}`);
  }
  const users = usersOf(linux, namespaces);
  checkTimeOffsets(linux, namespaces);
  const mapped = (id: number | undefined, of: 'uidMappings' | 'gidMappings'): number =>
    ownerOf(users?.[of], id ?? 0);
  const devices = linux.devices ?? [];
  return {
    process: {
      ...renderProcess(process, linux.seccomp, facts),
      hasOwnKeyring: facts.hasOwnKeyring,
      cpus: undefined,
    },
    root: {
      path: isAbsolute(root.path) ? root.path : join(facts.bundle, root.path),
      isReadonly: root.readonly ?? false,
    },
    mounts: renderMounts(config.mounts ?? [], facts, {
      uid: linux.uidMappings ?? [],
      gid: linux.gidMappings ?? [],
    }),
    isNodev: facts.isNodev,
    devices: devices
      .filter(({ type }) => type !== 'p')
      .map(({ path, type, major = 0, minor = 0, fileMode = 0o666, uid, gid }) => ({
        ...{ path: absolute(path), type: type === 'b' ? 'b' : 'c', major, minor, mode: fileMode & 0o7777 },
        ...{ uid: mapped(uid, 'uidMappings'), gid: mapped(gid, 'gidMappings') },
      })),
    pipes: devices
      .filter(({ type }) => type === 'p')
      .map(({ path, fileMode = 0o666, uid, gid }) => ({
        ...{ path: absolute(path), mode: fileMode & 0o7777 },
        ...{ uid: mapped(uid, 'uidMappings'), gid: mapped(gid, 'gidMappings') },
      })),
    ...{ namespaces, users },
    hostname: (config.hostname ?? '') === '' ? undefined : config.hostname,
    domainname: (config.domainname ?? '') === '' ? undefined : config.domainname,
    sysctls: sysctlsOf(linux, namespaces),
    maskedPaths: linux.maskedPaths ?? [],
    readonlyPaths: linux.readonlyPaths ?? [],
    rootPropagation: propagationOf(linux.rootfsPropagation),
    personality: linux.personality === undefined ? undefined : linux.personality.domain === 'LINUX32' ? 8 : 0,
    timeOffsets: Object.entries(linux.timeOffsets ?? {}).map(([clock, { secs = 0, nanosecs = 0 }]) => ({
      ...{ clock, seconds: secs, nanoseconds: nanosecs },
    })),
    pausesMounted: (config.hooks?.createContainer ?? []).length > 0,
  };
}

function namespacesOf({ namespaces = [] }: OciLinux, facts: BundleFacts): BundleLaunch['namespaces'] {
  return namespaces.map(({ type, path = '' }, index) => {
    const at = `linux.namespaces[${index}]`;
    const kind = namespaceKinds.find((known) => known === type);
    if (kind === undefined) throw invalid(`${at}.type`, `${type} is unknown`);
    if (namespaces.findIndex((each) => each.type === type) !== index)
      throw invalid(at, `${type} is there twice`);
    if (path === '') return { kind, path: undefined };
    if (!isAbsolute(path)) throw invalid(`${at}.path`, `${path} is not an absolute path`);
    if (kind === 'mount' && facts.isOwnNamespace(path))
      throw new PodwrightError('E_UNSUPPORTED', `${at}.path: ${path} is the host's, whose root would go`);
    return { kind, path };
  });
}

function usersOf(linux: OciLinux, namespaces: BundleLaunch['namespaces']): BundleUsers | undefined {
  const own = namespaces.find(({ kind }) => kind === 'user');
  const { uidMappings = [], gidMappings = [] } = linux;
  if (own === undefined) {
    if (uidMappings.length + gidMappings.length === 0) return undefined;
    throw invalid('linux.uidMappings', 'they need a namespace user');
  }
  if (uidMappings.length === 0 || gidMappings.length === 0)
    throw invalid('linux.uidMappings', 'a user namespace needs mappings of users and of groups');
  const [uids, gids] = [uidMappings.map(mappingOf), gidMappings.map(mappingOf)];
  const root = uidMappings.find(({ containerID }) => containerID === 0);
  const group = gidMappings.find(({ containerID }) => containerID === 0);
  if (root === undefined || group === undefined)
    throw invalid('linux.uidMappings', 'none of them has the id 0');
  return {
    ids: { first: root.hostID, count: root.size },
    firstGid: group.hostID,
    uidMappings: uids,
    gidMappings: gids,
  };
}

function mappingOf({ containerID, hostID, size }: OciIdMapping): IdMapping {
  if (size <= 0 || containerID < 0 || hostID < 0)
    throw invalid('linux.uidMappings', 'ids and sizes are natural numbers');
  return { containerId: containerID, hostId: hostID, size };
}

function checkTimeOffsets({ timeOffsets = {} }: OciLinux, namespaces: BundleLaunch['namespaces']): void {
  const odd = Object.keys(timeOffsets).find((clock) => clock !== 'monotonic' && clock !== 'boottime');
  if (odd !== undefined) throw invalid(`linux.timeOffsets.${odd}`, 'there are monotonic and boottime');
  const isNew = namespaces.some(({ kind, path }) => kind === 'time' && path === undefined);
  if (Object.keys(timeOffsets).length > 0 && !isNew)
    throw invalid('linux.timeOffsets', 'they need a new namespace time');
}

/** Of whose namespace a sysctl is; what is of none would be the host's. */
function sysctlsOf(
  { sysctl = {} }: OciLinux,
  namespaces: BundleLaunch['namespaces'],
): Readonly<Record<string, string>> {
  for (const name of Object.keys(sysctl)) {
    const key = name.replaceAll('/', '.');
    const kind: NamespaceKind | undefined = key.startsWith('net.')
      ? 'network'
      : /^(?:fs\.mqueue\.|kernel\.(?:msg|sem|shm))/.test(key)
        ? 'ipc'
        : /^kernel\.(?:domainname|hostname)$/.test(key)
          ? 'uts'
          : undefined;
    if (kind === undefined)
      throw invalid(`linux.sysctl.${name}`, 'it is of no namespace, but of the whole host');
    if (!namespaces.some((each) => each.kind === kind))
      throw invalid(`linux.sysctl.${name}`, `it needs a namespace ${kind}`);
  }
  return sysctl;
}

function propagationOf(word: string = ''): BundleLaunch['rootPropagation'] {
  switch (word.replace(/^r(?=private|slave|shared|unbindable)/, '')) {
    case 'private':
      return 'private';
    case 'shared':
      return 'shared';
    case 'unbindable':
      return 'unbindable';
    default:
      return 'slave';
  }
}

const absolute = (path: string): string => (path.startsWith('/') ? path : `/${path}`);

function invalid(at: string, why: string): PodwrightError {
  return new PodwrightError('E_INVALID', `${at}: ${why}`);
}
