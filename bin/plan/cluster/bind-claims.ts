/** Claims that wait for no pod: the volumes that they would be bound to at once. Pure. */
import type { PersistentVolume, PersistentVolumeClaim } from '#api/generated/objects.ts';
import { objectKey } from '#api/meta/object.ts';
import {
  bindCompletedAnnotation,
  claimClass,
  isFullyBound,
  noProvisioner,
  offeredTo,
  waitsForConsumer,
} from '#api/volume/claim.ts';
import { findVolume } from '#api/volume/match.ts';
import type { ClaimOutcome, Observed } from './observed.ts';

type Volumes = Pick<Observed, 'claims' | 'volumes'>;

/** With these bound, by the binder's own choice; one that nobody has a volume for gets a new one where its class makes any. */
export function bindAtOnce(
  claims: readonly PersistentVolumeClaim[],
  { volumes, classes }: Pick<Observed, 'volumes' | 'classes'>,
): Volumes & { readonly outcomes: readonly ClaimOutcome[] } {
  const taken = new Set<PersistentVolume>();
  const made: PersistentVolume[] = [];
  const outcomes: ClaimOutcome[] = [];
  const bound = claims.map((claim) => {
    const name = claimClass(claim) ?? '';
    const storageClass = classes.find(({ metadata }) => metadata?.name === name);
    if (isFullyBound(claim) || waitsForConsumer(storageClass)) return claim;
    const key = objectKey(claim);
    const offers = volumes.filter((one) => [`claim/${key}`, `class/${name}`].includes(offeredTo(one)));
    const found = findVolume(claim, offers, { isTaken: (one) => taken.has(one) });
    const makes = storageClass !== undefined && storageClass.provisioner !== noProvisioner;
    if (found === undefined && !makes) return claim;
    const volumeName = found?.metadata?.name ?? `pvc-${claim.metadata?.name ?? ''}`;
    if (found === undefined) made.push({ metadata: { name: volumeName } });
    else taken.add(found);
    outcomes.push({ claim: key, ...(found === undefined ? {} : { volume: volumeName }) });
    const annotations = { ...claim.metadata?.annotations, [bindCompletedAnnotation]: 'yes' };
    return {
      ...claim,
      metadata: { ...claim.metadata, annotations },
      spec: { ...claim.spec, volumeName },
      status: { ...claim.status, phase: 'Bound' as const },
    };
  });
  return { claims: bound, volumes: [...volumes, ...made], outcomes };
}
