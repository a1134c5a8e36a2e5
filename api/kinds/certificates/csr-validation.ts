import { X509Certificate } from 'node:crypto';
import {
  duplicateField,
  forbiddenField,
  invalidField,
  notSupportedField,
  requiredField,
  type FieldError,
} from '#api/errors/field-error.ts';
import type { JsonObject } from '#api/meta/object.ts';
import { at, equalJson, listOf, objectOf, objectsOf, stringOf } from '#api/wire/json.ts';
import { givenChoiceErrors, repeatedErrors, when } from '#api/validation/field.ts';
import { pemBlocks } from './pem.ts';
import { signerNameErrors } from './signer-name.ts';
import { signingRequestFault } from './signing-request.ts';

const usageChoices = [
  'any',
  'cert sign',
  'client auth',
  'code signing',
  'content commitment',
  'crl sign',
  'data encipherment',
  'decipher only',
  'digital signature',
  'email protection',
  'encipher only',
  'ipsec end system',
  'ipsec tunnel',
  'ipsec user',
  'key agreement',
  'key encipherment',
  'microsoft sgc',
  'netscape sgc',
  'ocsp signing',
  's/mime',
  'server auth',
  'signing',
  'timestamping',
];
const legacySigner = 'kubernetes.io/legacy-unknown';
const secondsMin = 600;
const statuses = ['False', 'True', 'Unknown'];
/** Conditions that cannot be taken back, nor be there and not be so. */
const finalTypes = ['Approved', 'Denied', 'Failed'];
const verdicts = ['Approved', 'Denied'];

/** Complaints about a CertificateSigningRequest (kubernetes pkg/apis/certificates/validation). */
export function validateSigningRequest(csr: JsonObject): readonly FieldError[] {
  const spec = objectOf(csr['spec']);
  const { request, expirationSeconds: seconds } = spec;
  const usages = listOf(spec['usages']);
  const signer = stringOf(spec['signerName']);
  const usageField = (index: number): string => `spec.usages[${index}]`;
  const fault = signingRequestFault(Buffer.from(stringOf(request), 'base64').toString('latin1'));
  return [
    ...(fault === undefined ? [] : [invalidField('spec.request', request, fault)]),
    ...when(usages.length === 0, () => requiredField('spec.usages')),
    ...usages.flatMap((usage, index) => givenChoiceErrors(usageField(index), usage, usageChoices)),
    ...repeatedErrors(usages, usageField),
    ...(signer === legacySigner
      ? [invalidField('spec.signerName', signer, 'the legacy signerName is not allowed via this API version')]
      : signerNameErrors(signer, 'spec.signerName')),
    ...when(typeof seconds === 'number' && seconds < secondsMin, () =>
      invalidField(
        'spec.expirationSeconds',
        seconds,
        `may not specify a duration less than ${secondsMin} seconds (10 minutes)`,
      ),
    ),
  ];
}

/** Complaints about what an approval or a denial writes. */
export function validateApproval(old: JsonObject, csr: JsonObject): readonly FieldError[] {
  return [...conditionErrors(old, csr), ...removalErrors(old, csr)];
}

/** Complaints about what a signer writes: it neither approves nor signs twice. */
export function validateSigningRequestStatus(old: JsonObject, csr: JsonObject): readonly FieldError[] {
  const certificate = stringOf(at(csr, 'status.certificate'));
  const before = stringOf(at(old, 'status.certificate'));
  const fault = certificate === before ? undefined : certificateFault(certificate);
  const added = verdicts.filter((type) => countOf(csr, type) > countOf(old, type));
  const modified = verdicts.filter(
    (type) =>
      countOf(csr, type) === countOf(old, type) &&
      !equalJson(conditionsOf(csr, type), conditionsOf(old, type)),
  );
  return [
    ...conditionErrors(old, csr),
    ...(fault === undefined ? [] : [invalidField('status.certificate', '<certificate data>', fault)]),
    ...removalErrors(old, csr),
    ...added.map((type) =>
      forbiddenField('status.conditions', `updates may not add a condition of type "${type}"`),
    ),
    ...modified.map((type) =>
      forbiddenField('status.conditions', `updates may not modify a condition of type "${type}"`),
    ),
    ...when(before !== '' && certificate !== before, () =>
      forbiddenField('status.certificate', 'updates may not modify existing certificate content'),
    ),
  ];
}

function conditionsOf(csr: JsonObject, type?: string): readonly JsonObject[] {
  const conditions = objectsOf(at(csr, 'status.conditions'));
  return type === undefined ? conditions : conditions.filter((condition) => condition['type'] === type);
}

function countOf(csr: JsonObject, type: string): number {
  return conditionsOf(csr, type).length;
}

function conditionErrors(old: JsonObject, csr: JsonObject): readonly FieldError[] {
  const hasBoth = (object: JsonObject): boolean => verdicts.every((type) => countOf(object, type) > 0);
  const types = conditionsOf(old).map(({ type }) => type);
  const mayRepeat = new Set(types).size < types.length;
  const seen = new Set<string>();
  const each = conditionsOf(csr).flatMap((condition, index) => {
    const path = `status.conditions[${index}]`;
    const type = stringOf(condition['type']);
    const status = stringOf(condition['status']);
    const choices = finalTypes.includes(type) ? ['True'] : statuses;
    const isRepeated = seen.has(type) && !mayRepeat;
    seen.add(type);
    return [
      ...when(type === '' && !types.includes(''), () => requiredField(`${path}.type`)),
      ...(status === ''
        ? [requiredField(`${path}.status`)]
        : when(!choices.includes(status), () => notSupportedField(`${path}.status`, status, choices))),
      ...when(isRepeated, () => duplicateField(`${path}.type`, type)),
    ];
  });
  const second = conditionsOf(csr).findLast(({ type }) => verdicts.includes(stringOf(type)));
  const exclusive = 'Approved and Denied conditions are mutually exclusive';
  return [
    ...each,
    ...when(hasBoth(csr) && !hasBoth(old), () =>
      invalidField('status.conditions', second?.['type'], exclusive),
    ),
  ];
}

function removalErrors(old: JsonObject, csr: JsonObject): readonly FieldError[] {
  return finalTypes
    .filter((type) => countOf(csr, type) < countOf(old, type))
    .map((type) =>
      forbiddenField('status.conditions', `updates may not remove a condition of type "${type}"`),
    );
}

/** What is wrong with issued certificates: base64 of PEM. */
function certificateFault(base64: string): string | undefined {
  if (base64 === '') return undefined;
  const blocks = pemBlocks(Buffer.from(base64, 'base64').toString('latin1'));
  if (blocks.length === 0) return 'must contain at least one CERTIFICATE PEM block';
  return blocks
    .map(({ type, hasHeaders, bytes }) => {
      if (type !== 'CERTIFICATE') {
        return `only CERTIFICATE PEM blocks are allowed, found ${JSON.stringify(type)}`;
      }
      if (hasHeaders) return 'no PEM block headers are permitted';
      if (bytes.length === 0) return 'found CERTIFICATE PEM block containing 0 certificates';
      return isCertificate(bytes) ? undefined : 'x509: malformed certificate';
    })
    .find((fault) => fault !== undefined);
}

function isCertificate(bytes: Uint8Array): boolean {
  try {
    return new X509Certificate(bytes).raw.length === bytes.length;
  } catch (error) {
    if (error instanceof Error) return false;
    throw error;
  }
}
