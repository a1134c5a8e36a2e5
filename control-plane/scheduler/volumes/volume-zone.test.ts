import { expect, it } from 'vitest';
import type { PersistentVolumeClaim, Pod } from '#api/generated/objects.ts';
import { volumeZoneFilter } from '#control-plane/scheduler/plugins/volume-zone.ts';
import { nodeInfo, type Snapshot } from '#control-plane/scheduler/snapshot.ts';
import type { VolumeLookUp } from './look-up.ts';

/*
 * The cases of volume_zone_test of Kubernetes. Labels are said as `zone=a`, those of old names as `beta-zone=a`.
 */
const names = {
  zone: 'topology.kubernetes.io/zone',
  region: 'topology.kubernetes.io/region',
  'beta-zone': 'failure-domain.beta.kubernetes.io/zone',
  'beta-region': 'failure-domain.beta.kubernetes.io/region',
} as const;

const labelsOf = (text: string): Record<string, string> =>
  Object.fromEntries(
    text
      .split(' ')
      .filter((part) => part !== '')
      .map((part) => {
        const [name = '', value = ''] = part.split('=');
        return [Object.entries(names).find(([short]) => short === name)?.[1] ?? name, value];
      }),
  );

/** `no volume labels` of the claim's volume, or its spec where it has none. */
function ask(claim: string | PersistentVolumeClaim['spec'], node: string): string {
  const volumes: VolumeLookUp = {
    claim: () => ({ spec: typeof claim === 'string' ? { volumeName: 'v' } : claim }),
    volume: (name) =>
      typeof claim === 'string' && name === 'v' ? { metadata: { labels: labelsOf(claim) } } : undefined,
    storageClass: (name) =>
      name === 'none'
        ? undefined
        : { provisioner: 'p', volumeBindingMode: name === 'wait' ? 'WaitForFirstConsumer' : 'Immediate' },
    ...{ offered: () => [], isTaken: () => false, chosenNode: () => undefined, usedOn: () => [] },
  };
  const pod: Pod = {
    metadata: { namespace: 'n', name: 'p' },
    spec: { containers: [], volumes: [{ name: 'c', persistentVolumeClaim: { claimName: 'c' } }] },
  };
  const snapshot: Snapshot = { nodes: [], volumes, services: () => [], namespaceLabels: () => ({}) };
  const context = { pod, snapshot };
  const refused = volumeZoneFilter.refuseAll?.(context);
  if (refused !== undefined) return refused;
  const on = nodeInfo({ metadata: { name: 'x', labels: labelsOf(node) } }, new Map());
  return volumeZoneFilter.filter(context)?.(on).join(', ') ?? 'skipped';
}

const conflict = 'node(s) had no available volume zone';

it.each([
  ['beta-zone=a', '', ''],
  ['beta-zone=a', 'beta-zone=a other=x', ''],
  ['beta-region=r other=x', 'beta-region=r other=x', ''],
  ['beta-region=r', 'beta-region=s', conflict],
  ['beta-zone=a', 'beta-zone=b', conflict],
  ['zone=a', 'zone=a', ''],
  ['region=r', 'region=r', ''],
  ['region=r', 'region=s', conflict],
  ['zone=a', 'zone=b', conflict],
  ['zone=a region=r', 'zone=a', conflict],
  ['zone=a', 'beta-zone=a', conflict],
  ['beta-zone=a', 'zone=a', ''],
  ['beta-zone=a', 'zone=b', conflict],
  ['beta-zone=c__a', '', ''],
  ['beta-zone=c__a', 'beta-zone=a', ''],
  ['zone=c__a', 'zone=a', ''],
  ['zone=c__a', 'zone=b', conflict],
  ['zone=c__', 'zone=b', 'skipped'],
  ['other=x', 'zone=b', 'skipped'],
])('a volume of %s on a node of %s: %s', (volume, node, want) => {
  expect(ask(volume, node)).toBe(want);
});

it.each([
  [{}, 'PersistentVolumeClaim had no pv name and storageClass name'],
  [{ storageClassName: 'none' }, 'storageclass.storage.k8s.io "none" not found'],
  [{ storageClassName: 'at-once' }, 'PersistentVolume had no name'],
  [{ storageClassName: 'wait' }, 'skipped'],
  [{ volumeName: 'gone' }, 'persistentvolume "gone" not found'],
])('a claim of %j: %s', (spec, want) => {
  expect(ask(spec, 'zone=a')).toBe(want);
});
