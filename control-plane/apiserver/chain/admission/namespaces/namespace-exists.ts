import { notFound } from '#api/errors/status.ts';
import { isSameKind } from '#api/kinds/rules-of.ts';
import type { AdmissionPlugin } from '#control-plane/apiserver/chain/admission/admission.ts';
import { namespaces } from './namespaces.ts';

/** Nothing is written in a namespace that is not there (plugin/pkg/admission/namespace/exists). */
export const namespaceExists: AdmissionPlugin = {
  name: 'NamespaceExists',
  handles: ({ operation, kind, namespace }) =>
    operation === 'connect' || namespace === '' || isSameKind(kind, namespaces) ? 'no' : 'mayWait',
  validate: async ({ registry }, { attributes: { namespace } }) => {
    if ((await registry.read(namespaces, '', namespace)) === undefined) throw notFound(namespaces, namespace);
  },
};
