import type { KindRules } from '#api/kinds/rules.ts';

/** Rules of EndpointSlices. */
export const endpointSliceRules: KindRules = {
  defaults: [
    ['ports[].name', () => ''],
    ['ports[].protocol', 'TCP'],
  ],
};
