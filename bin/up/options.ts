/** DIR/options.json: what `up` was told, so that the next `up` on the same data is the same cluster without being told again. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';

import { writeDurably } from '#base/durable-file.ts';
import { errnoOf } from '#base/errors.ts';
import { nodesMax } from './plan.ts';

export interface KeptOptions {
  readonly nodes: number;
  readonly port: number;
}

export const defaultOptions: KeptOptions = { nodes: 1, port: 6443 };

const fileOf = (dataDir: string): string => join(dataDir, 'options.json');

/** Pure. undefined when it is none. */
export function parseKeptOptions(text: string): KeptOptions | undefined {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return undefined;
  }
  if (typeof value !== 'object' || value === null) return undefined;
  const { nodes, port } = value as Partial<Record<keyof KeptOptions, unknown>>;
  const isWithin = (number: unknown, maximum: number): number is number =>
    typeof number === 'number' && Number.isInteger(number) && number >= 1 && number <= maximum;
  return isWithin(nodes, nodesMax) && isWithin(port, 65_535) ? { nodes, port } : undefined;
}

/** undefined when there are none; damaged ones are as good as none, and are written anew. The directory is claimed. */
export async function readKeptOptions(dataDir: string): Promise<KeptOptions | undefined> {
  try {
    return parseKeptOptions(await readFile(fileOf(dataDir), 'utf8'));
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return undefined;
    throw error;
  }
}

export async function writeKeptOptions(dataDir: string, options: KeptOptions): Promise<void> {
  await writeDurably(fileOf(dataDir), `${JSON.stringify(options)}\n`);
}
