/** What the plan of a container has to know of the host. */
import { mkdir, readdir, readFile, stat } from 'node:fs/promises';
import { release } from 'node:os';
import { join } from 'node:path';
import { errnoOf } from '#base/errors.ts';
import type { ContainerConfig, Device, Mount } from '#proto/cri/api.ts';
import { refusal } from '#proto/status.ts';
import { readContainerDevices, type ContainerDevices } from '#agent/device/container-devices.ts';
import { profileBytesMax } from '#agent/kubelet/render/seccomp.ts';
import { deviceAt } from '#agent/runtime/host-devices.ts';
import type { ContainerConfig as MadeContainer, ImageStore } from '#agent/runtime/runtime.ts';
import type { SeccompText } from './render-container.ts';

/** Of a directory of devices, no more are looked at. */
const devicesMax = 4096;

/**
 * The host paths that are no directories. A path that is not there is made a directory, as other runtimes do (pods with a hostPath
 * volume without a type count on it).
 * @throws INVALID_ARGUMENT
 */
export async function findFiles(mounts: readonly Mount[]): Promise<ReadonlySet<string>> {
  const files = new Set<string>();
  for (const { host_path: path } of mounts) {
    if (!path.startsWith('/')) continue; // Refused where it is rendered.
    try {
      const found = await stat(path).catch((error: unknown) => {
        if (errnoOf(error) === 'ENOENT') return undefined;
        throw error;
      });
      if (found === undefined) await mkdir(path, { recursive: true, mode: 0o755 });
      else if (!found.isDirectory()) files.add(path);
    } catch (error) {
      throw refusal('INVALID_ARGUMENT', `mounts: ${path}: ${errnoOf(error) ?? String(error)}`);
    }
  }
  return files;
}

/** Ids of the images that are mounted and there, by the names that the mounts give them. */
export function findImages(
  mounts: readonly Mount[],
  images: Pick<ImageStore, 'resolve'>,
): ReadonlyMap<string, string> {
  const names = mounts.flatMap(({ image }) => (image === null || image.image === '' ? [] : [image.image]));
  return new Map(
    names.flatMap((name): [string, string][] => {
      const id = images.resolve(name)?.id;
      return id === undefined ? [] : [[name, id]];
    }),
  );
}

/** The text of a seccomp profile. @throws INVALID_ARGUMENT */
export async function readProfile(path: string | undefined): Promise<SeccompText | undefined> {
  if (path === undefined) return undefined;
  const refuse = (why: string): Error =>
    refusal('INVALID_ARGUMENT', `security_context.seccomp ${path}: ${why}`);
  if (!path.startsWith('/')) throw refuse('localhost_ref is not absolute');
  const found = await stat(path).catch((error: unknown) => {
    throw refuse(errnoOf(error) ?? String(error));
  });
  if (!found.isFile() || found.size > profileBytesMax)
    throw refuse(`no file of ${profileBytesMax} bytes at most`);
  return { path, text: await readFile(path, 'utf8'), kernelRelease: release() };
}

/** What the CDI devices bring that the field, or annotations for runtimes without it, name. @throws NOT_FOUND, E_CONFLICT, E_UNSUPPORTED */
export function findCdiDevices(
  { CDI_devices: devices, annotations }: Pick<ContainerConfig, 'CDI_devices' | 'annotations'>,
  directories: readonly string[],
): Promise<ContainerDevices> {
  const named = { cdiDevices: devices.map(({ name }) => name), annotations };
  return readContainerDevices([{ ...named, env: [], mounts: [], nodes: [] }], directories);
}

/** Device nodes by their numbers on the host; of a directory, those in it. @throws INVALID_ARGUMENT */
export async function findDevices(asked: readonly Device[]): Promise<MadeContainer['devices']> {
  const devices: MadeContainer['devices'][number][] = [];
  for (const { host_path: source, container_path: target, permissions } of asked) {
    if (!/^[rwm]*$/.test(permissions))
      throw refusal(
        'INVALID_ARGUMENT',
        `devices: permissions ${JSON.stringify(permissions)} are not of r, w and m`,
      );
    const access = permissions === '' ? {} : { access: permissions };
    const places = await placesOf(source, target === '' ? source : target);
    for (const place of places) {
      const device = await deviceAt(place.source, place.target);
      if (device !== undefined) devices.push({ ...device, ...access });
    }
    if (places.length === 0) throw refusal('INVALID_ARGUMENT', `devices: ${source} is no device`);
  }
  return devices;
}

interface DevicePlace {
  readonly source: string;
  readonly target: string;
}

async function placesOf(source: string, target: string): Promise<readonly DevicePlace[]> {
  const found = await stat(source).catch((error: unknown) => {
    throw refusal('INVALID_ARGUMENT', `devices: ${source}: ${errnoOf(error) ?? String(error)}`);
  });
  if (found.isCharacterDevice() || found.isBlockDevice()) return [{ source, target }];
  if (!found.isDirectory()) return [];
  const places: DevicePlace[] = [];
  for (const entry of await readdir(source, { recursive: true, withFileTypes: true })) {
    if (!entry.isCharacterDevice() && !entry.isBlockDevice()) continue;
    const below = join(entry.parentPath, entry.name).slice(source.length);
    places.push({ source: `${source}${below}`, target: join(target, below) });
    if (places.length > devicesMax)
      throw refusal('INVALID_ARGUMENT', `devices: more than ${devicesMax} in ${source}`);
  }
  return places;
}
