/** What a container with devices gets of the host: the answers of plugins, and the CDI devices that they name, as a runtime takes them. */
import type { Stats } from 'node:fs';
import { stat } from 'node:fs/promises';
import { errnoOf, PodwrightError } from '#base/errors.ts';
import { deviceAt, listHostDevices } from '#agent/runtime/host-devices.ts';
import type { ContainerConfig, ContainerHooks } from '#agent/runtime/runtime.ts';
import { editsFor, readCdiFiles } from './cdi/cdi-files.ts';
import type { CdiDeviceNode, CdiEdits, CdiMount } from './cdi/cdi-spec.ts';
import type { DeviceAnswer } from './device.ts';

export interface ContainerDevices extends Pick<ContainerConfig, 'env' | 'mounts' | 'devices'> {
  readonly additionalGids: readonly number[];
  readonly hooks: ContainerHooks;
  /** Those of CDI that a runtime behind CRI is to find in its own files. */
  readonly cdiDevices: readonly string[];
  /** Of plugins, for the runtime. */
  readonly annotations: Readonly<Record<string, string>>;
}

export const noDevices: ContainerDevices = {
  ...{ env: [], mounts: [], devices: [], additionalGids: [] },
  ...{ hooks: {}, cdiDevices: [], annotations: {} },
};

type Mount = ContainerConfig['mounts'][number];
type LaunchDevice = ContainerConfig['devices'][number];

/** Annotations of containers by which plugins name CDI devices, comma-separated. */
const cdiAnnotation = 'cdi.k8s.io/';

/** Names of CDI devices: of the field, and of annotations. Pure. */
export function cdiNamesOf({ cdiDevices, annotations }: DeviceAnswer): readonly string[] {
  const named = Object.entries(annotations)
    .filter(([key]) => key.startsWith(cdiAnnotation))
    .flatMap(([, value]) => value.split(',').map((name) => name.trim()));
  return [...cdiDevices, ...named.filter((name) => name !== '')];
}

/**
 * @param cdiDirectories undefined: the runtime follows CDI itself, and is told the names and annotations as the kubelet does
 * @throws E_NOT_FOUND for what the host does not have, E_CONFLICT, E_UNSUPPORTED: which device, and which field
 */
export async function readContainerDevices(
  answers: readonly DeviceAnswer[],
  cdiDirectories: readonly string[] | undefined,
): Promise<ContainerDevices> {
  const isPassed = cdiDirectories === undefined;
  const names = isPassed ? [] : answers.flatMap(cdiNamesOf);
  const edits = names.length === 0 ? [] : editsFor(names, await readCdiFiles(cdiDirectories ?? []));
  const devices = new Map<string, LaunchDevice>();
  for (const node of answers.flatMap((answer) => answer.nodes))
    for (const device of await pluginDevices(node)) devices.set(device.path, device);
  for (const node of edits.flatMap(({ deviceNodes }) => deviceNodes))
    devices.set(node.path, await cdiDevice(node));
  const mounts = new Map<string, Mount>();
  for (const { containerPath, hostPath, isReadOnly } of answers.flatMap((answer) => answer.mounts))
    mounts.set(
      containerPath,
      await bindOf(hostPath, containerPath, ['rbind', 'rprivate', ...(isReadOnly ? ['ro'] : [])]),
    );
  for (const mount of edits.flatMap((edit) => edit.mounts))
    mounts.set(mount.containerPath, await cdiMount(mount));
  return {
    env: [...answers.flatMap(({ env }) => env), ...edits.flatMap(envOf)],
    mounts: [...mounts.values()],
    devices: [...devices.values()],
    additionalGids: [...new Set(edits.flatMap(({ additionalGids }) => additionalGids))],
    hooks: hooksOf(edits),
    cdiDevices: isPassed ? [...new Set(answers.flatMap((answer) => answer.cdiDevices))] : [],
    annotations: Object.fromEntries(
      answers.flatMap((answer) => (isPassed ? Object.entries(answer.annotations) : ownAnnotations(answer))),
    ),
  };
}

/** Those that name CDI devices have been followed: a runtime that follows them, too, would give all of it twice. */
function ownAnnotations({ annotations }: DeviceAnswer): readonly [string, string][] {
  return Object.entries(annotations).filter(([key]) => !key.startsWith(cdiAnnotation));
}

/** By stage, in the order of the devices. */
function hooksOf(edits: readonly CdiEdits[]): ContainerHooks {
  const byStage = Map.groupBy(
    edits.flatMap(({ hooks }) => hooks),
    ({ stage }) => stage,
  );
  return Object.fromEntries(
    [...byStage].map(([stage, hooks]) => [stage, hooks.map(({ stage: _stage, ...hook }) => hook)]),
  );
}

function envOf({ env }: CdiEdits): ContainerDevices['env'] {
  return env.map((text) => {
    const at = text.indexOf('=');
    return { name: text.slice(0, at), value: text.slice(at + 1) };
  });
}

/** A directory of devices stands for all that are in it. */
async function pluginDevices({
  hostPath,
  containerPath,
  permissions,
}: DeviceAnswer['nodes'][number]): Promise<readonly LaunchDevice[]> {
  const status = await statOf(hostPath);
  if (!status.isDirectory()) return [{ ...(await hostDevice(hostPath, containerPath)), access: permissions }];
  const listed = await listHostDevices(hostPath);
  return listed.map((device) => ({
    ...device,
    path: device.path.replace(/^\/dev/, containerPath.replace(/\/+$/, '')),
    hostPath: device.path.replace(/^\/dev/, hostPath.replace(/\/+$/, '')),
    access: permissions,
  }));
}

async function hostDevice(hostPath: string, path: string): Promise<LaunchDevice> {
  const status = await statOf(hostPath);
  const device =
    status.isBlockDevice() || status.isCharacterDevice() ? await deviceAt(hostPath, path) : undefined;
  if (device !== undefined) return { ...device, hostPath };
  throw new PodwrightError('E_NOT_FOUND', `device ${hostPath}: it is not a device node`);
}

/** What the file says, and what it leaves out as the host has it. */
async function cdiDevice(node: CdiDeviceNode): Promise<LaunchDevice> {
  const { path, hostPath, type, major, minor, fileMode, permissions: access, uid, gid } = node;
  if (type === 'p')
    throw new PodwrightError(
      'E_UNSUPPORTED',
      `device ${path}: a FIFO (type p) is not supported by this node`,
    );
  const own = { ...(uid === undefined ? {} : { uid }), ...(gid === undefined ? {} : { gid }), access };
  if (type !== undefined && major !== undefined && minor !== undefined && fileMode !== undefined)
    return { path, type: type === 'b' ? 'b' : 'c', major, minor, mode: fileMode & 0o777, ...own };
  const found = await hostDevice(hostPath, path);
  const isOther = type !== undefined && (type === 'b') !== (found.type === 'b');
  if (isOther)
    throw new PodwrightError('E_INVALID', `device ${hostPath}: its type is ${found.type}, not ${type}`);
  const { hostPath: at, ...numbered } = found;
  const isThere = (major ?? found.major) === found.major && (minor ?? found.minor) === found.minor;
  return {
    ...numbered,
    ...(isThere ? { hostPath: at } : {}),
    ...(major === undefined ? {} : { major }),
    ...(minor === undefined ? {} : { minor }),
    ...(fileMode === undefined ? {} : { mode: fileMode & 0o777 }),
    ...own,
  };
}

function cdiMount({ hostPath, containerPath, options, type }: CdiMount): Promise<Mount> | Mount {
  if (type === undefined || type === '' || type === 'bind' || type === 'none') {
    const isBind = options.some((option) => option === 'bind' || option === 'rbind');
    return bindOf(hostPath, containerPath, isBind ? options : ['rbind', ...options]);
  }
  if (type === 'tmpfs') return { type: 'tmpfs', source: 'tmpfs', target: containerPath, options };
  throw new PodwrightError(
    'E_UNSUPPORTED',
    `mount ${containerPath}: a file system of type ${type} is not supported by this node`,
  );
}

async function bindOf(source: string, target: string, options: readonly string[]): Promise<Mount> {
  const isFile = !(await statOf(source)).isDirectory();
  return { type: 'bind', source, target, isFile, options };
}

async function statOf(path: string): Promise<Stats> {
  try {
    return await stat(path);
  } catch (error) {
    if (errnoOf(error) !== 'ENOENT') throw error;
    throw new PodwrightError('E_NOT_FOUND', `device of a plugin: ${path} is not on this host`, {
      cause: error,
    });
  }
}
