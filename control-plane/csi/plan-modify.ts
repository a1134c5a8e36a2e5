/** What is due for the attributes that a claim asks for, and what its status says then (KEP-3751, external-resizer). Pure. */
import type {
  PersistentVolumeClaim,
  PersistentVolumeClaimStatus,
  VolumeAttributesClass,
} from '#api/generated/objects.ts';
import { withCondition, withoutCondition } from '#api/meta/condition.ts';

/** Why the driver is not asked for the class, in external-provisioner's words where it has any. */
export function unfitAttributes(
  driver: { readonly name: string; readonly capabilities: ReadonlySet<string> },
  { metadata, driverName }: VolumeAttributesClass,
): string | undefined {
  if (driverName !== driver.name)
    return `VAC ${metadata?.name ?? ''} referenced in PVC is for driver ${driverName} which does not match driver name ${driver.name}`;
  return driver.capabilities.has('MODIFY_VOLUME')
    ? undefined
    : `driver ${driver.name} does not modify volumes (MODIFY_VOLUME)`;
}

export type ModifyStep =
  | { readonly kind: 'none' }
  /** The driver is to be asked for this class; `isBegun`: it may have been already, so that the status says so. */
  | { readonly kind: 'ask'; readonly target: string; readonly isBegun: boolean }
  /** Nothing is asked for any more, and nothing was done. */
  | { readonly kind: 'forget' };

/**
 * One class at a time: what may have begun goes on until the driver has done it or said finally that it does not, whatever the claim asks
 * for meanwhile. `failed`: the class that it refused last, as far as this process knows.
 */
export function planModify({ spec, status }: PersistentVolumeClaim, failed: string | undefined): ModifyStep {
  const wanted = spec?.volumeAttributesClassName ?? '';
  const current = status?.currentVolumeAttributesClassName ?? '';
  const { status: state, targetVolumeAttributesClassName: target = '' } = status?.modifyVolumeStatus ?? {};
  const isBegun = state === 'InProgress' && target !== '';
  switch (state) {
    case 'InProgress':
      if (isBegun && (target !== failed || wanted === '' || wanted === target))
        return { kind: 'ask', target, isBegun };
      return wanted === '' ? { kind: 'forget' } : { kind: 'ask', target: wanted, isBegun: false };
    case 'Infeasible':
      // Back to what it had is asked for as well: the driver may have done a part.
      return wanted === '' ? { kind: 'none' } : { kind: 'ask', target: wanted, isBegun: false };
    case 'Pending':
      if (wanted === '' || wanted === current) return { kind: 'forget' };
      return { kind: 'ask', target: wanted, isBegun: false };
    default:
      if (wanted === '' || wanted === current) return { kind: 'none' };
      return { kind: 'ask', target: wanted, isBegun: false };
  }
}

/** What became of a step. */
export type ModifyNews =
  | { readonly kind: 'pending' | 'begun' | 'done'; readonly target: string }
  /** `isInfeasible`: the driver takes the class for wrong. */
  | {
      readonly kind: 'failed';
      readonly target: string;
      readonly error: string;
      readonly isInfeasible: boolean;
    }
  | { readonly kind: 'forgotten' };

const [modifying, failing] = ['ModifyingVolume', 'ModifyVolumeError'];

/** The status of the claim then; `now` in milliseconds. */
export function modifiedStatus(
  status: PersistentVolumeClaimStatus = {},
  news: ModifyNews,
  now: number,
): PersistentVolumeClaimStatus {
  const { modifyVolumeStatus: _old, conditions: had, ...rest } = status;
  const bare = withoutCondition(withoutCondition(had, modifying), failing);
  const say = (conditions: typeof had, type: string, message: string): NonNullable<typeof had> =>
    withCondition(conditions, { type, status: 'True', message }, now);
  const told = (
    state: 'Pending' | 'InProgress' | 'Infeasible',
    target: string,
  ): PersistentVolumeClaimStatus => ({
    ...rest,
    modifyVolumeStatus: { status: state, targetVolumeAttributesClassName: target },
  });
  switch (news.kind) {
    case 'pending':
      return { ...told('Pending', news.target), ...(had === undefined ? {} : { conditions: had }) };
    case 'begun': {
      const kept = withoutCondition(had, failing);
      return {
        ...told('InProgress', news.target),
        conditions: say(kept, modifying, 'ModifyVolume operation in progress.'),
      };
    }
    case 'failed': {
      const { error, isInfeasible, target } = news;
      const message = `ModifyVolume failed with error: ${error}. Waiting for retry.`;
      const conditions = isInfeasible ? say(had, modifying, message) : had;
      return {
        ...told(isInfeasible ? 'Infeasible' : 'InProgress', target),
        conditions: say(conditions, failing, message),
      };
    }
    case 'done':
      return { ...rest, conditions: bare, currentVolumeAttributesClassName: news.target };
    case 'forgotten':
      return { ...rest, conditions: bare };
  }
}
