import { difference, hasPath, isEmptySet, setOfPath } from './field-set.ts';
import { ownerId, type Owner, type Owners } from './owner.ts';
import { fieldElement } from './path-element.ts';

const scaleVersion = 'autoscaling/v1';
const replicasOfScale = setOfPath(['spec', 'replicas'].map(fieldElement));

/** Of a workload: in which of its fields the replicas are that its Scale shows, in path elements. */
export interface ScalePlace {
  readonly path: readonly string[];
  /** The version in which the Scale was written. */
  readonly apiVersion: string;
}

/** Who owns the replicas of a workload, as owners of its Scale (apimachinery managedfields, ScaleHandler). */
export function ownersOfScale(owners: Owners, { path }: ScalePlace): Owners {
  const found = new Map<string, Owner>();
  for (const owner of owners.values()) {
    if (!hasPath(owner.fields, path)) continue;
    const ofScale = { ...owner, apiVersion: scaleVersion, fields: replicasOfScale };
    found.set(ownerId(ofScale), ofScale);
  }
  return found;
}

/** Owners of a workload after a write of its Scale. Whoever owns its replicas by that has no time. */
export function ownersAfterScale(owners: Owners, ofScale: Owners, { path, apiVersion }: ScalePlace): Owners {
  const left = new Map<string, Owner>();
  const rest = new Map([...ofScale.values()].map((owner) => [personOf(owner), owner]));
  for (const [id, owner] of owners) {
    const isOwner = hasPath(owner.fields, path);
    if (!isOwner || rest.delete(personOf(owner))) {
      left.set(id, owner);
      continue;
    }
    const fields = difference(owner.fields, setOfPath(path));
    if (!isEmptySet(fields)) left.set(id, { ...owner, fields });
  }
  for (const owner of rest.values()) {
    const own: Owner = { ...owner, apiVersion, time: undefined, fields: setOfPath(path) };
    left.set(ownerId(own), own);
  }
  return left;
}

/** Who it is, in whatever version. */
function personOf(owner: Owner): string {
  return ownerId({ ...owner, apiVersion: '' });
}
