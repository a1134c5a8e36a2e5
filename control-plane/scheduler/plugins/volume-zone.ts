import type { PersistentVolume } from '#api/generated/objects.ts';
import { claimKeysOfPod } from '#api/volume/claim.ts';
import { changesOf, labelsOf } from '#control-plane/scheduler/cluster-event.ts';
import { passes, type FilterPlugin } from '#control-plane/scheduler/plugin.ts';

const conflict = 'node(s) had no available volume zone';

/** Labels of volumes that say where they are, the newer first: of nodes either is looked at. */
const topologyLabels = [
  ['topology.kubernetes.io/zone', 'failure-domain.beta.kubernetes.io/zone'],
  ['topology.kubernetes.io/region', 'failure-domain.beta.kubernetes.io/region'],
] as const;

interface Place {
  readonly labels: readonly string[];
  readonly values: ReadonlySet<string>;
}

/** A pod goes to the zone and region of its volumes, as their labels say. A node that says nothing of zones does for all. */
export const volumeZoneFilter: FilterPlugin = {
  name: 'VolumeZone',
  filter: ({ pod, snapshot: { volumes } }) => {
    if (volumes === undefined) return undefined;
    const places = claimKeysOfPod(pod).flatMap((key) => {
      const name = volumes.claim(key)?.spec?.volumeName ?? '';
      const volume = name === '' ? undefined : volumes.volume(name);
      return volume === undefined ? [] : placesOf(volume);
    });
    if (places.length === 0) return undefined;
    return ({ node }) => {
      const labels = node.metadata?.labels ?? {};
      const valueOf = ({ labels: keys }: Place): string | undefined =>
        keys.flatMap((key) => (Object.hasOwn(labels, key) ? [labels[key]] : []))[0];
      if (places.every((place) => valueOf(place) === undefined)) return passes;
      const isElsewhere = places.some((place) => !place.values.has(valueOf(place) ?? ''));
      return isElsewhere ? [conflict] : passes;
    };
  },
  mayHelp: (pod, event) => {
    if (event.kind === 'claim') return claimKeysOfPod(pod).includes(event.key);
    return event.kind === 'volume' || (event.kind === 'node' && changesOf(event, labelsOf));
  },
};

/** A regional volume has several zones: `a__b`. */
function placesOf({ metadata }: PersistentVolume): readonly Place[] {
  return topologyLabels.flatMap((labels) => {
    const value = labels.flatMap((label) => metadata?.labels?.[label] ?? [])[0];
    return value === undefined ? [] : [{ labels, values: new Set(value.split('__')) }];
  });
}
