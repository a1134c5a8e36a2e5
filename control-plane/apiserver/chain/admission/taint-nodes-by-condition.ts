import { admitCreate } from '#api/pod/admission.ts';
import { kindKey } from '#api/kinds/rules-of.ts';
import type { AdmissionPlugin } from './admission.ts';

/** New nodes are not ready before somebody says so. */
export const taintNodesByCondition: AdmissionPlugin = {
  name: 'TaintNodesByCondition',
  handles: ({ operation, kind, subresource }) =>
    operation === 'create' && subresource === '' && kindKey(kind) === '/Node' ? 'atOnce' : 'no',
  admit: (_context, { attributes, object = {} }) => admitCreate(attributes.kind, object),
};
