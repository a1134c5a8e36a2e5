import type { KindRules } from '#api/kinds/rules.ts';
import { immutable } from '#api/validation/field.ts';
import { validateEndpointSlice } from '#api/validation/service.ts';

/** Rules of EndpointSlices. */
export const endpointSliceRules: KindRules = {
  defaults: [
    ['ports[].name', () => ''],
    ['ports[].protocol', 'TCP'],
  ],
  validate: validateEndpointSlice,
  validateUpdate: immutable('addressType'),
};
