/** What the one port of a fleet shows, and whom it believes: of any cluster, by its own means. */
import { configMaps, certificateSigningRequests } from '#api/schema/kind-ref.ts';
import { signers } from '#api/kinds/certificates/signers.ts';
import type { Clock } from '#base/clock.ts';
import { PodwrightError } from '#base/errors.ts';
import type { ApiClient } from '#client/client.ts';
import { makeRequest } from '#control-plane/apiserver/pki/make-request.ts';
import type { KubeletTls } from '#agent/kubelet/server/kubelet-server.ts';

const waitMs = 30_000;
const pollMs = 100;

/**
 * A serving certificate by a CertificateSigningRequest that is approved by who asks for it, and the authority of those who may call
 * (kube-system/extension-apiserver-authentication).
 * @throws E_TIMEOUT nobody signed it; E_API the credentials may not do that
 */
export async function obtainTls(
  { name, host }: { readonly name: string; readonly host: string },
  {
    client,
    clock,
    signal,
  }: { readonly client: ApiClient; readonly clock: Clock; readonly signal: AbortSignal },
): Promise<KubeletTls> {
  const place = { namespace: 'kube-system', name: 'extension-apiserver-authentication' };
  const { data = {} } = await client.get(configMaps, place);
  const clientCa = data['client-ca-file'];
  if (clientCa === undefined)
    throw new PodwrightError(
      'E_NOT_FOUND',
      'find out who may call the nodes: ConfigMap kube-system/extension-apiserver-authentication has no client-ca-file',
    );
  const subject = { commonName: `system:node:${name}`, organizations: ['system:nodes'], hosts: [name, host] };
  const { requestPem, keyPem: key } = await makeRequest(subject);
  const made = await client.create(certificateSigningRequests, {
    metadata: { generateName: `${name}-` },
    spec: {
      request: Buffer.from(requestPem).toString('base64'),
      signerName: signers.kubeletServing,
      usages: ['digital signature', 'server auth'],
    },
  });
  const request = made.metadata?.name ?? '';
  const approval = {
    type: 'Approved',
    status: 'True' as const,
    reason: 'FakeNodes',
    message: 'asked for by podwright fake-nodes',
  };
  await client.update(
    certificateSigningRequests,
    { ...made, status: { ...made.status, conditions: [approval] } },
    { subresource: 'approval' },
  );
  const giveUpMs = clock.monotonic() + waitMs;
  for (;;) {
    const { status } = await client.get(certificateSigningRequests, { name: request });
    if (status?.certificate !== undefined)
      return { key, cert: Buffer.from(status.certificate, 'base64').toString(), clientCa };
    if (clock.monotonic() > giveUpMs)
      throw new PodwrightError(
        'E_TIMEOUT',
        `wait for the certificate of request ${request}: nobody signed it within ${waitMs / 1000} s; see kubectl describe csr ${request}`,
      );
    await clock.sleep(pollMs, signal);
  }
}
