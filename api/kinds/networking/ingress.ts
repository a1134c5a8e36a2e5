import { invalidField, type FieldError } from '#api/errors/field-error.ts';
import { at, listOf, objectsOf, stringMapOf, stringOf } from '#api/wire/json.ts';
import { inert } from '#api/kinds/effect.ts';
import type { KindRules } from '#api/kinds/rules.ts';
import type { JsonObject } from '#api/meta/object.ts';
import { loadBalancerText } from '#api/table/core.ts';
import { ageOfObject, nameOf, text } from '#api/table/object.ts';
import { none } from '#api/table/text.ts';
import { loadBalancerWarnings } from '#api/warnings/address.ts';
import { validateIngress, validateIngressStatus } from '#api/validation/ingress.ts';

/** Rules of Ingresses. */
export const ingressRules: KindRules = {
  effect: inert('for an ingress controller, which Kubernetes does not bring either'),
  storageFolder: 'ingress',
  updateChecks: ['metadata changes', 'metadata', 'object'],
  validate: validateIngress,
  validatesAll: true,
  validateCreate: classErrors,
  validateStatus: validateIngressStatus,
  warnings: (ingress, old) =>
    old === undefined &&
    classAnnotationOf(ingress) !== undefined &&
    at(ingress, 'spec.ingressClassName') === undefined
      ? [`annotation "${classAnnotation}" is deprecated, please use 'spec.ingressClassName' instead`]
      : [],
  statusWarnings: loadBalancerWarnings,
  cells: (ingress, now) => [
    nameOf(ingress),
    text(ingress, 'spec.ingressClassName', none),
    ingressHosts(ingress),
    loadBalancerText(objectsOf(at(ingress, 'status.loadBalancer.ingress')).map(stringMapOf)),
    listOf(at(ingress, 'spec.tls')).length > 0 ? '80, 443' : '80',
    ageOfObject(ingress, now),
  ],
};

/** What named the class before there was a field. */
const classAnnotation = 'kubernetes.io/ingress.class';

function classAnnotationOf(ingress: JsonObject): unknown {
  return at(ingress, ['metadata', 'annotations', classAnnotation]);
}

/** A new one that names its class both ways names one (ValidateIngressCreate); the place is upstream's. */
function classErrors(ingress: JsonObject): readonly FieldError[] {
  const [given, field] = [classAnnotationOf(ingress), at(ingress, 'spec.ingressClassName')];
  if (given === undefined || field === undefined || given === field) return [];
  const detail = 'must match `ingressClassName` when both are specified';
  return [invalidField(`annotations.${classAnnotation}`, given, detail)];
}

/** How many more there are counts the rules, whether they name a host or not (printers/internalversion, formatHosts). */
function ingressHosts(ingress: JsonObject): string {
  const rules = objectsOf(at(ingress, 'spec.rules')).map(({ host }) => stringOf(host));
  const named = rules.flatMap((host, index) => (host === '' ? [] : [index])).slice(0, 3);
  if (named.length === 0) return '*';
  const shown = named.map((index) => rules[index]).join(',');
  const isMore = named.length === 3 && rules.length - 1 > (named.at(-1) ?? 0);
  return isMore ? `${shown} + ${rules.length - 3} more...` : shown;
}
