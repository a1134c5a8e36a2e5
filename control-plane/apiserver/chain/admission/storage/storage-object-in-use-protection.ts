import { admitCreate } from '#api/pod/admission.ts';
import { builtIn } from '#control-plane/apiserver/built-in.ts';
import type { AdmissionPlugin } from '#control-plane/apiserver/chain/admission/admission.ts';
import { makes } from '#control-plane/apiserver/chain/admission/made.ts';

const kinds = [
  builtIn('', 'v1', 'persistentvolumeclaims'),
  builtIn('', 'v1', 'persistentvolumes'),
  builtIn('storage.k8s.io', 'v1', 'volumeattributesclasses'),
];

/** New claims, volumes and classes of their attributes stay while they are used; the controllers of `protection/` let them go. */
export const storageObjectInUseProtection: AdmissionPlugin = {
  name: 'StorageObjectInUseProtection',
  handles: (attributes) => (kinds.some((kind) => makes(kind, attributes)) ? 'atOnce' : 'no'),
  admit: (_context, { attributes, object = {} }) =>
    admitCreate(attributes.kind, object, { storageProtection: true }),
};
