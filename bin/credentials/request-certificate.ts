/** A certificate by a CertificateSigningRequest: asked for, waited for. */
import { signers } from '#api/kinds/certificates/signers.ts';
import { certificateSigningRequests } from '#api/schema/kind-ref.ts';
import { findCondition } from '#api/meta/condition.ts';
import type { Clock } from '#base/clock.ts';
import { PodwrightError } from '#base/errors.ts';
import type { ApiClient } from '#client/client.ts';
import { makeRequest } from '#control-plane/apiserver/pki/make-request.ts';
import type { KeyPair } from '#control-plane/apiserver/pki/certificate.ts';

/** What a node has certificates for. */
export type Purpose = 'client' | 'proxy' | 'serving';

export interface WantedCertificate {
  readonly purpose: Purpose;
  readonly nodeName: string;
  /** Addresses of the node, for what it shows. */
  readonly nodeIps: readonly string[];
}

interface Shape {
  readonly signerName: string;
  readonly usages: readonly string[];
  readonly subject: Parameters<typeof makeRequest>[0];
}

/** What is asked for, for each purpose. Pure. */
export function shapeOf({ purpose, nodeName, nodeIps }: WantedCertificate): Shape {
  const node = { commonName: `system:node:${nodeName}`, organizations: ['system:nodes'] };
  switch (purpose) {
    case 'client':
      return {
        signerName: signers.kubeletClient,
        usages: ['digital signature', 'client auth'],
        subject: node,
      };
    case 'proxy':
      return {
        signerName: signers.client,
        usages: ['digital signature', 'client auth'],
        subject: { commonName: 'system:kube-proxy' },
      };
    case 'serving':
      return {
        signerName: signers.kubeletServing,
        usages: ['digital signature', 'server auth'],
        subject: { ...node, hosts: [nodeName, ...nodeIps] },
      };
  }
}

export interface RequestOptions {
  readonly client: ApiClient;
  readonly clock: Clock;
  /** How long somebody may take to approve it. */
  readonly waitMs: number;
  readonly signal: AbortSignal;
}

const pollMs = 250;

/**
 * A new key, and a certificate for it.
 * @throws {E_API} who asks may not; {E_TIMEOUT} nobody approved it; {E_PERMISSION} it was denied, or the signer refused it
 */
export async function requestCertificate(
  wanted: WantedCertificate,
  { client, clock, waitMs, signal }: RequestOptions,
): Promise<KeyPair> {
  const { signerName, usages, subject } = shapeOf(wanted);
  const { requestPem, keyPem } = await makeRequest(subject);
  const made = await client.create(certificateSigningRequests, {
    metadata: { generateName: 'csr-' },
    spec: { request: Buffer.from(requestPem).toString('base64'), signerName, usages },
  });
  const name = made.metadata?.name ?? '';
  const giveUpMs = clock.monotonic() + waitMs;
  for (;;) {
    const { status } = await client.get(certificateSigningRequests, { name });
    if (status?.certificate !== undefined)
      return { certPem: Buffer.from(status.certificate, 'base64').toString(), keyPem };
    const refusal =
      findCondition(status?.conditions, 'Denied') ?? findCondition(status?.conditions, 'Failed');
    if (refusal !== undefined) {
      const why = [refusal.type.toLowerCase(), refusal.reason, refusal.message].filter(Boolean).join(': ');
      throw new PodwrightError('E_PERMISSION', `wait for the certificate of request ${name}: ${why}`);
    }
    if (clock.monotonic() > giveUpMs) {
      throw new PodwrightError(
        'E_TIMEOUT',
        `wait for the certificate of request ${name}: nobody approved it within ${Math.round(waitMs / 1000)} s; look at it with kubectl describe csr ${name}, approve it with kubectl certificate approve ${name}, and try again`,
      );
    }
    await clock.sleep(pollMs, signal);
  }
}
