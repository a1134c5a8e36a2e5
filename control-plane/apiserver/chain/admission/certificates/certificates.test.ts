import { expect, it } from 'vitest';
import type { JsonObject } from '#api/meta/object.ts';
import { withPath } from '#api/wire/json.ts';
import type { AdmissionPlugin } from '#control-plane/apiserver/chain/admission/admission.ts';
import {
  ask,
  contextWith,
  trustBundles,
  type Ask,
} from '#control-plane/apiserver/chain/admission/admission.fixture.ts';
import type { Authorizer } from '#control-plane/apiserver/chain/authz/authorizer.ts';
import { certificateApproval } from './certificate-approval.ts';
import { certificateSigning } from './certificate-signing.ts';
import { certificateSubjectRestriction } from './certificate-subject-restriction.ts';
import { devsRequest, mastersRequest } from './certificates.fixture.ts';
import { clusterTrustBundleAttest } from './cluster-trust-bundle-attest.ts';
import { signingRequests } from './signer.ts';

/** Lets this be done with the signers of these names, as RBAC would. */
function allowing(verb: string, names: readonly string[]): Authorizer {
  return {
    name: 'test',
    decide: (asked) => ({
      decision:
        asked.kind === 'resource' &&
        `${asked.group}/${asked.version}/${asked.resource}` === 'certificates.k8s.io/*/signers' &&
        asked.verb === verb &&
        names.includes(asked.name)
          ? 'allow'
          : 'noOpinion',
      reason: '',
    }),
    rulesOf: () => ({ resourceRules: [], nonResourceRules: [], incomplete: false }),
  };
}

const csr: JsonObject = {
  metadata: { name: 'r' },
  spec: { signerName: 'example.com/a', request: devsRequest },
};
const approved = withPath(csr, 'status.conditions', [{ type: 'Approved', status: 'True' }]);
const issued = withPath(csr, 'status.certificate', 'Yw==');
const named = 'certificatesigningrequests.certificates.k8s.io "r" is forbidden: ';
const bundle: JsonObject = {
  metadata: { name: 'b' },
  spec: { signerName: 'example.com/a', trustBundle: 'x' },
};
const client = withPath(csr, 'spec.signerName', 'kubernetes.io/kube-apiserver-client');

const approval = { kind: signingRequests, subresource: 'approval', old: csr, object: approved };
const status = { kind: signingRequests, subresource: 'status', old: csr };
const attest = { kind: trustBundles };

it.each<{
  readonly name: string;
  readonly plugin: AdmissionPlugin;
  readonly asked: Ask;
  readonly verb?: string;
  readonly may?: readonly string[];
  readonly refused?: string;
}>([
  {
    name: 'an approval by nobody in particular',
    plugin: certificateApproval,
    asked: approval,
    refused: `${named}user not permitted to approve requests with signerName "example.com/a"`,
  },
  {
    name: 'an approval by who may for the signer',
    plugin: certificateApproval,
    asked: approval,
    verb: 'approve',
    may: ['example.com/a'],
  },
  {
    name: 'an approval by who may for the domain',
    plugin: certificateApproval,
    asked: approval,
    verb: 'approve',
    may: ['example.com/*'],
  },
  {
    name: 'an approval with another signer in it, by who may for that one',
    plugin: certificateApproval,
    asked: { ...approval, object: withPath(approved, 'spec.signerName', 'mine.com/a') },
    verb: 'approve',
    may: ['mine.com/a'],
    refused: `${named}user not permitted to approve requests with signerName "example.com/a"`,
  },
  {
    name: 'a certificate of nobody in particular',
    plugin: certificateSigning,
    asked: { ...status, object: issued },
    verb: 'approve',
    may: ['example.com/a'],
    refused: `${named}user not permitted to sign requests with signerName "example.com/a"`,
  },
  {
    name: 'a failure of nobody in particular',
    plugin: certificateSigning,
    asked: { ...status, object: withPath(csr, 'status.conditions', [{ type: 'Failed' }]) },
    refused: `${named}user not permitted to sign requests with signerName "example.com/a"`,
  },
  {
    name: 'a certificate of the signer',
    plugin: certificateSigning,
    asked: { ...status, object: issued },
    verb: 'sign',
    may: ['example.com/*'],
  },
  {
    name: 'a status that says the same',
    plugin: certificateSigning,
    asked: { ...status, object: withPath(csr, 'metadata.labels', { a: 'b' }) },
  },
  {
    name: 'a request of a group',
    plugin: certificateSubjectRestriction,
    asked: { kind: signingRequests, object: client },
  },
  {
    name: 'a request of those who may do everything',
    plugin: certificateSubjectRestriction,
    asked: { kind: signingRequests, object: withPath(client, 'spec.request', mastersRequest) },
    refused: `${named}use of kubernetes.io/kube-apiserver-client signer with system:masters group is not allowed`,
  },
  {
    name: 'the same to another signer',
    plugin: certificateSubjectRestriction,
    asked: { kind: signingRequests, object: withPath(csr, 'spec.request', mastersRequest) },
  },
  {
    name: 'a request that is none',
    plugin: certificateSubjectRestriction,
    asked: { kind: signingRequests, object: withPath(client, 'spec.request', 'eA==') },
    refused: `${named}failed to parse CSR: PEM block type must be CERTIFICATE REQUEST`,
  },
  {
    name: 'a bundle of a signer, of nobody in particular',
    plugin: clusterTrustBundleAttest,
    asked: { ...attest, object: bundle },
    refused:
      'clustertrustbundles.certificates.k8s.io "b" is forbidden: user not permitted to attest for signerName "example.com/a"',
  },
  {
    name: 'a bundle of a signer, of who may',
    plugin: clusterTrustBundleAttest,
    asked: { ...attest, object: bundle },
    verb: 'attest',
    may: ['example.com/a'],
  },
  {
    name: 'a bundle of no signer',
    plugin: clusterTrustBundleAttest,
    asked: { ...attest, object: withPath(bundle, 'spec.signerName', undefined) },
  },
  {
    name: 'a bundle that is another now',
    plugin: clusterTrustBundleAttest,
    asked: { ...attest, old: bundle, object: withPath(bundle, 'spec.trustBundle', 'y') },
    refused:
      'clustertrustbundles.certificates.k8s.io "b" is forbidden: user not permitted to attest for signerName "example.com/a"',
  },
  {
    name: 'a bundle that lost a finalizer',
    plugin: clusterTrustBundleAttest,
    asked: { ...attest, old: withPath(bundle, 'metadata.finalizers', ['a/b']), object: bundle },
  },
])('$plugin.name: $name', async ({ plugin, asked, verb = 'none', may = [], refused }) => {
  const context = { ...(await contextWith([])), authorizer: allowing(verb, may) };
  const answer = await ask(context, plugin, asked);
  expect(answer).toEqual(refused === undefined ? { object: asked.object } : { code: 403, message: refused });
});
