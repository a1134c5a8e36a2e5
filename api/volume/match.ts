import type { Node, PersistentVolume, PersistentVolumeClaim } from '#api/generated/objects.ts';
import { labelSelectorFromObject, matchesLabels } from '#api/meta/selector.ts';
import { matchesNodeTerm } from '#api/pod/node-affinity.ts';
import { claimClass, isBoundTo, requestedSize, volumeClass, volumeSize } from './claim.ts';

/** How a volume is looked for. */
export interface MatchOptions {
  /** The volume has to be there for this node; undefined: where it is does not matter. */
  readonly node?: Node | undefined;
  /** Of claims that wait for a pod, only a volume that names the claim itself. */
  readonly onlyNamed?: boolean;
  /** Volumes that are somebody's already, though they do not say so yet. */
  readonly isTaken?: (volume: PersistentVolume) => boolean;
}

/**
 * The volume that a claim should have: the one that names it, else of those that fit, with the fewest access modes, the smallest, then
 * the first by name (FindMatchingVolume of component-helpers, findByClaim of the persistentvolume controller). Pure.
 */
export function findVolume(
  claim: PersistentVolumeClaim,
  volumes: Iterable<PersistentVolume>,
  options: MatchOptions = {},
): PersistentVolume | undefined {
  const { node, onlyNamed = false, isTaken = () => false } = options;
  const isHere = (volume: PersistentVolume): boolean => node === undefined || isOnNode(volume, node);
  let best: PersistentVolume | undefined;
  for (const volume of volumes) {
    if (isGoing(volume) || modeOf(volume) !== modeOf(claim)) continue;
    if (isBoundTo(volume, claim)) {
      if (!suffices(volume, claim)) continue;
      return isHere(volume) ? volume : undefined;
    }
    if (onlyNamed || isTaken(volume) || !isFree(volume) || !fits(volume, claim) || !isHere(volume)) continue;
    if (best === undefined || isBetter(volume, best)) best = volume;
  }
  return best;
}

/** Whether a node can have the volume (CheckNodeAffinity). */
export function isOnNode({ spec }: PersistentVolume, node: Node): boolean {
  const required = spec?.nodeAffinity?.required;
  return required === undefined || required.nodeSelectorTerms.some((term) => matchesNodeTerm(term, node));
}

/** Why a claim cannot have the volume that it names, in words of upstream's checkVolumeSatisfyClaim; undefined: it can. */
export function mismatch(volume: PersistentVolume, claim: PersistentVolumeClaim): string | undefined {
  if (volumeSize(volume) < requestedSize(claim)) return 'requested PV is too small';
  if (attributesOf(volume) !== attributesOf(claim)) return 'volumeAttributesClassName does not match';
  if (volumeClass(volume) !== (claimClass(claim) ?? '')) return 'storageClassName does not match';
  if (modeOf(volume) !== modeOf(claim)) return 'incompatible volumeMode';
  return hasModes(volume, claim) ? undefined : 'incompatible accessMode';
}

/** Filesystem or Block. */
export function modeOf({ spec }: PersistentVolume | PersistentVolumeClaim): 'Block' | 'Filesystem' {
  return spec?.volumeMode ?? 'Filesystem';
}

function isGoing({ metadata }: PersistentVolume): boolean {
  return metadata?.deletionTimestamp !== undefined;
}

/** What is not Available yet may be on its way to somebody: it is told of again when it is. */
function isFree({ spec, status }: PersistentVolume): boolean {
  return spec?.claimRef === undefined && status?.phase === 'Available';
}

function fits(volume: PersistentVolume, claim: PersistentVolumeClaim): boolean {
  const { selector } = claim.spec ?? {};
  return (
    suffices(volume, claim) &&
    volumeClass(volume) === (claimClass(claim) ?? '') &&
    (selector === undefined ||
      matchesLabels(labelSelectorFromObject(selector), volume.metadata?.labels ?? {}))
  );
}

/** What is asked of a volume that names the claim, too: its class and labels are not, as somebody meant it for the claim. */
function suffices(volume: PersistentVolume, claim: PersistentVolumeClaim): boolean {
  return (
    volumeSize(volume) >= requestedSize(claim) &&
    attributesOf(volume) === attributesOf(claim) &&
    hasModes(volume, claim)
  );
}

function hasModes(volume: PersistentVolume, claim: PersistentVolumeClaim): boolean {
  const has = new Set(volume.spec?.accessModes ?? []);
  return (claim.spec?.accessModes ?? []).every((mode) => has.has(mode));
}

function attributesOf({ spec }: PersistentVolume | PersistentVolumeClaim): string {
  return spec?.volumeAttributesClassName ?? '';
}

function isBetter(volume: PersistentVolume, best: PersistentVolume): boolean {
  const modes = (volume.spec?.accessModes ?? []).length - (best.spec?.accessModes ?? []).length;
  if (modes !== 0) return modes < 0;
  const [size, bestSize] = [volumeSize(volume), volumeSize(best)];
  if (size !== bestSize) return size < bestSize;
  return (volume.metadata?.name ?? '') < (best.metadata?.name ?? '');
}
