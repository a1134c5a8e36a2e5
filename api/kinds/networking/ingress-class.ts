import { at, objectOf, stringMapOf } from '#api/wire/json.ts';
import { inert } from '#api/kinds/effect.ts';
import type { KindRules } from '#api/kinds/rules.ts';
import type { JsonObject } from '#api/meta/object.ts';
import { ageOfObject, nameOf, text } from '#api/table/object.ts';
import { none } from '#api/table/text.ts';
import { immutable } from '#api/validation/field.ts';
import { validateIngressClass } from '#api/validation/ingress-class.ts';

/** Rules of IngressClasses. */
export const ingressClassRules: KindRules = {
  effect: inert('for an ingress controller, which Kubernetes does not bring either'),
  defaults: [['spec.parameters.scope', 'Cluster']],
  updateChecks: ['metadata changes', 'changes', 'metadata', 'object'],
  validate: validateIngressClass,
  validateUpdate: immutable('spec.controller'),
  cells: (ingressClass, now) => [
    isDefault(ingressClass) ? `${nameOf(ingressClass)} (default)` : nameOf(ingressClass),
    text(ingressClass, 'spec.controller', ''),
    parameters(objectOf(at(ingressClass, 'spec.parameters'))),
    ageOfObject(ingressClass, now),
  ],
};

/** Said since 1.36. */
function isDefault(ingressClass: JsonObject): boolean {
  return (
    at(ingressClass, ['metadata', 'annotations', 'ingressclass.kubernetes.io/is-default-class']) === 'true'
  );
}

function parameters(reference: JsonObject): string {
  const { apiGroup, kind, name } = stringMapOf(reference);
  if (kind === undefined) return none;
  return apiGroup === undefined ? `${kind}/${name}` : `${kind}.${apiGroup}/${name}`;
}
