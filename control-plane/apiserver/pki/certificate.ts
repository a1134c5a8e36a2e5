import {
  createPrivateKey,
  createPublicKey,
  KeyObject,
  randomBytes,
  webcrypto,
  X509Certificate,
} from 'node:crypto';
import type * as X509Module from '@peculiar/x509';
import { familyOfIp } from '#base/ip.ts';

/** A certificate and its private key, both PEM. */
export interface KeyPair {
  readonly certPem: string;
  readonly keyPem: string;
}

export interface CertificateRequest {
  readonly commonName: string;
  readonly organizations?: readonly string[];
  /** DNS names and IP addresses. */
  readonly hosts?: readonly string[];
  readonly usages: readonly ('server' | 'client')[];
  readonly nowMs: number;
}

const algorithm = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' };
const dayMs = 86_400_000;
const caLifeMs = 3650 * dayMs;
const leafLifeMs = 365 * dayMs;
/** Clocks of hosts differ: a certificate is valid from a while ago. */
const backdateMs = 300_000;

/** A new self-signed certificate authority. */
export async function createAuthority(commonName: string, nowMs: number): Promise<KeyPair> {
  const x509 = await loadX509();
  const keys = await webcrypto.subtle.generateKey(algorithm, true, ['sign', 'verify']);
  const certPem = await signAuthority(new x509.Name([{ CN: [commonName] }]), keys, nowMs);
  return { certPem, keyPem: keyPemOf(keys.privateKey) };
}

async function signAuthority(
  name: X509Module.Name,
  keys: webcrypto.CryptoKeyPair,
  nowMs: number,
): Promise<string> {
  const x509 = await loadX509();
  const usage =
    x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign | x509.KeyUsageFlags.digitalSignature;
  const certificate = await x509.X509CertificateGenerator.createSelfSigned({
    serialNumber: serialNumber(),
    name: name.toString(),
    notBefore: new Date(nowMs - backdateMs),
    notAfter: new Date(nowMs + caLifeMs),
    signingAlgorithm: algorithm,
    keys,
    extensions: [
      new x509.BasicConstraintsExtension(true, undefined, true),
      new x509.KeyUsagesExtension(usage, true),
      await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
    ],
  });
  return `${certificate.toString('pem')}\n`;
}

/**
 * The authority again with its own key and name, for another ten years: what it signed stays good, and those who know the old
 * certificate believe what is signed from now on.
 */
export async function renewAuthority(authority: KeyPair, nowMs: number): Promise<KeyPair> {
  const x509 = await loadX509();
  const spki = createPublicKey(authority.certPem).export({ type: 'spki', format: 'der' });
  const publicKey = await webcrypto.subtle.importKey('spki', spki, algorithm, true, ['verify']);
  const keys = { privateKey: await importKey(authority.keyPem), publicKey };
  const certPem = await signAuthority(new x509.X509Certificate(authority.certPem).subjectName, keys, nowMs);
  return { certPem, keyPem: authority.keyPem };
}

/** Whether an authority should be renewed: it signed itself, and outlives what it signs no more. */
export function isAuthorityOld(authority: KeyPair, nowMs: number): boolean {
  const certificate = new X509Certificate(authority.certPem);
  return certificate.subject === certificate.issuer && certificate.validToDate.getTime() - nowMs < leafLifeMs;
}

/** A new certificate with a new key, signed by the authority. */
export async function issueCertificate(authority: KeyPair, request: CertificateRequest): Promise<KeyPair> {
  const keys = await webcrypto.subtle.generateKey(algorithm, true, ['sign', 'verify']);
  const certPem = await signPublicKey(authority, keys.publicKey, request);
  return { certPem, keyPem: keyPemOf(keys.privateKey) };
}

async function signPublicKey(
  authority: KeyPair,
  publicKey: webcrypto.CryptoKey,
  request: CertificateRequest,
): Promise<string> {
  const x509 = await loadX509();
  const issuer = new x509.X509Certificate(authority.certPem);
  const signingKey = await importKey(authority.keyPem);
  const purposes = { server: x509.ExtendedKeyUsage.serverAuth, client: x509.ExtendedKeyUsage.clientAuth };
  const { organizations = [], hosts = [], nowMs } = request;
  const certificate = await x509.X509CertificateGenerator.create({
    serialNumber: serialNumber(),
    subject: [...organizations.map((name) => ({ O: [name] })), { CN: [request.commonName] }],
    issuer: issuer.subjectName,
    notBefore: new Date(nowMs - backdateMs),
    notAfter: new Date(Math.min(nowMs + leafLifeMs, issuer.notAfter.getTime())),
    signingAlgorithm: algorithm,
    publicKey,
    signingKey,
    extensions: [
      new x509.BasicConstraintsExtension(false, undefined, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
      new x509.ExtendedKeyUsageExtension(request.usages.map((usage) => purposes[usage])),
      await x509.AuthorityKeyIdentifierExtension.create(issuer),
      ...(hosts.length === 0 ? [] : [new x509.SubjectAlternativeNameExtension(hosts.map(generalName))]),
    ],
  });
  return `${certificate.toString('pem')}\n`;
}

/** A certificate is renewed when it has no longer left. */
export const renewBeforeMs: number = 30 * dayMs;

/** Whether the pair can serve for the hosts for a while yet, and is of the authority. */
export function isUsable(
  pair: KeyPair,
  authority: KeyPair,
  hosts: readonly string[],
  nowMs: number,
): boolean {
  const certificate = new X509Certificate(pair.certPem);
  const issuer = new X509Certificate(authority.certPem);
  const isFresh = certificate.validToDate.getTime() - nowMs > renewBeforeMs;
  const covers = (host: string): boolean =>
    (isAddress(host) ? certificate.checkIP(host) : certificate.checkHost(host)) !== undefined;
  // Renewed key first, certificate last: cut off between, they are not of each other.
  const isPair = certificate.checkPrivateKey(createPrivateKey(pair.keyPem));
  return isFresh && isPair && certificate.verify(issuer.publicKey) && hosts.every(covers);
}

let loaded: Promise<typeof X509Module> | undefined;

/** Loaded when first needed: a restart that finds its certificates on disk never pays for it. */
function loadX509(): Promise<typeof X509Module> {
  loaded ??= (async () => {
    await import('reflect-metadata'); // The module asks for its metadata API while it loads.
    const x509 = await import('@peculiar/x509');
    x509.cryptoProvider.set(webcrypto as Crypto);
    return x509;
  })();
  return loaded;
}

function generalName(host: string): { readonly type: 'ip' | 'dns'; readonly value: string } {
  return { type: isAddress(host) ? 'ip' : 'dns', value: host };
}

function isAddress(host: string): boolean {
  return familyOfIp(host) !== undefined;
}

function importKey(keyPem: string): Promise<webcrypto.CryptoKey> {
  const pkcs8 = createPrivateKey(keyPem).export({ type: 'pkcs8', format: 'der' });
  return webcrypto.subtle.importKey('pkcs8', pkcs8, algorithm, false, ['sign']);
}

function keyPemOf(key: webcrypto.CryptoKey): string {
  return KeyObject.from(key).export({ type: 'pkcs8', format: 'pem' }).toString();
}

/** 127 random bits: positive, as RFC 5280 4.1.2.2 asks. */
function serialNumber(): string {
  const bytes = randomBytes(16);
  bytes[0] = ((bytes[0] ?? 0) & 0x7f) | 0x01;
  return bytes.toString('hex');
}
