import type { Pod } from '#api/generated/objects.ts';
import type { Change } from '#client/informer.ts';
import { isWaiting } from '#control-plane/scheduler/pod-changes.ts';
import type { Parts } from '#control-plane/scheduler/scheduler-parts.ts';
import type { Preemptor } from './preemptor.ts';

/** Where a pod waits for others to go, as it says. Of one whose victims are being told it is known better. */
export function noteNomination(
  { profiles }: Pick<Parts, 'profiles'>,
  preemptor: Preemptor,
  { key, current }: Change<Pod>,
): void {
  const isOurs = current !== undefined && isWaiting(current, profiles);
  if (!isOurs) preemptor.nominations.remove(key, current?.spec?.nodeName);
  else if (!preemptor.isBusy(key)) preemptor.nominations.take(key, current);
}
