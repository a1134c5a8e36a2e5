import { X509Certificate } from 'node:crypto';
import type {
  CertificateSigningRequest,
  CertificateSigningRequestCondition,
} from '#api/generated/objects.ts';
import { signers } from '#api/kinds/certificates/signers.ts';
import { findCondition, isConditionTrue } from '#api/meta/condition.ts';
import { parseTime } from '#api/meta/time.ts';
import {
  clientFault,
  kubeletClientFault,
  kubeletServingFault,
  nodeGroup,
  nodePrefix,
  readRequest,
  type ReadRequest,
} from './node-request.ts';

/** What is to be asked before a request is approved: whether its requester may create that subresource of requests. */
export interface Recognized {
  readonly subresource: string;
  /** What the approval says. */
  readonly message: string;
}

/** Who may have a request approved without anybody looking at it; the first that applies and is allowed counts. */
const recognizers: readonly (Recognized & { readonly recognizes: (request: ReadRequest) => boolean })[] = [
  {
    subresource: 'selfnodeclient',
    message: 'Auto approving self kubelet client certificate after SubjectAccessReview.',
    recognizes: (request) =>
      isKubeletClient(request) && request.csr.spec.username === request.contents.commonName,
  },
  {
    subresource: 'nodeclient',
    message: 'Auto approving kubelet client certificate after SubjectAccessReview.',
    recognizes: isKubeletClient,
  },
];

/** As `Recognized`, of what nodes ask for that upstream knows nothing of: what their proxy shows (decision 0028). */
const ofProxy: Recognized = {
  subresource: 'nodeproxyclient',
  message: 'Auto approving client certificate of the proxy of a node after SubjectAccessReview.',
};

/** @returns what is to be asked about the requester, in order; none: the request is for somebody to look at, or was looked at */
export function planApproval(csr: CertificateSigningRequest): readonly Recognized[] {
  if (isSettled(csr)) return [];
  const request = readRequest(csr);
  if (request === undefined) return [];
  return recognizers.filter(({ recognizes }) => recognizes(request));
}

/** As `planApproval`, of the proxies of nodes. */
export function planProxyApproval(csr: CertificateSigningRequest): Recognized | undefined {
  const request = isSettled(csr) ? undefined : readRequest(csr);
  return request !== undefined && isProxyOfNode(request) ? ofProxy : undefined;
}

/** Whether there is nothing left to decide. */
export function isSettled({ status }: CertificateSigningRequest): boolean {
  return (
    (status?.certificate ?? '') !== '' ||
    ['Approved', 'Denied'].some((type) => isConditionTrue(status?.conditions, type))
  );
}

function isKubeletClient(request: ReadRequest): boolean {
  return request.csr.spec.signerName === signers.kubeletClient && kubeletClientFault(request) === undefined;
}

/** A node that asks for what its proxy shows, and for nothing beyond: the user system:kube-proxy, in no group, without other names. */
function isProxyOfNode(request: ReadRequest): boolean {
  const { csr, contents } = request;
  const { signerName, username = '', groups = [] } = csr.spec;
  const names = [contents.dnsNames, contents.emailAddresses, contents.ipAddresses, contents.uris];
  return (
    signerName === signers.client &&
    contents.subject.length === 1 &&
    contents.commonName === 'system:kube-proxy' &&
    names.every((list) => list.length === 0) &&
    clientFault(request) === undefined &&
    username.startsWith(nodePrefix) &&
    groups.includes(nodeGroup)
  );
}

/** What a signer does about a request. */
export type SigningPlan =
  | { readonly kind: 'nothing' }
  | { readonly kind: 'sign' }
  | { readonly kind: 'fail'; readonly message: string };

/** What each signer of ours asks of a request. */
const signerFaults: ReadonlyMap<string, (request: ReadRequest) => string | undefined> = new Map([
  [signers.client, clientFault],
  [signers.kubeletClient, kubeletClientFault],
  [signers.kubeletServing, kubeletServingFault],
  [signers.legacyUnknown, () => undefined],
]);

/** Pure (pkg/controller/certificates/signer). */
export function planSigning(csr: CertificateSigningRequest): SigningPlan {
  const { certificate = '', conditions } = csr.status ?? {};
  const faultOf = signerFaults.get(csr.spec.signerName);
  const isDue =
    certificate === '' &&
    isConditionTrue(conditions, 'Approved') &&
    !isConditionTrue(conditions, 'Denied') &&
    !isConditionTrue(conditions, 'Failed');
  if (!isDue || faultOf === undefined) return { kind: 'nothing' };
  const request = readRequest(csr);
  if (request === undefined) return { kind: 'fail', message: 'PEM block type must be CERTIFICATE REQUEST' };
  const message = faultOf(request);
  return message === undefined ? { kind: 'sign' } : { kind: 'fail', message };
}

const hourMs = 3_600_000;
/** How long requests stay once nobody waits for them any more (pkg/controller/certificates/cleaner). */
const kept = { approvedMs: hourMs, deniedMs: hourMs, failedMs: hourMs, pendingMs: 24 * hourMs };

/** Whether a request is to be removed: it is settled and old, or its certificate has ended, or nobody settled it for a day. */
export function isOutdated(csr: CertificateSigningRequest, nowMs: number): boolean {
  const { conditions = [], certificate = '' } = csr.status ?? {};
  if (conditions.length === 0) return isOlderThan(csr.metadata?.creationTimestamp, kept.pendingMs, nowMs);
  const isLate = (type: string, ms: number): boolean =>
    conditions.some((condition) => condition.type === type && isOlderThan(updatedAt(condition), ms, nowMs));
  if (isLate('Denied', kept.deniedMs) || isLate('Failed', kept.failedMs)) return true;
  if (certificate === '' || findCondition(conditions, 'Approved') === undefined) return false;
  return isLate('Approved', kept.approvedMs) || hasEnded(certificate, nowMs);
}

function updatedAt({ lastUpdateTime }: CertificateSigningRequestCondition): string | undefined {
  return lastUpdateTime;
}

function isOlderThan(time: string | undefined, ms: number, nowMs: number): boolean {
  const atMs = time === undefined ? undefined : parseTime(time);
  return atMs !== undefined && nowMs - atMs > ms;
}

/** @param certificate base64 of PEM, which validation found to be one */
function hasEnded(certificate: string, nowMs: number): boolean {
  return new X509Certificate(Buffer.from(certificate, 'base64')).validToDate.getTime() < nowMs;
}
