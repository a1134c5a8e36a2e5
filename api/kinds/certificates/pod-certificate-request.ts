import { acted } from '#api/kinds/effect.ts';
import { refuseCertificate, refuseCertificateLate } from '#api/kinds/node-writes/certificate.ts';
import type { KindRules } from '#api/kinds/rules.ts';
import { immutable } from '#api/validation/field.ts';
import { validateIssue } from './pod-issue-validation.ts';
import { validatePodRequest } from './pod-request-validation.ts';

/** Rules of PodCertificateRequests (certificates.k8s.io/v1beta1 of Kubernetes 1.36, KEP-4317). */
export const podCertificateRequestRules: KindRules = {
  effect: acted('agent/volume/certificates/pod-certificates.ts'),
  updatesNameRevision: true,
  defaults: [['spec.maxExpirationSeconds', 86_400]],
  refuseNode: refuseCertificate,
  refuseNodeLate: refuseCertificateLate,
  tracksGeneration: false,
  reset: { status: { fields: ['metadata', 'spec'] } },
  updateChecks: ['metadata changes', 'changes'],
  validate: validatePodRequest,
  validateUpdate: immutable('spec'),
  validateStatusUpdate: validateIssue,
  selectableFields: ['spec.signerName', 'spec.podName', 'spec.nodeName'],
};
