import { holdersAt } from '#api/defaults/rule.ts';
import { at, listOf, stringOf, typed, type Draft } from '#api/wire/json.ts';
import { acted } from '#api/kinds/effect.ts';
import type { KindRules } from '#api/kinds/rules.ts';
import { serviceClaims, serviceNeeds, withServiceAllocation } from '#api/service/allocation.ts';
import { settleFamilies } from '#api/service/families.ts';
import { keepServiceAllocations } from '#api/service/kept-allocation.ts';
import { serviceCells } from '#api/table/core.ts';
import { dnsLabel } from '#api/validation/format.ts';
import { validateServiceStatus } from '#api/validation/service-load-balancer.ts';
import { loadBalancerWarnings } from '#api/warnings/address.ts';
import { serviceWarnings } from '#api/warnings/service.ts';
import { validateService, validateServiceUpdate } from '#api/validation/service.ts';

/** Rules of Services: they hold addresses and ports of the cluster. */
export const serviceRules: KindRules = {
  effect: acted('agent/proxy/service-map.ts'),
  storageFolder: 'services/specs',
  defaults: [
    ['spec.sessionAffinity', 'None'],
    ['spec.type', 'ClusterIP'],
    ['spec.sessionAffinityConfig', (spec) => (spec['sessionAffinity'] === 'ClientIP' ? {} : undefined)],
    [
      'spec.sessionAffinityConfig.clientIP',
      (_config, root) => (affinityOf(root) === 'ClientIP' ? {} : undefined),
    ],
    ['spec.sessionAffinityConfig.clientIP.timeoutSeconds', 10_800],
    ['spec.ports[].protocol', 'TCP'],
    ['spec.ports[].targetPort', (port) => port['port'], 'zero'],
    ['spec.internalTrafficPolicy', (spec) => (spec['type'] === 'ExternalName' ? undefined : 'Cluster')],
    ['spec.externalTrafficPolicy', (spec) => (isExternallyReachable(spec) ? 'Cluster' : undefined)],
    ['status.loadBalancer.ingress[].ipMode', modeOfAddress],
    ['spec.allocateLoadBalancerNodePorts', (spec) => (spec['type'] === 'LoadBalancer' ? true : undefined)],
  ],
  completeDefaults: (service) => holdersAt(service, 'spec').forEach(dropAffinityConfig),
  tracksGeneration: false,
  prepareUpdate: keepServiceAllocations,
  nameFormat: dnsLabel,
  validate: validateService,
  validatesAll: true,
  validateUpdate: validateServiceUpdate,
  validateStatus: validateServiceStatus,
  warnings: serviceWarnings,
  statusWarnings: loadBalancerWarnings,
  allocation: {
    settle: settleFamilies,
    claims: serviceClaims,
    needs: serviceNeeds,
    give: withServiceAllocation,
  },
  createdByUpdate: true,
  growsByUpdate: true,
  answersDeleteWithObject: true,
  selectableFields: ['spec.clusterIP', 'spec.type'],
  cells: (object, now) => serviceCells(typed(object), now),
};

/** A configuration that nothing reads would come to life with the next change of the affinity. */
function dropAffinityConfig(spec: Draft): void {
  if (spec['sessionAffinity'] === 'None') delete spec['sessionAffinityConfig'];
}

/** That of an address of a load balancer, which has none as long as the Service is none. */
function modeOfAddress(item: Draft, service: Draft): string | undefined {
  return stringOf(item['ip']) !== '' && at(service, 'spec.type') === 'LoadBalancer' ? 'VIP' : undefined;
}

function affinityOf(service: Draft): unknown {
  return at(service, 'spec.sessionAffinity');
}

function isExternallyReachable(spec: Draft): boolean {
  const { type } = spec;
  if (type === 'NodePort' || type === 'LoadBalancer') return true;
  return type === 'ClusterIP' && listOf(spec['externalIPs']).length > 0;
}
