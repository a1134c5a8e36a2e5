/** What a node's containers have of devices, on disk: written before a container starts with them, read before any other gets some. */
import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { writeDurably } from '#base/durable-file.ts';
import { errnoOf, PodwrightError } from '#base/errors.ts';
import { isObject } from '#api/wire/json.ts';
import type { DeviceAllocation } from './device.ts';

export interface DeviceCheckpoint {
  /** Ids of devices by resource, as plugins listed them last. */
  readonly resources: Readonly<Record<string, readonly string[]>>;
  readonly allocations: readonly DeviceAllocation[];
}

const emptyCheckpoint: DeviceCheckpoint = { resources: {}, allocations: [] };

export function encodeCheckpoint(checkpoint: DeviceCheckpoint): string {
  const data = JSON.stringify(checkpoint);
  return `${JSON.stringify({ version: 1, sha256: checksum(data), data })}\n`;
}

/** @throws {E_DAMAGED} for anything that `encodeCheckpoint` did not write */
export function parseCheckpoint(text: string): DeviceCheckpoint {
  const damaged = (why: string, cause?: unknown): PodwrightError =>
    new PodwrightError('E_DAMAGED', why, { cause });
  let outer: unknown;
  try {
    outer = JSON.parse(text);
  } catch (cause) {
    throw damaged('it is no JSON', cause);
  }
  if (!isObject(outer) || outer['version'] !== 1 || typeof outer['data'] !== 'string')
    throw damaged('it has no version 1 of what devices are given');
  const { data, sha256 } = outer;
  if (sha256 !== checksum(data)) throw damaged('its checksum is another');
  // By the checksum it is what was written.
  return JSON.parse(data) as DeviceCheckpoint;
}

function checksum(data: string): string {
  return createHash('sha256').update(data).digest('hex');
}

/** @throws {E_DAMAGED} */
export async function readCheckpoint(path: string): Promise<DeviceCheckpoint> {
  try {
    return parseCheckpoint(await readFile(path, 'utf8'));
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return emptyCheckpoint;
    const what = 'which devices containers have is not known. When no pod with devices runs here, remove it';
    throw new PodwrightError('E_DAMAGED', `read ${path}: ${what}`, { cause: error });
  }
}

/** Survives a loss of power. */
export function writeCheckpoint(path: string, checkpoint: DeviceCheckpoint): Promise<void> {
  return writeDurably(path, encodeCheckpoint(checkpoint), { mode: 0o600 });
}
