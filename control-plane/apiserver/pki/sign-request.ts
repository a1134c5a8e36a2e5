import { readSigningRequest, type RequestContents } from '#api/kinds/certificates/request-contents.ts';
import { PodwrightError } from '#base/errors.ts';
import type { JsonGeneralName, JsonName } from '@peculiar/x509';
import {
  algorithm,
  backdateMs,
  importKey,
  leafLifeMs,
  loadX509,
  serialNumber,
  type KeyPair,
} from './certificate.ts';

/** What a signer was told of a request that was approved. */
export interface SigningOrder {
  /** base64 of PEM, as `spec.request` of a CertificateSigningRequest has it; its own signature was found good. */
  readonly request: string;
  /** In words of certificates.k8s.io/v1 KeyUsage. */
  readonly usages: readonly string[];
  /** Undefined: as long as the signer gives at most. */
  readonly expirationSeconds?: number | undefined;
  /** What the signer gives at most. Default a year. */
  readonly lifeMsMax?: number | undefined;
  /** Milliseconds since the epoch. */
  readonly nowMs: number;
}

/** What a certificate of less than this is not shortened by what it is dated back; five minutes are about a hundredth of it. */
const shortMs = 8 * 60 * 60 * 1000;
const secondsMin = 600;

/** From when to when a certificate is good (pkg/controller/certificates/authority, PermissiveSigningPolicy). Pure. */
export function computeValidity(
  {
    expirationSeconds,
    lifeMsMax = leafLifeMs,
    nowMs,
  }: Pick<SigningOrder, 'expirationSeconds' | 'lifeMsMax' | 'nowMs'>,
  authorityEndsMs: number,
): { readonly fromMs: number; readonly toMs: number } {
  const lifeMs =
    expirationSeconds === undefined
      ? lifeMsMax
      : Math.min(Math.max(expirationSeconds, secondsMin) * 1000, lifeMsMax);
  const fromMs = nowMs - backdateMs;
  return { fromMs, toMs: Math.min((lifeMs < shortMs ? nowMs : fromMs) + lifeMs, authorityEndsMs) };
}

/**
 * Signs what a request asks for: its subject, its names and its key, with the usages; nothing else of it.
 * @returns PEM
 * @throws {E_INVALID} for what is no request, and for usages that no certificate has
 */
export async function signRequest(authority: KeyPair, order: SigningOrder): Promise<string> {
  const x509 = await loadX509();
  const contents = readSigningRequest(order.request);
  if (contents === undefined) throw new PodwrightError('E_INVALID', 'sign a request: it is none');
  const pem = Buffer.from(order.request, 'base64').toString('latin1');
  const { publicKey } = new x509.Pkcs10CertificateRequest(x509.PemConverter.decodeFirst(pem));
  const issuer = new x509.X509Certificate(authority.certPem);
  const { fromMs, toMs } = computeValidity(order, issuer.notAfter.getTime());
  if (toMs <= order.nowMs) {
    throw new PodwrightError(
      'E_INVALID',
      `sign a request: the authority ended at ${issuer.notAfter.toISOString()}`,
    );
  }
  const { flags, purposes } = computeUsages(order.usages);
  const names = generalNamesOf(contents);
  const certificate = await x509.X509CertificateGenerator.create({
    serialNumber: serialNumber(),
    subject: subjectOf(contents),
    issuer: issuer.subjectName,
    notBefore: new Date(fromMs),
    notAfter: new Date(toMs),
    signingAlgorithm: algorithm,
    publicKey,
    signingKey: await importKey(authority.keyPem),
    extensions: [
      ...(flags === 0 ? [] : [new x509.KeyUsagesExtension(flags, true)]),
      ...(purposes.length === 0 ? [] : [new x509.ExtendedKeyUsageExtension([...purposes])]),
      new x509.BasicConstraintsExtension(false, undefined, true),
      await x509.AuthorityKeyIdentifierExtension.create(issuer),
      ...(names.length === 0 ? [] : [new x509.SubjectAlternativeNameExtension(names)]),
    ],
  });
  return `${certificate.toString('pem')}\n`;
}

/** RFC 5280 4.2.1.3, bits as @peculiar/x509 has them. */
const keyUsages: ReadonlyMap<string, number> = new Map([
  ['signing', 1],
  ['digital signature', 1],
  ['content commitment', 2],
  ['key encipherment', 4],
  ['data encipherment', 8],
  ['key agreement', 16],
  ['cert sign', 32],
  ['crl sign', 64],
  ['encipher only', 128],
  ['decipher only', 256],
]);

/** RFC 5280 4.2.1.12 and what came before it, in the order of Go's crypto/x509. */
const extendedUsages: ReadonlyMap<string, string> = new Map([
  ['any', '2.5.29.37.0'],
  ['server auth', '1.3.6.1.5.5.7.3.1'],
  ['client auth', '1.3.6.1.5.5.7.3.2'],
  ['code signing', '1.3.6.1.5.5.7.3.3'],
  ['email protection', '1.3.6.1.5.5.7.3.4'],
  ['s/mime', '1.3.6.1.5.5.7.3.4'],
  ['ipsec end system', '1.3.6.1.5.5.7.3.5'],
  ['ipsec tunnel', '1.3.6.1.5.5.7.3.6'],
  ['ipsec user', '1.3.6.1.5.5.7.3.7'],
  ['timestamping', '1.3.6.1.5.5.7.3.8'],
  ['ocsp signing', '1.3.6.1.5.5.7.3.9'],
  ['microsoft sgc', '1.3.6.1.4.1.311.10.3.3'],
  ['netscape sgc', '2.16.840.1.113730.4.1'],
]);

/** @throws {E_INVALID} for a usage that no certificate has: validation lets none through */
function computeUsages(usages: readonly string[]): {
  readonly flags: number;
  readonly purposes: readonly string[];
} {
  const unknown = usages.filter((usage) => !keyUsages.has(usage) && !extendedUsages.has(usage));
  if (unknown.length > 0) {
    throw new PodwrightError('E_INVALID', `sign a request: unknown usages ${unknown.join(', ')}`);
  }
  const wanted = new Set(usages);
  const purposes = [...extendedUsages].flatMap(([usage, oid]) => (wanted.has(usage) ? [oid] : []));
  return {
    flags: usages.reduce((all, usage) => all | (keyUsages.get(usage) ?? 0), 0),
    purposes: [...new Set(purposes)],
  };
}

/** Parts of a subject that are kept, in the order in which Go's crypto/x509/pkix writes them. */
const subjectParts = [
  '2.5.4.6', // C
  '2.5.4.10', // O
  '2.5.4.11', // OU
  '2.5.4.7', // L
  '2.5.4.8', // ST
  '2.5.4.9', // street
  '2.5.4.17', // postal code
  '2.5.4.3', // CN
  '2.5.4.5', // serial number
];
/** Of which there is one at most: the last. */
const singleParts: ReadonlySet<string> = new Set(['2.5.4.3', '2.5.4.5']);

function subjectOf({ subject }: RequestContents): JsonName {
  return subjectParts.flatMap((oid) => {
    const texts = subject.flatMap(([part, text]) => (part === oid ? [text] : []));
    return (singleParts.has(oid) ? texts.slice(-1) : texts).map((text) => ({ [oid]: [text] }));
  });
}

function generalNamesOf({ dnsNames, emailAddresses, ipAddresses, uris }: RequestContents): JsonGeneralName[] {
  const named = (type: 'dns' | 'email' | 'ip' | 'url', values: readonly string[]): JsonGeneralName[] =>
    values.map((value) => ({ type, value }));
  return [
    ...named('dns', dnsNames),
    ...named('email', emailAddresses),
    ...named('ip', ipAddresses),
    ...named('url', uris),
  ];
}
