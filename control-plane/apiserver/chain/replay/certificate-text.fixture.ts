import { X509Certificate } from 'node:crypto';
import { backdateMs, loadX509 } from '#control-plane/apiserver/pki/certificate.ts';

const usages = [
  ...['Digital Signature', 'Non Repudiation', 'Key Encipherment', 'Data Encipherment', 'Key Agreement'],
  ...['Certificate Sign', 'CRL Sign', 'Encipher Only', 'Decipher Only'],
];
const purposes: Readonly<Record<string, string>> = {
  '1.3.6.1.5.5.7.3.1': 'TLS Web Server Authentication',
  '1.3.6.1.5.5.7.3.2': 'TLS Web Client Authentication',
};

/**
 * A certificate as openssl tells it, each line end a ⏎: without its key, its identifiers, and what its times are; with how long it lives, in
 * seconds. An authority of the name that is given is the observed one.
 */
export async function certificateText(
  pem: Uint8Array,
  authority: { readonly caCertPem: string; readonly observedName: string },
): Promise<string> {
  const x509 = await loadX509();
  const parsed = new x509.X509Certificate(pem);
  const { subject, issuer, subjectAltName, serialNumber, validFromDate, validToDate } = new X509Certificate(
    pem,
  );
  const isOfAuthority = issuer === new X509Certificate(authority.caCertPem).subject;
  const usage = parsed.getExtension(x509.KeyUsagesExtension);
  const purpose = parsed.getExtension(x509.ExtendedKeyUsageExtension);
  const constraints = parsed.getExtension(x509.BasicConstraintsExtension);
  const named = usages.filter((_usage, bit) => ((usage?.usages ?? 0) & (1 << bit)) !== 0);
  const lines = [
    `subject=${nameText(subject)}`,
    `issuer=${isOfAuthority ? authority.observedName : nameText(issuer)}`,
    ...(usage === null ? [] : [`X509v3 Key Usage: ${critical(usage)}`, `    ${named.join(', ')}`]),
    ...(purpose === null
      ? []
      : [
          `X509v3 Extended Key Usage: ${critical(purpose)}`,
          `    ${purpose.usages.map((oid) => purposes[String(oid)] ?? String(oid)).join(', ')}`,
        ]),
    ...(constraints === null
      ? []
      : [
          `X509v3 Basic Constraints: ${critical(constraints)}`,
          `    CA:${String(constraints.ca).toUpperCase()}`,
        ]),
    ...(parsed.getExtension(x509.AuthorityKeyIdentifierExtension) === null
      ? []
      : ['X509v3 Authority Key Identifier: ', '    …']),
    ...(subjectAltName === undefined ? [] : ['X509v3 Subject Alternative Name: ', `    ${subjectAltName}`]),
    `serial: ${/^[\dA-F]{31,32}$/.test(serialNumber) ? '32 hex digits' : serialNumber} ; lifetime ${seconds(validToDate, validFromDate)} s, notBefore is ${backdateMs / 1000} s before its issue`,
  ];
  return lines.join('⏎');
}

function critical({ critical: isCritical }: { readonly critical: boolean }): string {
  return isCritical ? 'critical' : '';
}

function nameText(name: string): string {
  return name.replaceAll('\n', ', ').replaceAll('=', ' = ');
}

function seconds(to: Date, from: Date): number {
  return (to.getTime() - from.getTime()) / 1000;
}
