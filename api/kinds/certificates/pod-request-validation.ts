/** What a request for the certificate of a pod must say, and what its signer (kubernetes pkg/apis/certificates/validation, of 1.36). Pure. */
import { constants, createPublicKey, verify, X509Certificate, type KeyObject } from 'node:crypto';
import {
  invalidField,
  invalidHidden,
  notSupportedField,
  requiredField,
  tooLongField,
  type FieldError,
} from '#api/errors/field-error.ts';
import type { JsonObject } from '#api/meta/object.ts';
import { at, equalJson, objectOf, objectsOf, stringOf } from '#api/wire/json.ts';
import { when } from '#api/validation/field.ts';
import { dnsSubdomain, formatErrors } from '#api/validation/format.ts';
import { conditionErrors } from '#api/validation/parts/conditions.ts';
import { pemBlocks } from './pem.ts';
import { signerNameErrors } from './signer-name.ts';
import { keyOfRequest, signingRequestFault } from './signing-request.ts';

const uidBytesMax = 128;
const [secondsMin, daySeconds, secondsMax] = [3_600, 86_400, 91 * 86_400];
const [keyBytesMax, requestBytesMax, chainBytesMax] = [10 * 1024, 10 * 1024, 100 * 1024];
const tenMinutesMs = 600_000;
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
      ? keyKindErrors(stubField, keyOfRequest(pemOf(stub)))
      : [invalidHidden(stubField, fault)];
  }
  if (key.length === 0) return [requiredField(stubField)];
  if (key.length > keyBytesMax) return [tooLongField(keyField, keyBytesMax)];
  if (proof.length > keyBytesMax) return [tooLongField(proofField, keyBytesMax)];
  const read = publicKeyOf(key);
  const errors = keyKindErrors(keyField, read);
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

function keyKindErrors(field: string, key: KeyObject | undefined): readonly FieldError[] {
  if (key === undefined) return [invalidHidden(field, 'must be a valid PKIX-serialized public key')];
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
      return [invalidHidden(field, 'unknown public key type; supported types are Ed25519, ECDSA, and RSA')];
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

const verdicts = ['Issued', 'Denied', 'Failed'];

/** Complaints about what a signer writes: one verdict, once; with a certificate of the request's key where it is Issued. */
export function validateIssue(old: JsonObject, request: JsonObject): readonly FieldError[] {
  const status = objectOf(request['status']);
  const conditions = objectsOf(status['conditions']);
  const errors = [...conditions.flatMap(verdictErrors), ...conditionErrors(request)];
  if (errors.length > 0) return errors;
  if (verdictOf(old) !== undefined)
    return when(!equalJson(status, objectOf(old['status'])), () =>
      invalidHidden('status', 'immutable after PodCertificateRequest is issued, denied, or failed'),
    );
  const { conditions: _conditions, ...rest } = status;
  switch (verdictOf(request)) {
    case 'Issued':
      return issueErrors(status, objectOf(old['spec']));
    case undefined:
      return when(Object.keys(rest).length > 0, () =>
        invalidHidden('status', 'non-condition status fields must be empty before the request is issued'),
      );
    default:
      return when(Object.keys(rest).length > 0, () =>
        invalidHidden(
          'status',
          'non-condition status fields must be empty when denying or failing the PodCertificateRequest',
        ),
      );
  }
}

function verdictOf(request: JsonObject): string | undefined {
  const types = objectsOf(at(request, 'status.conditions')).map(({ type }) => stringOf(type));
  return types.find((type) => verdicts.includes(type));
}

function verdictErrors(
  { type, status }: JsonObject,
  index: number,
  all: readonly JsonObject[],
): readonly FieldError[] {
  const path = `status.conditions[${index}]`;
  const isKnown = verdicts.includes(stringOf(type));
  if (!isKnown) return [notSupportedField(`${path}.type`, type, verdicts)];
  const isSecond = all.slice(0, index).some((before) => verdicts.includes(stringOf(before['type'])));
  return [
    ...when(isSecond, () =>
      invalidField(
        `${path}.type`,
        type,
        'There may be at most one condition with type "Issued", "Denied", or "Failed"',
      ),
    ),
    ...when(status !== 'True', () => notSupportedField(`${path}.status`, status, ['True'])),
  ];
}

const chainField = 'status.certificateChain';

function issueErrors(status: JsonObject, spec: JsonObject): readonly FieldError[] {
  const chain = stringOf(status['certificateChain']);
  if (Buffer.byteLength(chain) > chainBytesMax) return [tooLongField(chainField, chainBytesMax)];
  const [leaf, fault] = leafOf(chain);
  if (leaf === undefined) return [invalidHidden(chainField, fault)];
  const key = keyAsked(spec);
  if (key === undefined || !leaf.publicKey.equals(key))
    return [invalidHidden(chainField, 'leaf certificate was not issued to the requested public key')];
  return timeErrors(status, { leaf, spec });
}

function keyAsked(spec: JsonObject): KeyObject | undefined {
  const stub = Buffer.from(stringOf(spec['stubPKCS10Request']), 'base64');
  if (stub.length > 0) return keyOfRequest(pemOf(stub));
  return publicKeyOf(Buffer.from(stringOf(spec['pkixPublicKey']), 'base64'));
}

type Leaf = readonly [X509Certificate, ''] | readonly [undefined, string];

function leafOf(chain: string): Leaf {
  const blocks = pemBlocks(chain);
  const [first] = blocks;
  if (first === undefined)
    return [undefined, 'issued certificate chain must contain at least one certificate'];
  if (blocks.some(({ type }) => type !== 'CERTIFICATE'))
    return [undefined, 'issued certificate chain must consist entirely of CERTIFICATE PEM blocks'];
  try {
    return [new X509Certificate(first.bytes), ''];
  } catch (error) {
    if (error instanceof Error) return [undefined, 'leaf certificate does not parse as valid X.509'];
    throw error;
  }
}

function timeErrors(
  status: JsonObject,
  { leaf, spec }: { readonly leaf: X509Certificate; readonly spec: JsonObject },
): readonly FieldError[] {
  const consistent = 'must be present and consistent with the issued certificate';
  const missing = [
    ['notBefore', consistent],
    ['notAfter', consistent],
    ['beginRefreshAt', 'must be present and in the range [notbefore+10min, notafter-10min]'],
  ].flatMap(([field = '', why = '']) =>
    typeof status[field] === 'string' ? [] : [requiredField(`status.${field}`, why)],
  );
  if (missing.length > 0) return missing;
  const [from, to, refresh] = ['notBefore', 'notAfter', 'beginRefreshAt'].map((field) =>
    Date.parse(stringOf(status[field])),
  ) as [number, number, number];
  const wrong = (field: string, why: string): FieldError => invalidField(field, status[field.slice(7)], why);
  if (from !== Date.parse(leaf.validFrom))
    return [wrong('status.notBefore', 'must be set to the NotBefore time encoded in the leaf certificate')];
  if (to !== Date.parse(leaf.validTo))
    return [wrong('status.notAfter', 'must be set to the NotAfter time encoded in the leaf certificate')];
  const seconds = (to - from) / 1000;
  if (seconds < secondsMin) return [invalidHidden(chainField, 'leaf certificate lifetime must be >= 1 hour')];
  const most = Number(spec['maxExpirationSeconds']);
  if (seconds > most)
    return [
      invalidHidden(chainField, `leaf certificate lifetime must be <= spec.maxExpirationSeconds (${most})`),
    ];
  if (refresh < from + tenMinutesMs)
    return [wrong('status.beginRefreshAt', 'must be at least 10 minutes after status.notBefore')];
  return when(refresh > to - tenMinutesMs, () =>
    wrong('status.beginRefreshAt', 'must be at least 10 minutes before status.notAfter'),
  );
}
