import type { PersistentVolume } from '#api/generated/objects.ts';
import { claimClass, claimKeysOfPod, waitsForConsumer } from '#api/volume/claim.ts';
import { memberOf } from '#api/wire/json.ts';
import { changesOf, labelsOf } from '#control-plane/scheduler/cluster-event.ts';
import { passes, type FilterPlugin } from '#control-plane/scheduler/plugin.ts';
import type { VolumeLookUp } from '#control-plane/scheduler/volumes/look-up.ts';

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
  refuseAll: ({ pod, snapshot: { volumes } }) =>
    volumes === undefined
      ? undefined
      : claimKeysOfPod(pod)
          .map((key) => whyPlaceless(key, volumes))
          .find((why) => why !== undefined),
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

/**
 * Why it is not known where the claim's volume is; undefined: it is, or there is none yet, as it waits for its pod. In words of kube-scheduler
 * (getPVbyPod), who asks VolumeBinding first, unless it is switched off.
 */
function whyPlaceless(key: string, volumes: VolumeLookUp): string | undefined {
  const claim = volumes.claim(key);
  if (claim === undefined)
    return `persistentvolumeclaim ${JSON.stringify(key.slice(key.indexOf('/') + 1))} not found`;
  const { volumeName = '' } = claim.spec ?? {};
  if (volumeName !== '')
    return volumes.volume(volumeName) === undefined
      ? `persistentvolume ${JSON.stringify(volumeName)} not found`
      : undefined;
  const name = claimClass(claim) ?? '';
  if (name === '') return 'PersistentVolumeClaim had no pv name and storageClass name';
  const storageClass = volumes.storageClass(name);
  if (storageClass === undefined) return `storageclass.storage.k8s.io ${JSON.stringify(name)} not found`;
  return waitsForConsumer(storageClass) ? undefined : 'PersistentVolume had no name';
}

/** A regional volume has several zones: `a__b`. A label with an empty one says nothing (LabelZonesToSet). */
function placesOf({ metadata }: PersistentVolume): readonly Place[] {
  return [...topologyLabels].flatMap(([label, current]) => {
    const values = memberOf(metadata?.labels, label)?.split('__') ?? [''];
    return values.includes('') ? [] : [{ labels: [label, current], values: new Set(values) }];
  });
}
