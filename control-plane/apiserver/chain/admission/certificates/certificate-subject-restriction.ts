import { organizationsOf, signingRequestFault } from '#api/kinds/certificates/signing-request.ts';
import { forbidden } from '#api/errors/status.ts';
import { at, nameOrPrefix, stringOf } from '#api/wire/json.ts';
import type { AdmissionPlugin } from '#control-plane/apiserver/chain/admission/admission.ts';
import { makes } from '#control-plane/apiserver/chain/admission/made.ts';
import { masters } from '#control-plane/apiserver/chain/authz/privileged.ts';
import { signingRequests } from './signer.ts';

const clientSigner = 'kubernetes.io/kube-apiserver-client';

/** Nobody asks to be known as one who may do everything (plugin/pkg/admission/certificates/subjectrestriction). */
export const certificateSubjectRestriction: AdmissionPlugin = {
  name: 'CertificateSubjectRestriction',
  handles: (attributes) => (makes(signingRequests, attributes) ? 'atOnce' : 'no'),
  validate: (_context, { object: csr = {} }) => {
    if (at(csr, 'spec.signerName') !== clientSigner) return;
    const pem = Buffer.from(stringOf(at(csr, 'spec.request')), 'base64').toString('latin1');
    const fault = signingRequestFault(pem);
    const name = nameOrPrefix(csr);
    if (fault !== undefined) throw forbidden(signingRequests, name, `failed to parse CSR: ${fault}`);
    if (!organizationsOf(pem).includes(masters)) return;
    const cause = `use of ${clientSigner} signer with ${masters} group is not allowed`;
    throw forbidden(signingRequests, name, cause);
  },
};
