import type { User } from '#control-plane/apiserver/serve/request.ts';
import type { Level, Stage } from './policy.ts';

/** One line of the record: what is known of a request at one of its stages, as it is written. */
export interface AuditEvent {
  /** JSON of an audit.k8s.io/v1 Event behind its kind and apiVersion, `{"level":…}`. */
  readonly json: string;
  /** A line of words (`--audit-log-format legacy`), made when it is asked for. */
  readonly legacy: string;
  /** The same without the bodies, and saying so; undefined where it has none. */
  readonly withoutBodies: AuditEvent | undefined;
}

/** The kind of an event that stands by itself; those of a list do not say it. */
export const eventType = '"kind":"Event","apiVersion":"audit.k8s.io/v1",';
/** Begins the annotation keys of events whose bodies were left out. */
const truncatedAnnotation = 'audit.k8s.io/truncated';

/** What an event says, beside what is given as JSON already. */
export interface EventParts {
  readonly level: Level;
  readonly auditId: string;
  readonly stage: Stage;
  /** `requestJson` of these parts. */
  readonly request: string;
  readonly requestUri: string;
  readonly verb: string;
  /** undefined: nobody knows. */
  readonly user: User | undefined;
  readonly impersonated: User | undefined;
  /** `impersonate:user-info`; '' without impersonation. */
  readonly impersonationConstraint: string;
  readonly sourceIps: readonly string[];
  readonly userAgent: string;
  /** JSON; undefined for a path. */
  readonly objectRef: string | undefined;
  /** JSON of the Status without kind and apiVersion; undefined before there is an answer. */
  readonly responseStatus: string | undefined;
  readonly code: number;
  /** JSON; undefined where it is not written. */
  readonly requestObject: string | undefined;
  readonly responseObject: string | undefined;
  readonly receivedMs: number;
  readonly stageMs: number;
  readonly annotations: ReadonlyMap<string, string>;
  readonly namespace: string;
}

/** What all events of a request say of who asked for what, in the order in which kube-apiserver writes it. JSON members, as `,"a":1`. */
export function requestJson(
  parts: Pick<
    EventParts,
    'requestUri' | 'verb' | 'user' | 'impersonated' | 'impersonationConstraint' | 'sourceIps' | 'userAgent'
  >,
): string {
  const { requestUri, verb, user, impersonated, impersonationConstraint, sourceIps, userAgent } = parts;
  return (
    `,"requestURI":${goText(requestUri)},"verb":${goText(verb)}` +
    `,"user":${user === undefined ? '{}' : userJson(user)}` +
    (impersonated === undefined ? '' : `,"impersonatedUser":${userJson(impersonated)}`) +
    (impersonationConstraint === ''
      ? ''
      : `,"authenticationMetadata":{"impersonationConstraint":${goText(impersonationConstraint)}}`) +
    (sourceIps.length === 0 ? '' : `,"sourceIPs":${JSON.stringify(sourceIps)}`) +
    (userAgent === '' ? '' : `,"userAgent":${goText(userAgent)}`)
  );
}

/** The event, in the order in which kube-apiserver writes its members. */
export function renderEvent(parts: EventParts): AuditEvent {
  const head = headOf(parts);
  const tail = `,"requestReceivedTimestamp":"${formatMicros(parts.receivedMs)}","stageTimestamp":"${formatMicros(parts.stageMs)}"`;
  const { requestObject, responseObject } = parts;
  const bodies =
    (requestObject === undefined ? '' : `,"requestObject":${requestObject}`) +
    (responseObject === undefined ? '' : `,"responseObject":${responseObject}`);
  const eventOf = (body: string, annotations: ReadonlyMap<string, string>): AuditEvent => ({
    json: `${head}${body}${tail}${annotationsOf(annotations)}}`,
    get legacy() {
      return renderLegacy(parts);
    },
    get withoutBodies() {
      return body === '' ? undefined : eventOf('', new Map([...annotations, [truncatedAnnotation, 'true']]));
    },
  });
  return eventOf(bodies, parts.annotations);
}

function headOf({ level, auditId, stage, request, objectRef, responseStatus }: EventParts): string {
  return (
    `{"level":"${level}","auditID":${goText(auditId)},"stage":"${stage}"${request}` +
    (objectRef === undefined ? '' : `,"objectRef":${objectRef}`) +
    (responseStatus === undefined ? '' : `,"responseStatus":${responseStatus}`)
  );
}

function annotationsOf(annotations: ReadonlyMap<string, string>): string {
  if (annotations.size === 0) return '';
  const keys = [...annotations.keys()].toSorted(byCodeUnit);
  return `,"annotations":{${keys.map((key) => `${goText(key)}:${goText(annotations.get(key) ?? '')}`).join(',')}}`;
}

function byCodeUnit(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

const users = new WeakMap<User, string>();

/** authentication/v1 UserInfo, made once for a user whose connection or process asks many times. */
export function userJson(user: User): string {
  let json = users.get(user);
  if (json === undefined) users.set(user, (json = renderUser(user)));
  return json;
}

function renderUser({ name, uid = '', groups, extra = {} }: User): string {
  const names = Object.keys(extra).toSorted(byCodeUnit);
  const members = [
    ...(name === '' ? [] : [`"username":${goText(name)}`]),
    ...(uid === '' ? [] : [`"uid":${goText(uid)}`]),
    ...(groups.length === 0 ? [] : [`"groups":${goJsonText(groups)}`]),
    ...(names.length === 0
      ? []
      : [`"extra":{${names.map((key) => `${goText(key)}:${goJsonText(extra[key] ?? [])}`).join(',')}}`]),
  ];
  return `{${members.join(',')}}`;
}

const escaped = /[<>&\u2028\u2029]/;
const escapedAll = /[<>&\u2028\u2029]/g;

/** JSON text as Go writes it: `<`, `>`, `&` and the separators of lines as escapes. */
export function goEscape(json: string): string {
  if (!escaped.test(json)) return json;
  return json.replace(escapedAll, (sign) => `\\u${sign.charCodeAt(0).toString(16).padStart(4, '0')}`);
}

/** Of these a string is its own JSON text: ASCII but control characters, `"`, `\`, `<`, `>` and `&`. */
const plain = /^[ !#-%'-;=?-[\]-~]*$/;

/** A string as JSON, as Go writes it. */
export function goText(text: string): string {
  return plain.test(text) ? `"${text}"` : goEscape(JSON.stringify(text));
}

/** A value as JSON, as Go writes it. */
export function goJsonText(value: unknown): string {
  return goEscape(JSON.stringify(value) ?? 'null');
}

let second = -1;
let secondText = '';

/** RFC 3339 with microseconds. */
export function formatMicros(ms: number): string {
  const seconds = Math.floor(ms / 1000);
  if (seconds !== second) {
    second = seconds;
    secondText = new Date(seconds * 1000).toISOString().slice(0, 19);
  }
  const micros = Math.floor((ms - seconds * 1000) * 1000);
  return `${secondText}.${String(micros).padStart(6, '0')}Z`;
}

/** As kube-apiserver's `audit.EventString`. */
function renderLegacy(parts: EventParts): string {
  const { receivedMs, auditId, stage, sourceIps, verb, user, impersonated, userAgent } = parts;
  const { namespace, requestUri, responseStatus, code } = parts;
  const quoted = JSON.stringify;
  const list = (texts: readonly string[]): string => texts.map((text) => quoted(text)).join(',');
  const name = user === undefined || user.name === '' ? '<none>' : user.name;
  const groups = user === undefined || user.groups.length === 0 ? '<none>' : list(user.groups);
  const time = formatMicros(receivedMs).replace(/\.?0+Z$/, 'Z');
  return (
    `${time} AUDIT: id=${quoted(auditId)} stage=${quoted(stage)} ip=${quoted(sourceIps[0] ?? '<unknown>')}` +
    ` method=${quoted(verb)} user=${quoted(name)} groups=${quoted(groups)}` +
    ` as=${quoted(impersonated?.name ?? '<self>')} asgroups=${quoted(impersonated === undefined ? '<lookup>' : list(impersonated.groups))}` +
    ` user-agent=${quoted(userAgent)} namespace=${quoted(namespace === '' ? '<none>' : namespace)}` +
    ` uri=${quoted(requestUri)} response="${responseStatus === undefined ? '<deferred>' : code}"`
  );
}
