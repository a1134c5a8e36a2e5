import { formatAge } from '#api/meta/age.ts';
import { at, objectsOf, withPath } from '#api/wire/json.ts';
import { unacted } from '#api/kinds/effect.ts';
import type { KindRules, Requester } from '#api/kinds/rules.ts';
import { statusMetadata } from '#api/kinds/status-part.ts';
import type { JsonObject } from '#api/meta/object.ts';
import { ageOfObject, nameOf, text } from '#api/table/object.ts';
import { none } from '#api/table/text.ts';
import { pathSegment } from '#api/validation/format.ts';
import { validateApproval, validateSigningRequest, validateSigningRequestStatus } from './csr-validation.ts';

/** Rules of CertificateSigningRequests. */
export const certificateSigningRequestRules: KindRules = {
  effect: unacted('no certificate is signed, also when it is approved'),
  signRequester: withRequester,
  tracksGeneration: false,
  nameFormat: pathSegment,
  // What was asked for is what is signed.
  prepareUpdate: (old, request) => ({ ...request, spec: old['spec'] }),
  validate: validateSigningRequest,
  validatesAll: true,
  validateStatusUpdate: validateSigningRequestStatus,
  parts: {
    approval: {
      write: (old, request) => ({
        ...withPath(old, 'status.conditions', at(request, 'status.conditions')),
        metadata: statusMetadata(old, request),
      }),
      validate: validateApproval,
    },
  },
  selectableFields: ['spec.signerName'],
  cells: (request, now) => {
    const seconds = at(request, 'spec.expirationSeconds');
    return [
      nameOf(request),
      ageOfObject(request, now),
      text(request, 'spec.signerName', none),
      text(request, 'spec.username', ''),
      typeof seconds === 'number' ? formatAge(seconds * 1000) : none,
      certificateState(request),
    ];
  },
};

function certificateState(request: JsonObject): string {
  const types = objectsOf(at(request, 'status.conditions')).map(({ type }) => type);
  const states = ['Denied', 'Approved'].filter((type) => types.includes(type)).slice(0, 1);
  if (states.length === 0) states.push('Pending');
  if (types.includes('Failed')) states.push('Failed');
  if (text(request, 'status.certificate', '') !== '') states.push('Issued');
  return states.join(',');
}

function withRequester(request: JsonObject, { name, uid, groups, extra }: Requester): JsonObject {
  return Object.entries({ username: name, uid, groups, extra }).reduce(
    (next, [field, value]) => withPath(next, ['spec', field], value),
    request,
  );
}
