import { formatGroupVersion, groupVersions, kinds } from '#api/schema/kinds.ts';

/** The classic discovery documents of the built-in kinds, with the fields that our clients read; undefined elsewhere. */
export function answerDiscovery(path: string): string | undefined {
  if (path === '/apis') {
    const groups = [...new Set(groupVersions.map(({ group }) => group))].filter((group) => group !== '');
    return JSON.stringify({ kind: 'APIGroupList', groups: groups.map(apiGroup) });
  }
  if (path === '/api') return JSON.stringify({ kind: 'APIVersions', versions: ['v1'] });
  const found = groupVersions.find(
    ({ group, version }) => path === (group === '' ? `/api/${version}` : `/apis/${group}/${version}`),
  );
  if (found === undefined) return undefined;
  const resources = kinds
    .filter(({ group, version }) => group === found.group && version === found.version)
    .map(({ resource, kind, namespaced, verbs }) => ({ name: resource, kind, namespaced, verbs }));
  return JSON.stringify({ kind: 'APIResourceList', groupVersion: formatGroupVersion(found), resources });
}

function apiGroup(group: string): object {
  const versions = groupVersions
    .filter((candidate) => candidate.group === group)
    .map((candidate) => ({ groupVersion: formatGroupVersion(candidate), version: candidate.version }));
  return { name: group, versions, preferredVersion: versions[0] };
}
