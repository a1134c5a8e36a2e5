/** The files of a node's credentials, as an agent reads them (follow-credentials.ts). */
import { X509Certificate } from 'node:crypto';
import { proxyKubeconfigName } from '#bin/paths.ts';
import { createAuthority, issueCertificate, type KeyPair } from '#control-plane/apiserver/pki/certificate.ts';
import { renderKubeconfig } from '#control-plane/apiserver/pki/kubeconfig.ts';
import type { Purpose } from './request-certificate.ts';

/** Where a node's cluster is. */
export interface ClusterPlace {
  readonly server: string;
  readonly caCertPem: string;
}

/** The files that a certificate goes to, in the order in which they are written: name and text. Pure. */
export function filesOf(
  purpose: Purpose,
  pair: KeyPair,
  { server, caCertPem, nodeName }: ClusterPlace & { readonly nodeName: string },
): readonly (readonly [name: string, text: string])[] {
  switch (purpose) {
    case 'client':
      return [
        [
          'kubeconfig',
          renderKubeconfig({ server, caCertPem, user: `system:node:${nodeName}`, client: pair }),
        ],
      ];
    case 'proxy':
      return [
        [
          proxyKubeconfigName,
          renderKubeconfig({ server, caCertPem, user: 'system:kube-proxy', client: pair }),
        ],
      ];
    case 'serving':
      // Between the two they are of two issues: who reads them then keeps what there was.
      return [
        ['serving.key', pair.keyPem],
        ['serving.crt', pair.certPem],
      ];
  }
}

/** What a node shows until its request was approved, for which its Node has to be there: nobody trusts it. */
export async function temporaryServing(
  nodeName: string,
  hosts: readonly string[],
  nowMs: number,
): Promise<KeyPair> {
  const own = await createAuthority(`${nodeName}-ca`, nowMs);
  return issueCertificate(own, {
    commonName: nodeName,
    hosts: [nodeName, ...hosts],
    usages: ['server'],
    nowMs,
  });
}

/** Whether a certificate was signed by an authority of the bundle's first certificate. */
export function isSignedBy(certPem: string, caCertPem: string): boolean {
  return new X509Certificate(certPem).verify(new X509Certificate(caCertPem).publicKey);
}
