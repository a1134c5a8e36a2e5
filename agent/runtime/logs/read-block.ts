import type { FileHandle } from 'node:fs/promises';

/** Logs are read in blocks of so many bytes: the event loop has its turn between two. */
export const readBytesMax: number = 64 * 1024;

/** So many bytes at most; fewer where the file ends. */
export async function readAt(
  file: Pick<FileHandle, 'read'>,
  offset: number,
  length: number,
): Promise<Buffer> {
  const buffer = Buffer.allocUnsafe(Math.min(length, readBytesMax));
  const { bytesRead } = await file.read(buffer, 0, buffer.length, offset);
  return buffer.subarray(0, bytesRead);
}
