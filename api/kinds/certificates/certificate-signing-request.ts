import { formatAge } from '#api/meta/age.ts';
import { formatTime } from '#api/meta/time.ts';
import { at, objectOf, objectsOf, withPath } from '#api/wire/json.ts';
import { acted } from '#api/kinds/effect.ts';
import type { KindRules, NodeWrite, Requester } from '#api/kinds/rules.ts';
import type { JsonObject } from '#api/meta/object.ts';
import { ageOfObject, nameOf, text } from '#api/table/object.ts';
import { none } from '#api/table/text.ts';
import { pathSegment } from '#api/validation/format.ts';
import { readSigningRequest } from './request-contents.ts';
import { isSignerOfNodes } from './signers.ts';
import { validateApproval, validateSigningRequest, validateSigningRequestStatus } from './csr-validation.ts';

/** Rules of CertificateSigningRequests. */
export const certificateSigningRequestRules: KindRules = {
  effect: acted('control-plane/controllers/certificates/sign.ts'),
  refuseNode: refuseRequestOfNode,
  signRequester: withRequester,
  tracksGeneration: false,
  nameFormat: pathSegment,
  // What was asked for is what is signed.
  prepareUpdate: (old, request) => ({ ...request, spec: old['spec'] }),
  prepareStatusUpdate: withApprovalOf,
  dateUpdate: withDatedConditions,
  validate: validateSigningRequest,
  validatesAll: true,
  validateStatusUpdate: validateSigningRequestStatus,
  parts: {
    approval: {
      write: (old, request) => ({
        ...withPath(old, 'status.conditions', at(request, 'status.conditions')),
        metadata: objectOf(request['metadata']),
      }),
      validate: validateApproval,
    },
  },
  reset: {
    '': { fields: ['spec', 'status'] },
    status: { fields: ['spec', 'status.conditions'] },
    approval: { fields: ['spec', 'status.certificate'] },
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

/**
 * A signer changes nothing of how the request was approved or denied: conditions of these types are as they were, if they are as many.
 * Else they stay as given, and are refused (pkg/registry/certificates, preserveConditionInstances).
 */
function withApprovalOf(old: JsonObject, request: JsonObject): JsonObject {
  const before = objectsOf(at(old, 'status.conditions'));
  const conditions = [...objectsOf(at(request, 'status.conditions'))];
  for (const type of ['Approved', 'Denied']) {
    const known = before.filter((condition) => condition['type'] === type);
    const places = conditions.flatMap((condition, place) => (condition['type'] === type ? [place] : []));
    if (known.length !== places.length) continue;
    places.forEach((place, index) => (conditions[place] = known[index] ?? {}));
  }
  return conditions.length === 0 ? request : withPath(request, 'status.conditions', conditions);
}

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

/** A node asks for its own certificates alone (plugin/pkg/admission/noderestriction, admitCSR). */
function refuseRequestOfNode({ node, operation, subresource, object = {} }: NodeWrite): string | undefined {
  if (operation !== 'create' || subresource !== '') return undefined;
  if (!isSignerOfNodes(text(object, 'spec.signerName', ''))) return undefined;
  const contents = readSigningRequest(text(object, 'spec.request', ''));
  if (contents === undefined) return 'unable to parse csr: PEM block type must be CERTIFICATE REQUEST';
  return contents.commonName === `system:node:${node}`
    ? undefined
    : `can only create a node CSR with CN=system:node:${node}`;
}

/** Conditions say when they were written, and since when they are so (pkg/registry/certificates, populateConditionTimestamps). */
function withDatedConditions(old: JsonObject, request: JsonObject, now: number): JsonObject {
  const conditions = objectsOf(at(request, 'status.conditions'));
  const isDated = ({ lastUpdateTime, lastTransitionTime }: JsonObject): boolean =>
    isGiven(lastUpdateTime) && isGiven(lastTransitionTime);
  if (conditions.every(isDated)) return request;
  const time = formatTime(now);
  const known = objectsOf(at(old, 'status.conditions'));
  const dated = conditions.map((condition) => {
    const { type, status, lastUpdateTime, lastTransitionTime } = condition;
    const same = known.find(
      (one) => one['type'] === type && one['status'] === status && isGiven(one['lastTransitionTime']),
    );
    return {
      ...condition,
      lastUpdateTime: isGiven(lastUpdateTime) ? lastUpdateTime : time,
      lastTransitionTime: isGiven(lastTransitionTime)
        ? lastTransitionTime
        : (same?.['lastTransitionTime'] ?? time),
    };
  });
  return withPath(request, 'status.conditions', dated);
}

function isGiven(time: unknown): boolean {
  return typeof time === 'string' && time !== '';
}
