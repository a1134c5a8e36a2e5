import type { JsonObject } from '#api/meta/object.ts';
import { isObject, jsonKind, objectOf, stringOf } from '#api/wire/json.ts';
import { parseJsonStrict } from '#api/wire/parse-json.ts';
import { describeError } from '#base/errors.ts';
import type { ReviewVersion } from './hook.ts';

const group = 'admission.k8s.io';
const kind = 'AdmissionReview';

/** What a hook is asked (admission.k8s.io, v1 and v1beta1 alike). `request` is without its uid. */
export function renderReview(version: ReviewVersion, uid: string, request: JsonObject): JsonObject {
  return { kind, apiVersion: `${group}/${version}`, request: { uid, ...request } };
}

/** What a hook says. */
export interface Verdict {
  readonly isAllowed: boolean;
  /** Why not: a Status, perhaps of few words. */
  readonly status: JsonObject | undefined;
  /** The operations of a JSON patch, in bytes; none where there is nothing to change. */
  readonly patch: Buffer;
  readonly patchType: string;
  readonly warnings: readonly string[];
  readonly auditAnnotations: Readonly<Record<string, string>>;
}

/** A verdict, or why there is none. The reason begins with who found out: it could not be called, or what it said makes no sense. */
export type Reading =
  | { readonly verdict: Verdict }
  | { readonly verdict: undefined; readonly reason: string };

/** What an answer must be. */
export interface Expected {
  readonly version: ReviewVersion;
  readonly uid: string;
  /** Whether it may change the object. */
  readonly isMutating: boolean;
}

/** Reads the body of an answer with success, in the order, and with the words, of kube-apiserver. */
export function readReview(body: Buffer, contentType: string, expected: Expected): Reading {
  if (body.length === 0)
    return notCalled(`0-length response with status code: 200 and content type: ${contentType}`);
  let value: unknown;
  try {
    ({ value } = parseJsonStrict(body.toString('utf8')));
  } catch (error) {
    return notCalled(`couldn't get version/kind; json parse error: ${describeError(error)}`);
  }
  if (!isObject(value)) {
    const into =
      'struct { APIVersion string "json:\\"apiVersion,omitempty\\""; Kind string "json:\\"kind,omitempty\\"" }';
    return notCalled(
      `couldn't get version/kind; json parse error: json: cannot unmarshal ${jsonKind(value)} into Go value of type ${into}`,
    );
  }
  const other = otherKind(value, expected);
  if (other !== undefined) return notCalled(other);
  const misfit = misfitOf(value);
  if (misfit !== undefined) return notCalled(misfit);
  const problem = problemOf(value, expected);
  if (problem !== undefined)
    return { verdict: undefined, reason: `received invalid webhook response: ${problem}` };
  return { verdict: verdictOf(objectOf(value['response']), expected) };
}

function notCalled(why: string): Reading {
  return { verdict: undefined, reason: `failed to call webhook: ${why}` };
}

/** An answer that says it is something else. One that does not say what it is counts as what was asked, for now. */
function otherKind(value: JsonObject, { version }: Expected): string | undefined {
  const given = { apiVersion: stringOf(value['apiVersion']), kind: stringOf(value['kind']) };
  const apiVersion = given.apiVersion === '' ? `${group}/${version}` : given.apiVersion;
  const name = given.kind === '' ? kind : given.kind;
  if (apiVersion === `${group}/${version}` && name === kind) return undefined;
  const isReview = name === kind && (apiVersion === `${group}/v1` || apiVersion === `${group}/v1beta1`);
  return isReview
    ? `converting (${apiVersion.slice(group.length + 1)}.${kind}) to (${version}.${kind}): unknown conversion`
    : `no kind ${JSON.stringify(name)} is registered for version ${JSON.stringify(apiVersion)} in scheme "pkg/util/webhook/client.go:71"`;
}

/** Fields that are not of their type, as Go's decoder finds them. */
function misfitOf({ response }: JsonObject): string | undefined {
  if (response === undefined || response === null) return undefined;
  const place = (field: string): string => (field === '' ? 'response' : `response.${field}`);
  const misfit = (value: unknown, field: string, type: string): string =>
    `json: cannot unmarshal ${jsonKind(value)} into Go struct field AdmissionReview.${place(field)} of type ${type}`;
  if (!isObject(response)) return misfit(response, '', 'v1.AdmissionResponse');
  for (const [field, type, isFit] of responseFields) {
    const value = response[field];
    if (value !== undefined && value !== null && !isFit(value)) return misfit(value, field, type);
  }
  const { patch } = response;
  if (typeof patch === 'string' && !isBase64(patch)) return 'illegal base64 data at input byte 0';
  return undefined;
}

const isText = (value: unknown): boolean => typeof value === 'string';

const responseFields: readonly (readonly [
  field: string,
  type: string,
  isFit: (value: unknown) => boolean,
])[] = [
  ['uid', 'types.UID', isText],
  ['allowed', 'bool', (value) => typeof value === 'boolean'],
  ['status', 'v1.Status', isObject],
  ['patch', '[]uint8', isText],
  ['patchType', 'v1.PatchType', isText],
  ['auditAnnotations', 'map[string]string', (value) => isObject(value) && Object.values(value).every(isText)],
  ['warnings', '[]string', (value) => Array.isArray(value) && value.every(isText)],
];

function isBase64(text: string): boolean {
  return text.length % 4 === 0 && /^[A-Za-z0-9+/]*={0,2}$/.test(text);
}

/** What makes no sense in it. */
function problemOf(value: JsonObject, { version, uid, isMutating }: Expected): string | undefined {
  const { response } = value;
  if (!isObject(response)) return 'webhook response was absent';
  if (version === 'v1beta1') return undefined; // There nobody looked.
  const said = stringOf(response['uid']);
  if (said !== uid) return `expected response.uid=${JSON.stringify(uid)}, got ${JSON.stringify(said)}`;
  const { apiVersion, kind: name } = value;
  if (apiVersion !== `${group}/v1` || name !== kind)
    return `expected webhook response of ${goKind(`${group}/v1`, kind)}, got ${goKind(stringOf(apiVersion), stringOf(name))}`;
  const hasPatch = stringOf(response['patch']) !== '';
  const patchType = typeof response['patchType'] === 'string' ? response['patchType'] : undefined;
  if (!isMutating) {
    if (hasPatch) return 'validating webhook may not return response.patch';
    return patchType === undefined ? undefined : 'validating webhook may not return response.patchType';
  }
  if (hasPatch && patchType === undefined)
    return 'webhook returned response.patch but not response.patchType';
  if (!hasPatch && patchType !== undefined)
    return 'webhook returned response.patchType but not response.patch';
  return patchType === '' ? 'webhook returned invalid response.patchType of ""' : undefined;
}

function verdictOf(response: JsonObject, { version, isMutating }: Expected): Verdict {
  const { status, warnings, auditAnnotations } = response;
  const patch = isMutating ? Buffer.from(stringOf(response['patch']), 'base64') : Buffer.alloc(0);
  return {
    isAllowed: response['allowed'] === true,
    status: isObject(status) ? status : undefined,
    patch,
    patchType: version === 'v1beta1' ? 'JSONPatch' : stringOf(response['patchType']),
    warnings: Array.isArray(warnings) ? warnings.map(stringOf) : [],
    auditAnnotations: isObject(auditAnnotations)
      ? (auditAnnotations as Readonly<Record<string, string>>)
      : {},
  };
}

/** As Go prints a GroupVersionKind. */
function goKind(apiVersion: string, name: string): string {
  return `${apiVersion.includes('/') ? apiVersion : `/${apiVersion}`}, Kind=${name}`;
}
