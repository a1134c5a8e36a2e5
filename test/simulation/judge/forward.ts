/** What of an object only ever goes forward, whoever writes it. */
import { at, numberOf, stringOf } from '#api/wire/json.ts';
import type { JsonObject } from '#api/meta/object.ts';
import type { Held } from './ledger.ts';

interface Counted {
  /** Of which resources; undefined: of all. */
  readonly of: readonly string[] | undefined;
  readonly path: string | readonly string[];
}

const revision = 'deployment.kubernetes.io/revision';

const counted: readonly Counted[] = [
  { of: undefined, path: 'metadata.generation' },
  {
    of: ['deployments', 'replicasets', 'statefulsets', 'daemonsets', 'poddisruptionbudgets'],
    path: 'status.observedGeneration',
  },
  { of: ['deployments'], path: ['metadata', 'annotations', revision] },
  { of: ['jobs'], path: 'status.succeeded' },
  { of: ['jobs'], path: 'status.failed' },
];

/** How an object went back by a write; undefined: it did not. Pure. */
export function wentBack(before: Held, after: Held): string | undefined {
  const { uid, deletionTimestamp } = before.metadata;
  if (uid !== after.metadata.uid) return undefined;
  if (deletionTimestamp !== undefined && after.metadata.deletionTimestamp === undefined)
    return `${after.key} was going, and is not any more`;
  for (const { of, path } of counted) {
    if (of?.includes(after.resource) === false) continue;
    const [old, now] = [countAt(before.object, path), countAt(after.object, path)];
    if (now < old) return `${after.key} had ${nameOf(path)} ${old}, and has ${now}`;
  }
  return undefined;
}

function countAt(object: JsonObject, path: Counted['path']): number {
  const value = at(object, path);
  return typeof value === 'string' ? Number(stringOf(value)) : numberOf(value);
}

function nameOf(path: Counted['path']): string {
  return typeof path === 'string' ? path : (path.at(-1) ?? '');
}
