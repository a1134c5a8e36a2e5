import { invalidField } from '#api/errors/field-error.ts';
import { numberOf, objectOf } from '#api/wire/json.ts';
import { acted } from '#api/kinds/effect.ts';
import type { KindRules } from '#api/kinds/rules.ts';
import { ageOfObject, nameOf, text } from '#api/table/object.ts';

/** Rules of Leases. */
export const leaseRules: KindRules = {
  effect: acted('control-plane/controllers/node-lifecycle/reconcile.ts'),
  refuseNode: ({ namespace }) =>
    namespace === 'kube-node-lease'
      ? 'can only access node lease with the same name as the requesting node'
      : undefined,
  tracksGeneration: false,
  validate: (lease) => {
    const { leaseDurationSeconds, leaseTransitions } = objectOf(lease['spec']);
    return [
      ...(typeof leaseDurationSeconds === 'number' && leaseDurationSeconds <= 0
        ? [invalidField('spec.leaseDurationSeconds', leaseDurationSeconds, 'must be greater than 0')]
        : []),
      ...(numberOf(leaseTransitions) < 0
        ? [invalidField('spec.leaseTransitions', leaseTransitions, 'must be greater than or equal to 0')]
        : []),
    ];
  },
  createdByUpdate: true,
  cells: (lease, now) => [nameOf(lease), text(lease, 'spec.holderIdentity', ''), ageOfObject(lease, now)],
};
