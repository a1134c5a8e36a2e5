import { typed } from '#api/wire/json.ts';
import { acted } from '#api/kinds/effect.ts';
import type { KindRules } from '#api/kinds/rules.ts';
import { endpointSliceCells } from '#api/table/core.ts';
import { immutable } from '#api/validation/field.ts';
import { validateEndpointSlice } from '#api/validation/endpoints.ts';
import { endpointSliceWarnings } from '#api/warnings/address.ts';

/** Rules of EndpointSlices. */
export const endpointSliceRules: KindRules = {
  effect: acted('agent/proxy/service-map.ts'),
  defaults: [
    ['ports[].name', () => ''],
    ['ports[].protocol', 'TCP'],
  ],
  updateChecks: ['metadata', 'object', 'changes'],
  addressesStayWith: 'endpoints',
  validate: validateEndpointSlice,
  validatesAll: true,
  validateUpdate: immutable('addressType'),
  warnings: endpointSliceWarnings,
  generationCounts: ['metadata.labels'],
  cells: (object, now) => endpointSliceCells(typed(object), now),
};
