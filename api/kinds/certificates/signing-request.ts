import { constants, createPublicKey, verify, type KeyObject } from 'node:crypto';
import { derElements, derTags, firstDerElement, oidText, type DerElement } from './der.ts';
import { pemBlocks } from './pem.ts';

const notPem = 'PEM block type must be CERTIFICATE REQUEST';
const truncated = 'asn1: syntax error: data truncated';
const notRequest = "asn1: structure error: tags don't match";

interface SignatureAlgorithm {
  readonly hash: string | undefined;
  readonly scheme: 'RSA' | 'PSS' | 'ECDSA' | 'Ed25519';
}

/** RFC 8017 A.2.4, RFC 5758, RFC 8410. */
const algorithms: ReadonlyMap<string, SignatureAlgorithm> = new Map([
  ['1.2.840.113549.1.1.11', { hash: 'sha256', scheme: 'RSA' }],
  ['1.2.840.113549.1.1.12', { hash: 'sha384', scheme: 'RSA' }],
  ['1.2.840.113549.1.1.13', { hash: 'sha512', scheme: 'RSA' }],
  ['1.2.840.113549.1.1.10', { hash: undefined, scheme: 'PSS' }],
  ['1.2.840.10045.4.3.2', { hash: 'sha256', scheme: 'ECDSA' }],
  ['1.2.840.10045.4.3.3', { hash: 'sha384', scheme: 'ECDSA' }],
  ['1.2.840.10045.4.3.4', { hash: 'sha512', scheme: 'ECDSA' }],
  ['1.3.101.112', { hash: undefined, scheme: 'Ed25519' }],
]);
const insecure: ReadonlyMap<string, string> = new Map([
  ['1.2.840.113549.1.1.4', 'MD5-RSA'],
  ['1.2.840.113549.1.1.5', 'SHA1-RSA'],
  ['1.2.840.10045.4.1', 'ECDSA-SHA1'],
]);
/** The parameters of RSASSA-PSS name their hash (RFC 4055). */
const pssHashes: ReadonlyMap<string, string> = new Map([
  ['2.16.840.1.101.3.4.2.1', 'sha256'],
  ['2.16.840.1.101.3.4.2.2', 'sha384'],
  ['2.16.840.1.101.3.4.2.3', 'sha512'],
]);
const failures: Readonly<Record<SignatureAlgorithm['scheme'], string>> = {
  RSA: 'crypto/rsa: verification error',
  PSS: 'crypto/rsa: verification error',
  ECDSA: 'x509: ECDSA verification failure',
  Ed25519: 'x509: Ed25519 verification failure',
};

/**
 * What is wrong with a PKCS #10 request in PEM (RFC 2986), whose signature its own key must have made; undefined: nothing. Texts are
 * those of Go's crypto/x509, but for the details of ASN.1.
 */
export function signingRequestFault(pem: string): string | undefined {
  const [block] = pemBlocks(pem);
  if (block === undefined || block.type !== 'CERTIFICATE REQUEST') return notPem;
  const outer = firstDerElement(block.bytes);
  if (outer === undefined) return truncated;
  if (outer.whole.length < block.bytes.length) return 'asn1: syntax error: trailing data';
  const [info, algorithm, signature] = childrenOf(outer);
  const [, , publicKey] = childrenOf(info);
  const shapes = [info, algorithm, publicKey].every((part) => part?.tag === derTags.sequence);
  if (!shapes || signature?.tag !== derTags.bitString || info === undefined) return notRequest;
  const key = keyOf(publicKey);
  if (key === undefined) return 'x509: unsupported public key';
  return signatureFault({ signed: info.whole, signature: signature.content.subarray(1), key }, algorithm);
}

/** The key that a request without a fault is of; undefined: it is none of those that Node knows. */
export function keyOfRequest(pem: string): KeyObject | undefined {
  const [block] = pemBlocks(pem);
  const [info] = childrenOf(block === undefined ? undefined : firstDerElement(block.bytes));
  const [, , publicKey] = childrenOf(info);
  return keyOf(publicKey);
}

/** The organizations that a request without a fault names as its subject's (RFC 5280, id-at-organizationName): groups, to Kubernetes. */
export function organizationsOf(pem: string): readonly string[] {
  const [block] = pemBlocks(pem);
  const outer = block === undefined ? undefined : firstDerElement(block.bytes);
  const [info] = childrenOf(outer);
  const [, subject] = childrenOf(info);
  return childrenOf(subject)
    .flatMap((set) => derElements(set.content) ?? [])
    .flatMap((attribute) => {
      const [type, value] = childrenOf(attribute);
      const isOrganization = type?.tag === derTags.oid && oidText(type.content) === organizationName;
      return isOrganization && value !== undefined ? [textOf(value)] : [];
    });
}

const organizationName = '2.5.4.10';
const bmpString = 0x1e;

function textOf({ tag, content }: DerElement): string {
  return tag === bmpString && content.length % 2 === 0
    ? Buffer.from(content).swap16().toString('utf16le')
    : Buffer.from(content).toString('utf8');
}

function childrenOf(element: DerElement | undefined): readonly DerElement[] {
  return element?.tag === derTags.sequence ? (derElements(element.content) ?? []) : [];
}

function keyOf(publicKey: DerElement | undefined): KeyObject | undefined {
  if (publicKey === undefined) return undefined;
  try {
    return createPublicKey({ key: Buffer.from(publicKey.whole), format: 'der', type: 'spki' });
  } catch (error) {
    if (error instanceof Error) return undefined;
    throw error;
  }
}

function signatureFault(
  {
    signed,
    signature,
    key,
  }: { readonly signed: Uint8Array; readonly signature: Uint8Array; readonly key: KeyObject },
  algorithm: DerElement | undefined,
): string | undefined {
  const [name, parameters] = childrenOf(algorithm);
  const oid = name === undefined ? '' : oidText(name.content);
  const weak = insecure.get(oid);
  if (weak !== undefined) return `x509: cannot verify signature: insecure algorithm ${weak}`;
  const found = algorithms.get(oid);
  const hash = found?.scheme === 'PSS' ? pssHashOf(parameters) : found?.hash;
  if (found === undefined || (hash === undefined && found.scheme !== 'Ed25519')) {
    return 'x509: cannot verify signature: algorithm unimplemented';
  }
  const padding =
    found.scheme === 'PSS'
      ? { padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: constants.RSA_PSS_SALTLEN_AUTO }
      : {};
  return isSigned() ? undefined : failures[found.scheme];

  function isSigned(): boolean {
    try {
      return verify(hash, signed, { key, ...padding }, signature);
    } catch (error) {
      // A key of another kind than the algorithm.
      if (error instanceof Error) return false;
      throw error;
    }
  }
}

function pssHashOf(parameters: DerElement | undefined): string | undefined {
  const [first] = childrenOf(parameters);
  if (first?.tag !== derTags.context0) return undefined;
  const [identifier] = derElements(first.content) ?? [];
  const [oid] = childrenOf(identifier);
  return oid === undefined ? undefined : pssHashes.get(oidText(oid.content));
}
