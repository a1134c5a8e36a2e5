/** Volumes that hold more than their claims asked for, where nothing stops them (decision 0138). */
import type { Clock } from '#base/clock.ts';
import type { Logger } from '#base/log.ts';
import { persistentVolumeClaims, pods as podKind } from '#api/schema/kind-ref.ts';
import type { Pod } from '#api/generated/objects.ts';
import { formatQuantity } from '#api/meta/quantity.ts';
import type { EventRecorder } from '#client/event-recorder.ts';
import { readRecords, type FoundRecord } from '#agent/volume/claims/records.ts';
import { repeat } from '#agent/kubelet/cgroups/repeat.ts';
import { usedBelow } from './used-below.ts';

export interface ClaimSizesOptions {
  /** Below it the records of pods that use volumes. */
  readonly podsDirectory: string;
  readonly pods: () => readonly Pod[];
  readonly events: Pick<EventRecorder, 'record'>;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** Files are counted one by one. */
export const claimSizesEveryMs = 60_000;
const reason = 'VolumeSizeExceeded';
const nanosOfOne = 1_000_000_000n;

/** Tells the claim and its pods, once each time that it becomes too large, until disposed. */
export function watchClaimSizes(options: ClaimSizesOptions): Disposable {
  const { clock, logger } = options;
  let told: ReadonlySet<string> = new Set();
  const work = async (): Promise<void> => {
    told = await lookAtSizes(options, told);
  };
  return repeat({ clock, logger, everyMs: claimSizesEveryMs }, 'sizes of volumes are not looked at', work);
}

/** The names of the volumes that are too large; those that were not before are told of. */
export async function lookAtSizes(
  { podsDirectory, pods, events }: Pick<ClaimSizesOptions, 'podsDirectory' | 'pods' | 'events'>,
  before: ReadonlySet<string>,
): Promise<ReadonlySet<string>> {
  const byVolume = Map.groupBy(await readRecords(podsDirectory), ({ volume }) => volume);
  const over = new Set<string>();
  for (const [volume, records] of byVolume) {
    const [first] = records;
    if (first === undefined || !(await isOver(first))) continue;
    over.add(volume);
    if (before.has(volume)) continue;
    const message = messageOf(first);
    const [namespace, name] = first.claim.split('/');
    const claim = { metadata: { namespace, name, uid: first.claimUid } };
    events.record({ kind: persistentVolumeClaims, object: claim }, 'Warning', reason, message);
    const users = new Set(records.map(({ podUid }) => podUid));
    for (const pod of pods())
      if (users.has(pod.metadata?.uid ?? ''))
        events.record({ kind: podKind, object: pod }, 'Warning', reason, message);
  }
  return over;
}

async function isOver({ path, sizeBytes = 0, isRemote }: FoundRecord): Promise<boolean> {
  if (path === undefined || sizeBytes <= 0 || isRemote === true) return false;
  return (await usedBelow(path, sizeBytes)).bytes > sizeBytes;
}

function messageOf({ claim, sizeBytes = 0 }: FoundRecord): string {
  const size = formatQuantity({ nanos: BigInt(sizeBytes) * nanosOfOne, format: 'BinarySI' });
  return `Usage of the volume of claim ${claim} exceeds its size ${size}, which nothing enforces on this node: remove files, or let the claim ask for more`;
}
