import { admitCreate } from '#api/pod/admission.ts';
import { builtIn } from '#control-plane/apiserver/built-in.ts';
import type { AdmissionPlugin } from './admission.ts';
import { makes } from './made.ts';

const nodes = builtIn('', 'v1', 'nodes');

/** New nodes are not ready before somebody says so. */
export const taintNodesByCondition: AdmissionPlugin = {
  name: 'TaintNodesByCondition',
  handles: (attributes) => (makes(nodes, attributes) ? 'atOnce' : 'no'),
  admit: (_context, { attributes, object = {} }) => admitCreate(attributes.kind, object),
};
