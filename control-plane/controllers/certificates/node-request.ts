import type { CertificateSigningRequest } from '#api/generated/objects.ts';
import { readSigningRequest, type RequestContents } from '#api/kinds/certificates/request-contents.ts';
import { equalJson } from '#api/wire/json.ts';

export const nodePrefix = 'system:node:';
export const nodeGroup = 'system:nodes';

/** A request and what is in it. */
export interface ReadRequest {
  readonly csr: CertificateSigningRequest;
  readonly contents: RequestContents;
}

/** undefined where `spec.request` is none, which validation lets nobody write. */
export function readRequest(csr: CertificateSigningRequest): ReadRequest | undefined {
  const contents = readSigningRequest(csr.spec.request);
  return contents === undefined ? undefined : { csr, contents };
}

/** Why a request is none for a node's client certificate, in upstream's words and order (pkg/apis/certificates, ValidateKubeletClientCSR). */
export function kubeletClientFault({ csr, contents }: ReadRequest): string | undefined {
  if (!equalJson(contents.organizations, [nodeGroup])) return texts.organization;
  if (contents.dnsNames.length > 0) return sanTexts.dns;
  if (contents.emailAddresses.length > 0) return sanTexts.email;
  if (contents.ipAddresses.length > 0) return sanTexts.ip;
  if (contents.uris.length > 0) return sanTexts.uri;
  if (!contents.commonName.startsWith(nodePrefix)) return texts.commonName;
  return usagesFault(csr, 'client auth');
}

/** Why a request is none for what a kubelet shows (ValidateKubeletServingCSR). */
export function kubeletServingFault({ csr, contents }: ReadRequest): string | undefined {
  if (!equalJson(contents.organizations, [nodeGroup])) return texts.organization;
  if (contents.dnsNames.length + contents.ipAddresses.length === 0) return texts.noHosts;
  if (contents.emailAddresses.length > 0) return sanTexts.email;
  if (contents.uris.length > 0) return sanTexts.uri;
  const fault = usagesFault(csr, 'server auth');
  if (fault !== undefined) return fault;
  return contents.commonName.startsWith(nodePrefix) ? undefined : texts.commonName;
}

/** Why a request is none for a client's certificate (signer kubernetes.io/kube-apiserver-client). */
export function clientFault({ csr }: ReadRequest): string | undefined {
  const usages = csr.spec.usages ?? [];
  const wrong = usages.find((usage) => !clientUsages.includes(usage));
  if (wrong !== undefined) return `invalid usage for client certificate: ${wrong}`;
  return usages.includes('client auth')
    ? undefined
    : 'missing required usage for client certificate: client auth';
}

const clientUsages = ['digital signature', 'key encipherment', 'client auth'];

const texts = {
  organization: 'subject organization is not system:nodes',
  commonName: 'subject common name does not begin with system:node:',
  noHosts: 'DNS or IP subjectAltName is required',
};
const sanTexts = {
  dns: 'DNS subjectAltNames are not allowed',
  email: 'Email subjectAltNames are not allowed',
  ip: 'IP subjectAltNames are not allowed',
  uri: 'URI subjectAltNames are not allowed',
};

/** RSA keys encipher keys, others need not. */
function usagesFault(csr: CertificateSigningRequest, own: string): string | undefined {
  const wanted = ['digital signature', 'key encipherment', own].toSorted();
  const given = (csr.spec.usages ?? []).toSorted();
  const fits = [wanted, wanted.filter((usage) => usage !== 'key encipherment')];
  return fits.some((usages) => equalJson(usages, given))
    ? undefined
    : `usages did not match [${wanted.join(' ')}]`;
}
