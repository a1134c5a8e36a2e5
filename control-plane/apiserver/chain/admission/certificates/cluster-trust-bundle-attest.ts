import { kindKey } from '#api/kinds/rules-of.ts';
import { forbidden } from '#api/errors/status.ts';
import type { JsonObject } from '#api/meta/object.ts';
import { at, equalStored, nameOrPrefix, objectOf, stringOf } from '#api/wire/json.ts';
import type {
  AdmissionAttributes,
  AdmissionPlugin,
} from '#control-plane/apiserver/chain/admission/admission.ts';
import { group, maySign } from './signer.ts';

/** Served only where a server is told (certificates.k8s.io/v1beta1). */
const bundles = kindKey({ group, kind: 'ClusterTrustBundle' });

/** Who says which roots a signer's certificates go back to may attest for it (plugin/pkg/admission/certificates/ctbattest). */
export const clusterTrustBundleAttest: AdmissionPlugin = {
  name: 'ClusterTrustBundleAttest',
  handles: (attributes) => (writesBundle(attributes) ? 'mayWait' : 'no'),
  validate: async (context, { attributes: { kind, user }, object: bundle = {}, old }) => {
    const signer = stringOf(at(bundle, 'spec.signerName'));
    if (signer === '' || (old !== undefined && saysTheSame(old, bundle))) return;
    if (await maySign(context, { user, verb: 'attest', signer })) return;
    const cause = `user not permitted to attest for signerName ${JSON.stringify(signer)}`;
    throw forbidden(kind, nameOrPrefix(bundle), cause);
  },
};

function writesBundle({ operation, kind }: AdmissionAttributes): boolean {
  return (operation === 'create' || operation === 'update') && kindKey(kind) === bundles;
}

/** Whether only what the garbage collector and a migration of storage write is another (rbac.IsOnlyMutatingGCFields). */
function saysTheSame(old: JsonObject, bundle: JsonObject): boolean {
  const rest = (object: JsonObject): JsonObject => {
    const {
      ownerReferences: _owners,
      finalizers: _finalizers,
      managedFields: _managed,
      resourceVersion: _version,
      ...metadata
    } = objectOf(object['metadata']);
    return { ...object, metadata };
  };
  return equalStored(rest(old), rest(bundle));
}
