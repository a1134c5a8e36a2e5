import { isSameKind, rulesOf } from '#api/kinds/rules-of.ts';
import { forbidden } from '#api/errors/status.ts';
import type { AdmissionPlugin } from './admission.ts';
import { namespaces } from './namespaces/namespaces.ts';

/** What the system lives by stays. Upstream has it in the storage of these kinds, for no option to leave it out; of namespaces in a plugin. */
export const refusedDeletion: AdmissionPlugin = {
  name: 'RefusedDeletion',
  handles: ({ operation, kind, subresource }) =>
    operation === 'delete' &&
    subresource === '' &&
    rulesOf(kind).refuseDeletion !== undefined &&
    !isSameKind(kind, namespaces)
      ? 'atOnce'
      : 'no',
  validate: (_context, { attributes: { kind, name } }) => {
    const cause = rulesOf(kind).refuseDeletion?.(name);
    if (cause !== undefined) throw forbidden(kind, name, cause);
  },
};
