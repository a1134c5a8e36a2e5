import { invalidField } from '#api/errors/field-error.ts';
import { numberOf, objectOf } from '#api/wire/json.ts';
import { acted } from '#api/kinds/effect.ts';
import type { KindRules } from '#api/kinds/rules.ts';
import type { JsonObject } from '#api/meta/object.ts';
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
  earlyWarnings: unusedWarnings,
  prepareCreate: withoutUnused,
  prepareUpdate: (_old, lease) => withoutUnused(lease),
  updateChecks: ['metadata changes', 'object'],
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

/** Fields of a feature that is off in a 1.36 (CoordinatedLeaderElection): left out of what is written, as upstream leaves them out. */
const unusedFields = ['strategy', 'preferredHolder'] as const;

function withoutUnused(lease: JsonObject): JsonObject {
  const spec = objectOf(lease['spec']);
  if (unusedFields.every((name) => spec[name] === undefined)) return lease;
  const { strategy: _strategy, preferredHolder: _holder, ...kept } = spec;
  return { ...lease, spec: kept };
}

function unusedWarnings(lease: JsonObject): readonly string[] {
  const spec = objectOf(lease['spec']);
  return unusedFields
    .filter((name) => spec[name] !== undefined)
    .map((name) => `spec.${name}: left out, podwright does not act on it`);
}
