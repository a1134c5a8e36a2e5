/** What a node has made ready of claims, on disk: written before a driver is asked, so that what it did is always undone. */
import { createHash } from 'node:crypto';
import { mkdir, readFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { writeDurably } from '#base/durable-file.ts';
import { errnoOf, PodwrightError } from '#base/errors.ts';
import { isObject } from '#api/wire/json.ts';
import type { ClaimRef, DriverDevice } from './dra-plugin.ts';

/** A claim that pods of this node use. */
export interface ClaimRecord extends ClaimRef {
  readonly podUids: readonly string[];
  /** All that were asked, or are to be; its devices once the driver has answered. */
  readonly drivers: Readonly<Record<string, readonly DriverDevice[] | null>>;
}

export function encodeClaimRecords(claims: readonly ClaimRecord[]): string {
  const data = JSON.stringify(claims);
  return `${JSON.stringify({ version: 1, sha256: checksum(data), data })}\n`;
}

/** @throws {E_DAMAGED} for anything that `encodeClaimRecords` did not write */
export function parseClaimRecords(text: string): readonly ClaimRecord[] {
  let outer: unknown;
  try {
    outer = JSON.parse(text);
  } catch (cause) {
    throw new PodwrightError('E_DAMAGED', 'it is no JSON', { cause });
  }
  if (!isObject(outer) || outer['version'] !== 1 || typeof outer['data'] !== 'string')
    throw new PodwrightError('E_DAMAGED', 'it has no version 1 of what claims are prepared');
  const { data, sha256 } = outer;
  if (sha256 !== checksum(data)) throw new PodwrightError('E_DAMAGED', 'its checksum is another');
  // By the checksum it is what was written.
  return JSON.parse(data) as readonly ClaimRecord[];
}

function checksum(data: string): string {
  return createHash('sha256').update(data).digest('hex');
}

/** @throws {E_DAMAGED} with what to do */
export async function readClaimRecords(path: string): Promise<readonly ClaimRecord[]> {
  try {
    return parseClaimRecords(await readFile(path, 'utf8'));
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return [];
    const what = 'which claims are prepared is not known. When no pod with claims runs here, remove it';
    throw new PodwrightError('E_DAMAGED', `read ${path}: ${what}`, { cause: error });
  }
}

/** Survives a loss of power. */
export async function writeClaimRecords(path: string, claims: readonly ClaimRecord[]): Promise<void> {
  await mkdir(dirname(path), { recursive: true, mode: 0o700 });
  await writeDurably(path, encodeClaimRecords(claims), { mode: 0o600 });
}
