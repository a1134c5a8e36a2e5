import { webcrypto } from 'node:crypto';
import { algorithm, generalName, keyPemOf, loadX509 } from './certificate.ts';

/** A new private key and the request (PKCS #10) for a certificate of it, both PEM. */
export interface RequestWithKey {
  readonly requestPem: string;
  readonly keyPem: string;
}

/** A request for that subject, with a new key. `hosts` are DNS names and IP addresses. */
export async function makeRequest(wanted: {
  readonly commonName: string;
  readonly organizations?: readonly string[];
  readonly hosts?: readonly string[];
}): Promise<RequestWithKey> {
  const x509 = await loadX509();
  const { commonName, organizations = [], hosts = [] } = wanted;
  const keys = await webcrypto.subtle.generateKey(algorithm, true, ['sign', 'verify']);
  const request = await x509.Pkcs10CertificateRequestGenerator.create({
    name: [
      ...organizations.map((name) => ({ O: [name] })),
      ...(commonName === '' ? [] : [{ CN: [commonName] }]),
    ],
    keys,
    signingAlgorithm: algorithm,
    extensions: hosts.length === 0 ? [] : [new x509.SubjectAlternativeNameExtension(hosts.map(generalName))],
  });
  return { requestPem: `${request.toString('pem')}\n`, keyPem: keyPemOf(keys.privateKey) };
}
