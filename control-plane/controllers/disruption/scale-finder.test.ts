import { describe, expect, it } from 'vitest';
import type { OwnerReference } from '#api/generated/objects.ts';
import { createScaleFinder } from './scale-finder.ts';

function ownerOf(kind: string, name: string): OwnerReference {
  const apiVersion = kind === 'ReplicationController' ? 'v1' : 'apps/v1';
  return { apiVersion, kind, name, uid: name, controller: true };
}

/** A cache of one object, which is the owner's of that name. */
function cacheOf(name: string, replicas: number, parent?: OwnerReference) {
  const ownerReferences = parent === undefined ? [] : [parent];
  const object = {
    metadata: { name, uid: name, ownerReferences },
    spec: { replicas, selector: {}, template: {} },
  };
  return { get: (key: string) => (key === `a/${name}` ? object : undefined) };
}
const none = { get: (): undefined => undefined };

describe('createScaleFinder()', () => {
  const deployment = ownerOf('Deployment', 'web');
  it.each([
    { name: 'its Deployment says it', isThere: true, parent: deployment, want: { uid: 'web', replicas: 7 } },
    { name: 'its Deployment is gone', isThere: false, parent: deployment, want: { uid: 'rs', replicas: 3 } },
    {
      name: 'its Deployment is another of the name',
      isThere: true,
      parent: { ...deployment, uid: 'before' },
      want: { uid: 'rs', replicas: 3 },
    },
    { name: 'it has no owner', isThere: true, parent: undefined, want: { uid: 'rs', replicas: 3 } },
    {
      name: 'its owner is of another group',
      isThere: true,
      parent: { ...deployment, apiVersion: 'example.com/v1' },
      want: { uid: 'rs', replicas: 3 },
    },
  ])('of a ReplicaSet where $name', ({ isThere, parent, want }) => {
    const caches = {
      deployments: isThere ? cacheOf('web', 7) : none,
      replicaSets: cacheOf('rs', 3, parent),
      statefulSets: none,
      replicationControllers: none,
    };
    const find = createScaleFinder(caches, new Map());
    expect(find(ownerOf('ReplicaSet', 'rs'), 'a')).toEqual(want);
    expect(find({ ...ownerOf('ReplicaSet', 'rs'), uid: 'before' }, 'a')).toBeUndefined();
  });
});
