import { existsSync } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { join, resolve } from 'node:path';

import { errnoOf, PodwrightError } from '#base/errors.ts';
import { connectControl, type ControlClient } from './control.ts';
import { dataDirError } from './program/data-dir.ts';

export interface NodeHere {
  readonly name: string;
  readonly control: ControlClient;
}

/**
 * The agents of a data directory: an agent's own (DIR/agent.sock), or those of `up` (DIR/node-N/agent.sock).
 * @throws E_NOT_FOUND when there are none; see dataDirError
 */
export async function nodesHere(data: string): Promise<readonly NodeHere[]> {
  const directory = resolve(data);
  const own = join(directory, 'agent.sock');
  if (existsSync(own)) return [{ name: 'this node', control: connectControl(own) }];
  const entries = await namesIn(directory);
  const nodes = entries
    .filter((name) => existsSync(join(directory, name, 'agent.sock')))
    .toSorted(new Intl.Collator('en', { numeric: true }).compare)
    .map((name) => ({ name, control: connectControl(join(directory, name, 'agent.sock')) }));
  if (nodes.length > 0) return nodes;
  throw new PodwrightError(
    'E_NOT_FOUND',
    `find nodes in ${directory}: none run; start podwright up, or name the directory with --data`,
  );
}

async function namesIn(directory: string): Promise<readonly string[]> {
  try {
    return await readdir(directory);
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return [];
    throw dataDirError(directory, error);
  }
}
