/** Where the administrator's kubeconfig may be written: a file of somebody else's is not replaced. */
import { readFileSync } from 'node:fs';
import { dirname, resolve } from 'node:path';

import { load } from 'js-yaml';

import { errnoOf } from '#base/errors.ts';
import { lstatIfThere } from './ownership/marker.ts';
import { isEntryOf, markerName, roles } from './ownership/role.ts';

const bytesMax = 1_048_576;
const clusterName = 'podwright';

/** What is wrong with `--admin-kubeconfig PATH`, beginning with the option's name. Looks, and changes nothing. */
export function adminKubeconfigProblems(given: string | undefined): readonly string[] {
  if (given === undefined) return [];
  const path = resolve(given);
  const stats = lstatIfThere(path);
  if (stats === undefined || stats.size === 0 || isInOwnDirectory(path)) return [];
  if (stats.isFile() && stats.size <= bytesMax && holdsOnlyOurCluster(textOf(path))) return [];
  return [`--admin-kubeconfig ${given}: it holds what podwright did not write; name another file`];
}

/** A kubeconfig of the server's, also after `kubectl config` has changed it. Pure. */
export function holdsOnlyOurCluster(text: string): boolean {
  let value: unknown;
  try {
    value = load(text);
  } catch {
    return false;
  }
  if (typeof value !== 'object' || value === null) return false;
  const { kind, clusters } = value as { readonly kind?: unknown; readonly clusters?: unknown };
  if (kind !== 'Config' || !Array.isArray(clusters) || clusters.length === 0) return false;
  return clusters.every((each: unknown) => {
    return typeof each === 'object' && each !== null && 'name' in each && each.name === clusterName;
  });
}

/** Such as that of `up`, DIR/kubeconfig: made anew at each start, whatever has become of it. */
function isInOwnDirectory(path: string): boolean {
  const directory = dirname(path);
  const name = path.slice(directory.length + 1);
  return roles.some(
    (role) =>
      role !== 'run' && isEntryOf(role, name) && lstatIfThere(`${directory}/${markerName(role)}`)?.isFile(),
  );
}

function textOf(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    if (errnoOf(error) === undefined) throw error;
    return '';
  }
}
