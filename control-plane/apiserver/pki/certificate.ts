import {
  createPrivateKey,
  createPublicKey,
  generateKeyPair,
  KeyObject,
  randomBytes,
  webcrypto,
  X509Certificate,
} from 'node:crypto';
import { promisify } from 'node:util';
import type * as X509Module from '@peculiar/x509';
import { familyOfIp } from '#base/ip.ts';
import {
  authorityExtensions,
  encodeCertificate,
  encodeName,
  issuerFactsOf,
  leafExtensions,
} from './encode-certificate.ts';

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

/** What keys of ours are, and how they sign. */
export const algorithm = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' } as const;
const dayMs = 86_400_000;
const caLifeMs = 3650 * dayMs;
/** How long what an authority signs is good for, where nothing shorter was asked for. */
export const leafLifeMs: number = 365 * dayMs;
/** Clocks of hosts differ: a certificate is valid from a while ago. */
export const backdateMs = 300_000;

/** A new self-signed certificate authority. */
export async function createAuthority(commonName: string, nowMs: number): Promise<KeyPair> {
  const { publicKey, privateKey } = await newKeys();
  const certPem = signAuthority(encodeName(commonName), { publicKey, privateKey }, nowMs);
  return { certPem, keyPem: pkcs8Of(privateKey) };
}

interface Keys {
  readonly publicKey: KeyObject;
  readonly privateKey: KeyObject;
}

function newKeys(): Promise<Keys> {
  return promisify(generateKeyPair)('ec', { namedCurve: algorithm.namedCurve });
}

function signAuthority(name: Uint8Array, { publicKey, privateKey }: Keys, nowMs: number): string {
  const content = {
    ...{ serial: serialBytes(), issuer: name, subject: name, publicKey },
    ...{ notBeforeMs: nowMs - backdateMs, notAfterMs: nowMs + caLifeMs },
    extensions: authorityExtensions(publicKey),
  };
  return encodeCertificate(content, privateKey);
}

/**
 * The authority again with its own key and name, for another ten years: what it signed stays good, and those who know the old
 * certificate believe what is signed from now on.
 */
export async function renewAuthority(authority: KeyPair, nowMs: number): Promise<KeyPair> {
  const publicKey = createPublicKey(authority.certPem);
  const privateKey = createPrivateKey(authority.keyPem);
  const { name } = issuerFactsOf(authority.certPem);
  const certPem = signAuthority(name, { publicKey, privateKey }, nowMs);
  return { certPem, keyPem: authority.keyPem };
}

/** Whether an authority should be renewed: it signed itself, and outlives what it signs no more. */
export function isAuthorityOld(authority: KeyPair, nowMs: number): boolean {
  const certificate = new X509Certificate(authority.certPem);
  return certificate.subject === certificate.issuer && certificate.validToDate.getTime() - nowMs < leafLifeMs;
}

/** A new certificate with a new key, signed by the authority. */
export async function issueCertificate(authority: KeyPair, request: CertificateRequest): Promise<KeyPair> {
  const { publicKey, privateKey } = await newKeys();
  const { commonName, organizations, hosts = [], usages, nowMs } = request;
  const issuer = issuerFactsOf(authority.certPem);
  const content = {
    ...{ serial: serialBytes(), issuer: issuer.name, publicKey },
    subject: encodeName(commonName, organizations),
    notBeforeMs: nowMs - backdateMs,
    notAfterMs: Math.min(nowMs + leafLifeMs, issuer.notAfterMs),
    extensions: leafExtensions({ usedFor: usages, hosts, issuerKeyId: issuer.keyId }),
  };
  const certPem = encodeCertificate(content, createPrivateKey(authority.keyPem));
  return { certPem, keyPem: pkcs8Of(privateKey) };
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

/** What limits an authority in whom it may vouch for (RFC 5280, 4.2.1.9 and 4.2.1.10). */
export async function constraintsOf(
  certificate: X509Certificate,
): Promise<{ readonly pathLength: number | undefined; readonly hasNames: boolean }> {
  const x509 = await loadX509();
  const parsed = new x509.X509Certificate(certificate.raw);
  return {
    pathLength: parsed.getExtension(x509.BasicConstraintsExtension)?.pathLength,
    hasNames: parsed.getExtension('2.5.29.30') !== null,
  };
}

let loaded: Promise<typeof X509Module> | undefined;

/** Loaded when first needed: to sign what others ask for. Its own certificates a server encodes without. */
export function loadX509(): Promise<typeof X509Module> {
  loaded ??= (async () => {
    await import('reflect-metadata'); // The module asks for its metadata API while it loads.
    const x509 = await import('@peculiar/x509');
    x509.cryptoProvider.set(webcrypto as Crypto);
    return x509;
  })();
  return loaded;
}

/** How a name or an address stands in a certificate. */
export function generalName(host: string): { readonly type: 'ip' | 'dns'; readonly value: string } {
  return { type: isAddress(host) ? 'ip' : 'dns', value: host };
}

function isAddress(host: string): boolean {
  return familyOfIp(host) !== undefined;
}

/** A private key of ours, to sign with. */
export function importKey(keyPem: string): Promise<webcrypto.CryptoKey> {
  const pkcs8 = createPrivateKey(keyPem).export({ type: 'pkcs8', format: 'der' });
  return webcrypto.subtle.importKey('pkcs8', pkcs8, algorithm, false, ['sign']);
}

export function keyPemOf(key: webcrypto.CryptoKey): string {
  return pkcs8Of(KeyObject.from(key));
}

function pkcs8Of(key: KeyObject): string {
  return key.export({ type: 'pkcs8', format: 'pem' }).toString();
}

/** 127 random bits: positive, as RFC 5280 4.1.2.2 asks. */
export function serialNumber(): string {
  return serialBytes().toString('hex');
}

function serialBytes(): Buffer {
  const bytes = randomBytes(16);
  bytes[0] = ((bytes[0] ?? 0) & 0x7f) | 0x01;
  return bytes;
}
