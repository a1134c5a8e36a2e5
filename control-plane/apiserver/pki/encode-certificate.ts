import { createHash, createPublicKey, sign, X509Certificate, type KeyObject } from 'node:crypto';
import { bytesOfIp, parseIp } from '#base/ip.ts';
import * as der from '#base/der.ts';

/** What a certificate says (RFC 5280), and who signs it. */
export interface CertificateContent {
  /** Without a sign. */
  readonly serial: Uint8Array;
  /** Names, encoded: of who signs, and of whom it is. */
  readonly issuer: Uint8Array;
  readonly subject: Uint8Array;
  readonly notBeforeMs: number;
  readonly notAfterMs: number;
  readonly publicKey: KeyObject;
  readonly extensions: readonly Uint8Array[];
}

const ecdsaWithSha256 = der.sequence(der.oid('1.2.840.10045.4.3.2'));
/** Of X.520. */
const attributes = { commonName: '2.5.4.3', organization: '2.5.4.10' } as const;
const usages = { server: '1.3.6.1.5.5.7.3.1', client: '1.3.6.1.5.5.7.3.2' } as const;

/** The certificate as PEM, signed by an elliptic key. */
export function encodeCertificate(content: CertificateContent, signingKey: KeyObject): string {
  const { serial, issuer, subject, notBeforeMs, notAfterMs, publicKey, extensions } = content;
  const unsigned = der.sequence(
    der.element(0xa0, der.integer(Buffer.from([2]))), // Version 3.
    der.integer(serial),
    ecdsaWithSha256,
    issuer,
    der.sequence(der.time(notBeforeMs), der.time(notAfterMs)),
    subject,
    publicKey.export({ type: 'spki', format: 'der' }),
    der.element(0xa3, der.sequence(...extensions)),
  );
  const signature = sign('sha256', unsigned, { key: signingKey, dsaEncoding: 'der' });
  const bytes = der.sequence(unsigned, ecdsaWithSha256, der.bits(signature));
  return new X509Certificate(bytes).toString();
}

/** A name: organizations, then the common name. */
export function encodeName(commonName: string, organizations: readonly string[] = []): Buffer {
  const part = (attribute: string, value: string): Buffer =>
    der.setOf(der.sequence(der.oid(attribute), der.utf8(value)));
  return der.sequence(
    ...organizations.map((value) => part(attributes.organization, value)),
    part(attributes.commonName, commonName),
  );
}

function extension(id: string, value: Uint8Array, isCritical = false): Buffer {
  return der.sequence(der.oid(id), ...(isCritical ? [der.truth] : []), der.octets(value));
}

const keyIdentifier = '2.5.29.14';

/** What may be signed with the key of an authority: certificates, lists of revoked ones, and itself. */
export function authorityExtensions(publicKey: KeyObject): readonly Buffer[] {
  return [
    extension('2.5.29.19', der.sequence(der.truth), true),
    extension('2.5.29.15', der.bits(Buffer.from([0b1000_0110]), 1), true),
    extension(keyIdentifier, der.octets(identifierOf(publicKey))),
  ];
}

/** Of who serves, or asks, under those DNS names and addresses; `issuerKeyId` tells the authority's key. */
export function leafExtensions({
  usedFor,
  hosts,
  issuerKeyId,
}: {
  readonly usedFor: readonly (keyof typeof usages)[];
  readonly hosts: readonly string[];
  readonly issuerKeyId: Uint8Array;
}): readonly Buffer[] {
  return [
    extension('2.5.29.19', der.sequence(), true),
    extension('2.5.29.15', der.bits(Buffer.from([0b1000_0000]), 7), true),
    extension('2.5.29.37', der.sequence(...usedFor.map((usage) => der.oid(usages[usage])))),
    extension('2.5.29.35', der.sequence(der.element(0x80, issuerKeyId))),
    ...(hosts.length === 0 ? [] : [extension('2.5.29.17', der.sequence(...hosts.map(generalName)))]),
  ];
}

function generalName(host: string): Buffer {
  const ip = parseIp(host);
  return ip === undefined ? der.element(0x82, Buffer.from(host, 'ascii')) : der.element(0x87, bytesOfIp(ip));
}

/** How a key is told from others (RFC 5280 4.2.1.2, method 1): SHA-1 of its bits. */
function identifierOf(publicKey: KeyObject): Buffer {
  const [whole] = der.elements(publicKey.export({ type: 'spki', format: 'der' }));
  const [, key] = der.elements(whole?.content ?? Buffer.alloc(0));
  return createHash('sha1')
    .update(key?.content.subarray(1) ?? '')
    .digest(); // Without the count of unused bits.
}

/** What is taken from the certificate of who signs: its name as it stands there, and how its key is called. */
export interface IssuerFacts {
  readonly name: Buffer;
  readonly keyId: Buffer;
  readonly notAfterMs: number;
}

/** @throws {RangeError} for what is no certificate */
export function issuerFactsOf(certPem: string): IssuerFacts {
  const certificate = new X509Certificate(certPem);
  const [whole] = der.elements(certificate.raw);
  const [unsigned] = der.elements(whole?.content ?? Buffer.alloc(0));
  const members = der.elements(unsigned?.content ?? Buffer.alloc(0));
  // version [0], serialNumber, signature, issuer, validity, subject, subjectPublicKeyInfo, …, extensions [3]; the first may be left out.
  const from = members[0]?.tag === 0xa0 ? 1 : 0;
  const name = members[from + 4]?.whole;
  if (name === undefined) throw new RangeError('a certificate without a subject');
  const [list] = der.elements(members.find(({ tag }) => tag === 0xa3)?.content ?? Buffer.alloc(0));
  const own = der
    .elements(list?.content ?? Buffer.alloc(0))
    .map(({ content }) => der.elements(content))
    .find(([id]) => id?.whole.equals(der.oid(keyIdentifier)) === true)
    ?.at(-1);
  const [said] = der.elements(own?.content ?? Buffer.alloc(0));
  return {
    name,
    keyId: said?.content ?? identifierOf(createPublicKey(certPem)),
    notAfterMs: certificate.validToDate.getTime(),
  };
}
