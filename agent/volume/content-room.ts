/** Room for the files that a pod's volumes make of API data, so that a few lines of a pod never stand for gigabytes. Pure. */
import { PodwrightError } from '#base/errors.ts';

/** Bytes of all files of a pod's volumes that are made of API objects, each counted in whole pages. */
export const podContentBytesMax = 33_554_432;

/** The same of the one volume that nearly every pod has (token, CA, namespace), which shares a tmpfs with that of other pods. */
export const sharedContentBytesMax = 65_536;

const pageBytes = 4096;

export interface ContentRoom {
  /** Counts a file before it is made. @throws E_LIMIT when there is no room for it */
  take(bytes: number): void;
}

/** A pod's room, for one volume after another. */
export function createContentRoom(): (volume: string, bytesMax: number) => ContentRoom {
  let total = 0;
  return (volume, bytesMax) => {
    let own = 0;
    return {
      take: (bytes) => {
        const size = Math.max(1, Math.ceil(bytes / pageBytes)) * pageBytes;
        total += size;
        own += size;
        if (own > bytesMax) throw noRoom(volume, `its files take more than ${bytesMax} bytes`);
        if (total > podContentBytesMax) {
          throw noRoom(
            volume,
            `files of the pod's volumes take more than ${podContentBytesMax} bytes together`,
          );
        }
      },
    };
  };
}

function noRoom(volume: string, why: string): PodwrightError {
  return new PodwrightError(
    'E_LIMIT',
    `volume "${volume}": ${why}; name fewer keys, or bring what is large in an image`,
  );
}
