import { forbiddenField, invalidField, notSupportedField, type FieldError } from '#api/errors/field-error.ts';
import { numberOf, objectOf, stringOf } from '#api/wire/json.ts';
import { acted } from '#api/kinds/effect.ts';
import type { KindRules } from '#api/kinds/rules.ts';
import { formatErrors, qualifiedName } from '#api/validation/format.ts';
import { ageOfObject, nameOf, text } from '#api/table/object.ts';

/** Rules of Leases. */
export const leaseRules: KindRules = {
  effect: acted('control-plane/controllers/node-lifecycle/reconcile.ts'),
  refuseNode: ({ node, namespace, name }) =>
    namespace === 'kube-node-lease' && name !== node
      ? 'can only access node lease with the same name as the requesting node'
      : undefined,
  tracksGeneration: false,
  updatesNameRevision: true,
  validate: (lease) => {
    const { leaseDurationSeconds, leaseTransitions, strategy, preferredHolder } = objectOf(lease['spec']);
    return [
      ...(typeof leaseDurationSeconds === 'number' && leaseDurationSeconds <= 0
        ? [invalidField('spec.leaseDurationSeconds', leaseDurationSeconds, 'must be greater than 0')]
        : []),
      ...(numberOf(leaseTransitions) < 0
        ? [invalidField('spec.leaseTransitions', leaseTransitions, 'must be greater than or equal to 0')]
        : []),
      ...(strategy === undefined ? [] : strategyErrors(stringOf(strategy))),
      ...(stringOf(preferredHolder) !== '' && stringOf(strategy) === ''
        ? [forbiddenField('spec.preferredHolder', 'may only be specified if `strategy` is defined')]
        : []),
    ];
  },
  createdByUpdate: true,
  cells: (lease, now) => [nameOf(lease), text(lease, 'spec.holderIdentity', ''), ageOfObject(lease, now)],
};

const strategies = ['OldestEmulationVersion'];

/** How a holder is chosen: by Kubernetes' strategy, or by one that has a domain. */
function strategyErrors(strategy: string): readonly FieldError[] {
  const field = 'spec.strategy';
  if (strategy.includes('/')) return formatErrors(field, strategy, qualifiedName);
  return strategies.includes(strategy) ? [] : [notSupportedField(field, strategy, strategies)];
}
