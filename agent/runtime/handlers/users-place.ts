/**
 * What a container in a user namespace of its pod's has of the host, for a program that makes it there: the namespace's root may not go where
 * the runtime keeps things, cannot make devices, and what it mounts it cannot shift. So all of it is put together before, at one place. Pure.
 */
import type { ContainerLaunch, IdRange, LaunchMount, MadePlace } from '#native/launch/launch.ts';
import { placedRoot } from '#native/launch/made/compile-place.ts';

/** On every host, and for all to search; nothing of a program's is there. */
export const placePath = '/dev/shm';

export interface PlacedUsers {
  /** Where the container's root is then. */
  readonly root: string;
  readonly place: MadePlace;
  /** As the program is told them: without the options that hold already, which it could not set again. */
  readonly mounts: readonly LaunchMount[];
}

export function placeUsers(
  { mounts, devices }: Pick<ContainerLaunch, 'mounts' | 'devices'>,
  ids: IdRange,
): PlacedUsers {
  const binds = mounts.filter(({ type }) => type === 'bind');
  const deviceMounts = devices.map(({ path }, at): LaunchMount => {
    const source = `${placePath}/device-${at}`;
    return { type: 'bind', source, target: path, options: ['bind'], isFile: true };
  });
  return {
    root: `${placePath}/${placedRoot}`,
    place: {
      path: placePath,
      ids,
      mounts: binds.map((mount, at) => ({ ...mount, target: `/mount-${at}` })),
      devices: devices.map((device, at) => ({ ...device, path: `/device-${at}` })),
    },
    mounts: [
      ...mounts.map((mount) => {
        const at = binds.indexOf(mount);
        return at < 0 ? mount : placed(mount, `${placePath}/mount-${at}`);
      }),
      ...deviceMounts,
    ],
  };
}

/** The place as commands of a container that is there already look for it. */
export function placeOfExec(ids: IdRange): MadePlace {
  return { path: placePath, ids, mounts: [], devices: [] };
}

const keptWords = /^r?(?:bind|private|slave|shared|unbindable)$/;

function placed({ type, target, isFile = false, options }: LaunchMount, source: string): LaunchMount {
  return { type, source, target, isFile, options: options.filter((word) => keptWords.test(word)) };
}
