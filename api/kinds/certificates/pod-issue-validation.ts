/** What the signer of a pod's certificate may write (kubernetes pkg/apis/certificates/validation, of 1.36). Pure. */
import { X509Certificate } from 'node:crypto';
import {
  invalidField,
  invalidHidden,
  invalidStruct,
  notSupportedField,
  requiredField,
  tooLongField,
  type FieldError,
} from '#api/errors/field-error.ts';
import { formatDuration } from '#api/meta/duration.ts';
import type { JsonObject } from '#api/meta/object.ts';
import { at, equalJson, objectOf, objectsOf, stringOf } from '#api/wire/json.ts';
import { when } from '#api/validation/field.ts';
import { conditionErrors } from '#api/validation/parts/conditions.ts';
import { pemBlocks, type PemBlock } from './pem.ts';
import { keyAsked } from './pod-request-validation.ts';

const chainBytesMax = 100 * 1024;
const [hourMs, tenMinutesMs] = [3_600_000, 600_000];
const verdicts = ['Issued', 'Denied', 'Failed'];

/** Complaints about what a signer writes: one verdict, once; with a certificate of the request's key where it is Issued. */
export function validateIssue(old: JsonObject, request: JsonObject): readonly FieldError[] {
  const status = objectOf(request['status']);
  const conditions = objectsOf(status['conditions']);
  const errors = [...conditions.flatMap(verdictErrors), ...conditionErrors(request)];
  if (errors.length > 0) return errors;
  const isAsBefore = equalJson(status, objectOf(old['status']));
  if (verdictOf(old) !== undefined)
    return when(!isAsBefore, () =>
      invalidHidden('status', 'immutable after PodCertificateRequest is issued, denied, or failed'),
    );
  const { conditions: _conditions, ...rest } = status;
  switch (verdictOf(request)) {
    case 'Issued':
      return issueErrors(status, objectOf(old['spec']));
    case undefined:
      return when(!isAsBefore, () =>
        invalidHidden(
          'status',
          'status is immutable unless transitioning to "Issued", "Denied", or "Failed"',
        ),
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
  const path = `status.conditions.[${index}]`;
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

/** One complaint at a time, as kube-apiserver has it, but for the names of the certificate and for the times that are missing. */
function issueErrors(status: JsonObject, spec: JsonObject): readonly FieldError[] {
  const chain = stringOf(status['certificateChain']);
  const wrong = (why: string): FieldError => invalidField(chainField, chain, why);
  if (Buffer.byteLength(chain) > chainBytesMax) return [tooLongField(chainField, chainBytesMax)];
  const [first, ...others] = pemBlocks(chain);
  if (first === undefined) return [wrong('issued certificate chain must contain at least one certificate')];
  if (first.type !== 'CERTIFICATE')
    return [wrong('issued certificate chain must consist entirely of CERTIFICATE PEM blocks')];
  const leaf = certificateOf(first);
  if (leaf === undefined) return [wrong('leaf certificate does not parse as valid X.509')];
  const names = nameErrors(leaf);
  const key = keyAsked(spec);
  if (key === undefined || !leaf.publicKey.equals(key))
    return [...names, wrong('leaf certificate was not issued to the requested public key')];
  const errors = [...names, ...missingTimes(status)];
  if (errors.length > 0) return errors;
  const untimely = timeErrors(status, { leaf, spec });
  return untimely.length > 0
    ? untimely
    : others.flatMap((block) => intermediateErrors(block, wrong)).slice(0, 1);
}

function certificateOf({ bytes }: PemBlock): X509Certificate | undefined {
  try {
    return new X509Certificate(bytes);
  } catch (error) {
    if (error instanceof Error) return undefined;
    throw error;
  }
}

function intermediateErrors(block: PemBlock, wrong: (why: string) => FieldError): readonly FieldError[] {
  // The word is written so there.
  if (block.type !== 'CERTIFICATE')
    return [wrong('issued certificate chain must consist entirely of CERTFICATE PEM blocks')];
  return when(certificateOf(block) === undefined, () =>
    wrong('intermediate certificate does not parse as valid X.509'),
  );
}

/** A name of the certificate (RFC 5280, subjectAltName) as Node writes it, in quotes where it has a comma or a quote. */
const subjectName = /(\w[\w ]*):("(?:[^"\\]|\\.)*"|[^,]*)(?:, |$)/g;

function nameErrors({ subjectAltName = '' }: X509Certificate): readonly FieldError[] {
  const names = [...subjectAltName.matchAll(subjectName)].map(([, kind = '', text = '']) => ({ kind, text }));
  const of = (wanted: string): readonly string[] =>
    names.flatMap(({ kind, text }) => (kind === wanted ? [text] : []));
  return [
    ...of('DNS').flatMap(dnsNameErrors),
    ...of('email')
      .filter((address) => !/^[^@\s]+@[^@\s]+$/.test(address))
      .map((address) =>
        invalidField(chainField, address, 'leaf certificate should not contain invalid EmailAddress'),
      ),
  ];
}

function dnsNameErrors(name: string): readonly FieldError[] {
  const wrong = (why: string): FieldError => invalidField(chainField, name, why);
  return [
    ...when(name === '', () => wrong('leaf certificate should not contain empty DNSName')),
    ...when(name.includes('..'), () => wrong("leaf certificate's DNSName should not contain '..'")),
    ...when(name.startsWith('.') || name.endsWith('.'), () =>
      wrong("leaf certificate's DNSName should not start or end with '.'"),
    ),
  ];
}

function missingTimes(status: JsonObject): readonly FieldError[] {
  const consistent = 'must be present and consistent with the issued certificate';
  return [
    ['notBefore', consistent],
    ['notAfter', consistent],
    ['beginRefreshAt', 'must be present and in the range [notbefore+10min, notafter-10min]'],
  ].flatMap(([field = '', why = '']) =>
    typeof status[field] === 'string' ? [] : [requiredField(`status.${field}`, why)],
  );
}

function timeErrors(
  status: JsonObject,
  { leaf, spec }: { readonly leaf: X509Certificate; readonly spec: JsonObject },
): readonly FieldError[] {
  const [from, to, refresh] = ['notBefore', 'notAfter', 'beginRefreshAt'].map((field) =>
    Date.parse(stringOf(status[field])),
  ) as [number, number, number];
  const untimely = (field: string, ms: number, why: string): FieldError =>
    invalidStruct(`status.${field}`, goTime(ms), why);
  if (from !== Date.parse(leaf.validFrom))
    return [untimely('notBefore', from, 'must be set to the NotBefore time encoded in the leaf certificate')];
  if (to !== Date.parse(leaf.validTo))
    return [untimely('notAfter', to, 'must be set to the NotAfter time encoded in the leaf certificate')];
  const lives = (why: string): FieldError =>
    invalidStruct(chainField, formatDuration(to - from), `leaf certificate lifetime must be ${why}`);
  if (to - from < hourMs) return [lives('>= 1 hour')];
  const most = Number(spec['maxExpirationSeconds']);
  if (to - from > most * 1000) return [lives(`<= spec.maxExpirationSeconds (${most})`)];
  if (refresh < from + tenMinutesMs)
    return [untimely('beginRefreshAt', refresh, 'must be at least 10 minutes after status.notBefore')];
  return when(refresh > to - tenMinutesMs, () =>
    untimely('beginRefreshAt', refresh, 'must be at least 10 minutes before status.notAfter'),
  );
}

/** `2026-12-02 18:00:00 +0000 UTC`, as Go prints a time of the whole second. */
function goTime(ms: number): string {
  return `${new Date(ms).toISOString().slice(0, 19).replace('T', ' ')} +0000 UTC`;
}
