import { typed } from '#api/wire/json.ts';
import { acted } from '#api/kinds/effect.ts';
import type { KindRules } from '#api/kinds/rules.ts';
import { endpointsCells } from '#api/table/core.ts';
import { validateEndpoints, validateEndpointsUpdate } from '#api/validation/endpoints.ts';
import { endpointsWarnings } from '#api/warnings/address.ts';

/** Rules of Endpoints. */
export const endpointsRules: KindRules = {
  effect: acted('control-plane/controllers/endpointslice-mirroring/reconcile.ts'),
  deprecated: { since: 'v1.33', use: 'discovery.k8s.io/v1 EndpointSlice' },
  storageFolder: 'services/endpoints',
  defaults: [['subsets[].ports[].protocol', 'TCP']],
  tracksGeneration: false,
  updateChecks: ['metadata changes', 'metadata', 'object', 'changes'],
  addressesStayWith: 'subsets',
  validate: validateEndpoints,
  validateUpdate: validateEndpointsUpdate,
  warnings: endpointsWarnings,
  createdByUpdate: true,
  cells: (object, now) => endpointsCells(typed(object), now),
};
