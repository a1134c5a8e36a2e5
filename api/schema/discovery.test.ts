import { describe, expect, it } from 'vitest';
import {
  aggregatedDiscovery,
  apiGroup,
  apiGroupList,
  apiResourceList,
  apiVersions,
  discoveryEtag,
  storageVersionHash,
} from './discovery.ts';
import { at, objectsOf } from '#api/wire/json.ts';
import { findKindByName, kinds } from './kinds.ts';
import { builtInVersions } from './served-version.ts';

describe('aggregatedDiscovery()', () => {
  const core = aggregatedDiscovery('core', 'v2', builtInVersions);
  const groups = aggregatedDiscovery('groups', 'v2', builtInVersions);

  it('has the core group without a name, and all others in order of priority', () => {
    expect(objectsOf(core['items']).map(({ metadata }) => metadata)).toEqual([{}]);
    const names = objectsOf(groups['items']).map((item) => at(item, 'metadata.name'));
    expect(names.slice(0, 4)).toEqual([
      'apiregistration.k8s.io',
      'apps',
      'events.k8s.io',
      'authentication.k8s.io',
    ]);
    expect(new Set(names).size).toBe(names.length);
  });

  it('prefers autoscaling v2', () => {
    const autoscaling = objectsOf(groups['items']).find(
      (item) => at(item, 'metadata.name') === 'autoscaling',
    );
    expect(objectsOf(autoscaling?.['versions']).map(({ version }) => version)).toEqual(['v2', 'v1']);
  });

  it('shows a resource as kube-apiserver does', () => {
    const apps = objectsOf(groups['items']).find((item) => at(item, 'metadata.name') === 'apps');
    const deployments = objectsOf(objectsOf(apps?.['versions'])[0]?.['resources']).find(
      ({ resource }) => resource === 'deployments',
    );
    expect(deployments).toEqual({
      resource: 'deployments',
      responseKind: { group: '', version: '', kind: 'Deployment' },
      scope: 'Namespaced',
      singularResource: 'deployment',
      verbs: ['create', 'delete', 'deletecollection', 'get', 'list', 'patch', 'update', 'watch'],
      shortNames: ['deploy'],
      categories: ['all'],
      subresources: [
        {
          subresource: 'scale',
          responseKind: { group: 'autoscaling', version: 'v1', kind: 'Scale' },
          verbs: ['get', 'patch', 'update'],
        },
        {
          subresource: 'status',
          responseKind: { group: '', version: '', kind: 'Deployment' },
          verbs: ['get', 'patch', 'update'],
        },
      ],
    });
  });

  it('has a quoted upper-case ETag', () => {
    expect(discoveryEtag('x')).toMatch(/^"[0-9A-F]{128}"$/);
  });
});

describe('the classic documents', () => {
  it('list versions, groups and resources', () => {
    expect(apiVersions('10.0.0.1:6443')).toMatchObject({ kind: 'APIVersions', versions: ['v1'] });
    expect(objectsOf(apiGroupList(builtInVersions)['groups']).map(({ name }) => name)).not.toContain('');
    expect(apiGroup('apps', builtInVersions)).toEqual({
      kind: 'APIGroup',
      apiVersion: 'v1',
      name: 'apps',
      versions: [{ groupVersion: 'apps/v1', version: 'v1' }],
      preferredVersion: { groupVersion: 'apps/v1', version: 'v1' },
    });
    expect(apiGroup('nope', builtInVersions)).toBeUndefined();
  });

  it.each(builtInVersions.map((gv) => [`${gv.group}/${gv.version}`, gv] as const))(
    'name every kind of %s',
    (_name, gv) => {
      const resources = objectsOf(apiResourceList(gv)['resources']).map(({ name }) => name);
      for (const kind of kinds.filter((each) => each.group === gv.group && each.version === gv.version)) {
        expect(resources).toContain(kind.resource);
        for (const sub of kind.subresources) expect(resources).toContain(`${kind.resource}/${sub.name}`);
      }
    },
  );

  it('offer eviction as what drain looks for', () => {
    const core = builtInVersions.filter(({ group }) => group === '');
    expect(core.map(apiResourceList).flatMap(({ resources }) => objectsOf(resources))).toContainEqual({
      name: 'pods/eviction',
      singularName: '',
      namespaced: true,
      group: 'policy',
      version: 'v1',
      kind: 'Eviction',
      verbs: ['create'],
    });
  });
});

describe('storageVersionHash()', () => {
  it.each([
    ['v1', 'Pod', 'xPOwRZ+Yhw8='],
    ['v1', 'Event', 'r2yiGXH7wu8='],
    ['events.k8s.io/v1', 'Event', 'r2yiGXH7wu8='], // A view of the same objects.
  ])('is the one of kube-apiserver: %s %s', (apiVersion, name, want) => {
    const kind = findKindByName(apiVersion, name);
    expect(kind && storageVersionHash(kind)).toBe(want);
  });
});
