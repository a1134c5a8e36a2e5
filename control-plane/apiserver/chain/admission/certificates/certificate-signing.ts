import { forbidden } from '#api/errors/status.ts';
import { at, equalJson, objectsOf, stringOf } from '#api/wire/json.ts';
import type {
  AdmissionPlugin,
  AdmissionRequest,
} from '#control-plane/apiserver/chain/admission/admission.ts';
import { changes } from '#control-plane/apiserver/chain/admission/made.ts';
import { countDuration } from './csr-durations.ts';
import { maySign, podRequests, signingRequests } from './signer.ts';

/**
 * Who writes a certificate, or what became of the request, may sign for its signer (plugin/pkg/admission/certificates/signing). The same of
 * what pods ask for, which upstream sees to in pkg/registry/certificates/podcertificaterequest.
 */
export const certificateSigning: AdmissionPlugin = {
  name: 'CertificateSigning',
  handles: (attributes) =>
    [signingRequests, podRequests].some((kind) => changes(kind, attributes, 'status')) ? 'seldomWaits' : 'no',
  mustWait: isSigned,
  validate: async (context, request) => {
    if (!isSigned(request)) return;
    const { user, name, kind } = request.attributes;
    const signer = stringOf(at(request.old, 'spec.signerName'));
    if (await maySign(context, { user, verb: 'sign', signer })) {
      if (!request.attributes.dryRun && kind.resource === signingRequests.resource)
        countDuration(context.metrics, request.old, request.object);
      return;
    }
    const cause = `user not permitted to sign requests with signerName ${JSON.stringify(signer)}`;
    throw forbidden(kind, name, cause);
  },
};

function isSigned({ object, old }: AdmissionRequest): boolean {
  const certificateOf = (csr: unknown): string =>
    stringOf(at(csr, 'status.certificate')) || stringOf(at(csr, 'status.certificateChain'));
  const conditionsOf = (csr: unknown): unknown => objectsOf(at(csr, 'status.conditions'));
  return certificateOf(object) !== certificateOf(old) || !equalJson(conditionsOf(object), conditionsOf(old));
}
