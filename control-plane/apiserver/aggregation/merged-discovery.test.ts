import { describe, expect, it } from 'vitest';
import { aggregatedDiscovery, apiGroupList } from '#api/schema/discovery.ts';
import { builtInVersions } from '#api/schema/served-version.ts';
import type { JsonObject } from '#api/meta/object.ts';
import { at, objectsOf } from '#api/wire/json.ts';
import { mergeGroups, mergeItems, type RemoteVersion } from './merged-discovery.ts';

const remote = (group: string, version: string, priorities: Partial<RemoteVersion> = {}): RemoteVersion => ({
  ...{ group, version, groupPriority: 100, versionPriority: 100, resources: [], isCurrent: true },
  ...priorities,
});
const own = objectsOf(apiGroupList(builtInVersions)['groups']);
const ownItems = objectsOf(aggregatedDiscovery('groups', 'v2', builtInVersions)['items']);
const custom = { name: 'example.com', versions: [{ groupVersion: 'example.com/v1', version: 'v1' }] };
const names = (groups: readonly JsonObject[]): readonly unknown[] =>
  groups.map((group) => group['name'] ?? at(group, 'metadata.name'));

describe('the documents of all groups', () => {
  it('have those of Kubernetes in the order of their priorities, without others as with them', () => {
    expect(names(mergeGroups(own, []))).toEqual(names(own));
    expect(mergeItems(ownItems, [])).toEqual(ownItems);
  });

  it.each<{ readonly name: string; readonly priority: number; readonly behind: string }>([
    { name: 'above all others', priority: 19_000, behind: 'apiregistration.k8s.io' },
    { name: 'between those of Kubernetes', priority: 17_790, behind: 'apps' },
    { name: 'behind them', priority: 2_000, behind: 'flowcontrol.apiserver.k8s.io' },
    { name: 'as custom kinds, by the alphabet', priority: 1_000, behind: 'example.com' },
    { name: 'last', priority: 10, behind: 'example.com' },
  ])('have another server $name, as its priority says', ({ priority, behind }) => {
    const merged = mergeGroups(
      [...own, custom],
      [remote('wardle.example.com', 'v1', { groupPriority: priority })],
    );
    expect(names(merged)[names(merged).indexOf('wardle.example.com') - 1]).toBe(behind);
    const item = { metadata: { name: 'example.com' }, versions: [{ version: 'v1' }] };
    const items = mergeItems(
      [...ownItems, item],
      [remote('wardle.example.com', 'v1', { groupPriority: priority })],
    );
    expect(names(items)).toEqual(names(merged));
  });

  it('have versions by their priorities, then the newest first, whoever answers them', () => {
    const remotes = [
      remote('example.com', 'v2alpha1'),
      remote('example.com', 'v3', { versionPriority: 7 }),
      remote('example.com', 'v2'),
      remote('example.com', 'v1beta1', { versionPriority: 200 }),
    ];
    const [group] = mergeGroups([custom], remotes);
    expect(objectsOf(group?.['versions']).map(({ version }) => version)).toEqual([
      ...['v1beta1', 'v2', 'v1', 'v2alpha1', 'v3'],
    ]);
    expect(group?.['preferredVersion']).toEqual({ groupVersion: 'example.com/v1beta1', version: 'v1beta1' });
  });
});
