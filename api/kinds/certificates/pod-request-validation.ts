/** What a request for the certificate of a pod must say (kubernetes pkg/apis/certificates/validation, of 1.36). Pure. */
import { constants, createPublicKey, verify, type KeyObject } from 'node:crypto';
import {
  invalidField,
  invalidHidden,
  requiredField,
  tooLongField,
  type FieldError,
} from '#api/errors/field-error.ts';
import type { JsonObject } from '#api/meta/object.ts';
import { objectOf, stringOf } from '#api/wire/json.ts';
import { when } from '#api/validation/field.ts';
import { dnsSubdomain, formatErrors } from '#api/validation/format.ts';
import { signerNameErrors } from './signer-name.ts';
import { keyOfRequest, signingRequestFault } from './signing-request.ts';

const uidBytesMax = 128;
const [secondsMin, daySeconds, secondsMax] = [3_600, 86_400, 91 * 86_400];
const [keyBytesMax, requestBytesMax] = [10 * 1024, 10 * 1024];
const names = ['podName', 'serviceAccountName', 'nodeName'] as const;
const uids = ['podUID', 'serviceAccountUID', 'nodeUID'] as const;

/** Complaints about a new request. */
export function validatePodRequest(request: JsonObject): readonly FieldError[] {
  const spec = objectOf(request['spec']);
  const signer = stringOf(spec['signerName']);
  const seconds = spec['maxExpirationSeconds'];
  const most = signer.startsWith('kubernetes.io/') ? daySeconds : secondsMax;
  return [
    ...signerNameErrors(signer, 'spec.signerName'),
    ...names.flatMap((field) => formatErrors(`spec.${field}`, stringOf(spec[field]), dnsSubdomain)),
    ...uids.flatMap((field) => uidErrors(`spec.${field}`, stringOf(spec[field]))),
    ...when(typeof seconds !== 'number' || seconds < secondsMin || seconds > most, () =>
      invalidField('spec.maxExpirationSeconds', seconds, `must be in the range [${secondsMin}, ${most}]`),
    ),
    ...keyErrors(spec),
  ];
}

function uidErrors(field: string, uid: string): readonly FieldError[] {
  if (uid === '') return [invalidField(field, uid, 'must not be empty')];
  return when(Buffer.byteLength(uid) > uidBytesMax, () => tooLongField(field, uidBytesMax));
}

/** One of the two ways to show a key: a request that it signed, or itself and the pod's uid signed by it. */
function keyErrors(spec: JsonObject): readonly FieldError[] {
  const [stub, key, proof] = ['stubPKCS10Request', 'pkixPublicKey', 'proofOfPossession'].map((field) =>
    Buffer.from(stringOf(spec[field]), 'base64'),
  ) as [Buffer, Buffer, Buffer];
  const [stubField, keyField, proofField] = [
    'spec.stubPKCS10Request',
    'spec.pkixPublicKey',
    'spec.proofOfPossession',
  ];
  if (stub.length > 0) {
    if (key.length > 0 || proof.length > 0)
      return [invalidHidden(stubField, 'must not be set beside pkixPublicKey and proofOfPossession')];
    if (stub.length > requestBytesMax) return [tooLongField(stubField, requestBytesMax)];
    const fault = signingRequestFault(pemOf(stub));
    return fault === undefined
      ? keyKindErrors(stubField, spec['stubPKCS10Request'], keyOfRequest(pemOf(stub)))
      : [invalidHidden(stubField, fault)];
  }
  if (key.length === 0) return [requiredField(stubField)];
  if (key.length > keyBytesMax) return [tooLongField(keyField, keyBytesMax)];
  if (proof.length > keyBytesMax) return [tooLongField(proofField, keyBytesMax)];
  const read = publicKeyOf(key);
  const errors = keyKindErrors(keyField, spec['pkixPublicKey'], read);
  if (errors.length > 0 || read === undefined) return errors;
  return isSigned(read, Buffer.from(stringOf(spec['podUID'])), proof)
    ? []
    : [invalidHidden(proofField, 'could not verify proof-of-possession signature')];
}

function pemOf(der: Buffer): string {
  return `-----BEGIN CERTIFICATE REQUEST-----\n${der.toString('base64')}\n-----END CERTIFICATE REQUEST-----\n`;
}

function publicKeyOf(der: Buffer): KeyObject | undefined {
  try {
    return createPublicKey({ key: der, format: 'der', type: 'spki' });
  } catch (error) {
    if (error instanceof Error) return undefined;
    throw error;
  }
}

const curves: ReadonlySet<string | undefined> = new Set(['prime256v1', 'secp384r1', 'secp521r1']);
const moduli: ReadonlySet<number | undefined> = new Set([3072, 4096]);

function keyKindErrors(field: string, given: unknown, key: KeyObject | undefined): readonly FieldError[] {
  if (key === undefined) return [invalidField(field, given, 'must be a valid PKIX-serialized public key')];
  const { namedCurve, modulusLength } = key.asymmetricKeyDetails ?? {};
  switch (key.asymmetricKeyType) {
    case 'ed25519':
      return [];
    case 'ec':
      return when(!curves.has(namedCurve), () =>
        invalidField(field, `curve ${namedCurve ?? ''}`, 'elliptic public keys must use curve P256 or P384'),
      );
    case 'rsa':
      return when(!moduli.has(modulusLength), () =>
        invalidField(
          field,
          `${modulusLength ?? 0}-bit modulus`,
          'RSA keys must have modulus size 3072 or 4096',
        ),
      );
    default:
      return [
        invalidField(field, given, 'unknown public key type; supported types are Ed25519, ECDSA, and RSA'),
      ];
  }
}

function isSigned(key: KeyObject, data: Buffer, signature: Buffer): boolean {
  const hash = key.asymmetricKeyType === 'ed25519' ? null : 'sha256';
  const padding =
    key.asymmetricKeyType === 'rsa'
      ? { padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: constants.RSA_PSS_SALTLEN_AUTO }
      : {};
  return verify(hash, data, { key, ...padding }, signature);
}

/** The key that the spec of a request without a fault shows. */
export function keyAsked(spec: JsonObject): KeyObject | undefined {
  const stub = Buffer.from(stringOf(spec['stubPKCS10Request']), 'base64');
  if (stub.length > 0) return keyOfRequest(pemOf(stub));
  return publicKeyOf(Buffer.from(stringOf(spec['pkixPublicKey']), 'base64'));
}
