import { admitCreate } from '#api/pod/admission.ts';
import { builtIn } from '#control-plane/apiserver/built-in.ts';
import type { AdmissionPlugin } from '#control-plane/apiserver/chain/admission/admission.ts';
import { makes } from '#control-plane/apiserver/chain/admission/made.ts';

const claims = builtIn('', 'v1', 'persistentvolumeclaims');
const volumes = builtIn('', 'v1', 'persistentvolumes');

/** New claims and volumes stay while they are used; the controllers of `protection/` let them go. */
export const storageObjectInUseProtection: AdmissionPlugin = {
  name: 'StorageObjectInUseProtection',
  handles: (attributes) => (makes(claims, attributes) || makes(volumes, attributes) ? 'atOnce' : 'no'),
  admit: (_context, { attributes, object = {} }) =>
    admitCreate(attributes.kind, object, { storageProtection: true }),
};
