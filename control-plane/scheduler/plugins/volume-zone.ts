import type { PersistentVolume } from '#api/generated/objects.ts';
import { claimKeysOfPod } from '#api/volume/claim.ts';
import { memberOf } from '#api/wire/json.ts';
import { changesOf, labelsOf } from '#control-plane/scheduler/cluster-event.ts';
import { passes, type FilterPlugin } from '#control-plane/scheduler/plugin.ts';

const conflict = 'node(s) had no available volume zone';

/** Labels of volumes that say where they are, each with the label by which nodes say it now. */
const topologyLabels = new Map([
  ['failure-domain.beta.kubernetes.io/zone', 'topology.kubernetes.io/zone'],
  ['failure-domain.beta.kubernetes.io/region', 'topology.kubernetes.io/region'],
  ['topology.kubernetes.io/zone', 'topology.kubernetes.io/zone'],
  ['topology.kubernetes.io/region', 'topology.kubernetes.io/region'],
]);

interface Place {
  /** Of these a node says the first that it has. */
  readonly labels: readonly string[];
  readonly values: ReadonlySet<string>;
}

/** A pod goes to the zone and region of its volumes, as their labels say. A node that says nothing of either does for all. */
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
      if (![...topologyLabels.keys()].some((label) => Object.hasOwn(labels, label))) return passes;
      const isThere = ({ labels: keys, values }: Place): boolean => {
        const label = keys.find((key) => Object.hasOwn(labels, key));
        return label !== undefined && values.has(labels[label] ?? '');
      };
      return places.every(isThere) ? passes : [conflict];
    };
  },
  mayHelp: (pod, event) => {
    if (event.kind === 'claim') return claimKeysOfPod(pod).includes(event.key);
    return event.kind === 'volume' || (event.kind === 'node' && changesOf(event, labelsOf));
  },
};

/** A regional volume has several zones: `a__b`. */
function placesOf({ metadata }: PersistentVolume): readonly Place[] {
  return [...topologyLabels].flatMap(([label, current]) => {
    const value = memberOf(metadata?.labels, label);
    return value === undefined ? [] : [{ labels: [label, current], values: new Set(value.split('__')) }];
  });
}
