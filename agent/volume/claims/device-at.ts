import { stat } from 'node:fs/promises';
import { errnoOf, PodwrightError } from '#base/errors.ts';
import type { MountedVolume } from '#agent/volume/volume.ts';

/** A block device for containers. @throws {E_INVALID} */
export async function deviceAt(path: string, name: string): Promise<MountedVolume> {
  const found = await statIfThere(path);
  if (found?.isBlockDevice() !== true)
    throw new PodwrightError('E_INVALID', `PersistentVolume ${name}: ${path} is no block device`);
  return { path, device: { ...deviceNumbers(BigInt(found.rdev)), mode: Number(found.mode) & 0o777 } };
}

/** As the kernel packs them (gnu_dev_major, gnu_dev_minor of glibc's sys/sysmacros.h). */
function deviceNumbers(value: bigint): { readonly major: number; readonly minor: number } {
  return {
    major: Number(((value >> 8n) & 0xfffn) | ((value >> 32n) & ~0xfffn)),
    minor: Number((value & 0xffn) | ((value >> 12n) & ~0xffn)),
  };
}

/** Of what a link leads to; undefined: nothing is there. */
export async function statIfThere(path: string): Promise<Awaited<ReturnType<typeof stat>> | undefined> {
  try {
    return await stat(path);
  } catch (error) {
    if (errnoOf(error) === 'ENOENT' || errnoOf(error) === 'ENOTDIR') return undefined;
    throw error;
  }
}
