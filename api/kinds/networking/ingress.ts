import { at, listOf, objectsOf, stringMapOf, stringOf } from '#api/wire/json.ts';
import { inert } from '#api/kinds/effect.ts';
import type { KindRules } from '#api/kinds/rules.ts';
import type { JsonObject } from '#api/meta/object.ts';
import { loadBalancerText } from '#api/table/core.ts';
import { ageOfObject, nameOf, text } from '#api/table/object.ts';
import { firstThree, none } from '#api/table/text.ts';
import { validateIngress } from '#api/validation/ingress.ts';

/** Rules of Ingresses. */
export const ingressRules: KindRules = {
  effect: inert('for an ingress controller, which Kubernetes does not bring either'),
  storageFolder: 'ingress',
  validate: validateIngress,
  warnings: (ingress, old) =>
    old === undefined && at(ingress, ['metadata', 'annotations', 'kubernetes.io/ingress.class']) !== undefined
      ? [`annotation "kubernetes.io/ingress.class" is deprecated, please use 'spec.ingressClassName' instead`]
      : [],
  cells: (ingress, now) => [
    nameOf(ingress),
    text(ingress, 'spec.ingressClassName', none),
    ingressHosts(ingress),
    loadBalancerText(objectsOf(at(ingress, 'status.loadBalancer.ingress')).map(stringMapOf)),
    listOf(at(ingress, 'spec.tls')).length > 0 ? '80, 443' : '80',
    ageOfObject(ingress, now),
  ],
};

function ingressHosts(ingress: JsonObject): string {
  const hosts = objectsOf(at(ingress, 'spec.rules'))
    .map(({ host }) => stringOf(host))
    .filter((host) => host !== '');
  return hosts.length === 0 ? '*' : firstThree(hosts);
}
