import { forbidden } from '#api/errors/status.ts';
import { at, stringOf } from '#api/wire/json.ts';
import type { AdmissionPlugin } from '#control-plane/apiserver/chain/admission/admission.ts';
import { changes } from '#control-plane/apiserver/chain/admission/made.ts';
import { maySign, signingRequests } from './signer.ts';

/** Who approves or denies a request may do so for its signer (plugin/pkg/admission/certificates/approval): the one that is stored. */
export const certificateApproval: AdmissionPlugin = {
  name: 'CertificateApproval',
  handles: (attributes) => (changes(signingRequests, attributes, 'approval') ? 'mayWait' : 'no'),
  validate: async (context, { attributes: { user, name }, old }) => {
    const signer = stringOf(at(old, 'spec.signerName'));
    if (await maySign(context, { user, verb: 'approve', signer })) return;
    const cause = `user not permitted to approve requests with signerName ${JSON.stringify(signer)}`;
    throw forbidden(signingRequests, name, cause);
  },
};
