import { statSync } from 'node:fs';
import { readConfigFile, type DocumentKind, type ObjectShape } from '#api/config/config-document.ts';
import { parseDurationMs } from '#api/meta/duration.ts';
import type { JsonObject } from '#api/meta/object.ts';
import { at, objectOf, objectsOf, stringOf } from '#api/wire/json.ts';
import { dnsSubdomain } from '#api/validation/format.ts';
import { describeError, PodwrightError } from '#base/errors.ts';
import { conditionProblem } from '#control-plane/apiserver/chain/authz/webhook/match-conditions.ts';
import { isMode, type AuthorizerSpec, type WebhookSpec } from '#control-plane/apiserver/chain/authz/modes.ts';

/** The file of `--authorization-config` (apiserver.config.k8s.io, AuthorizationConfiguration; KEP 3221). */
const webhookShape: ObjectShape = {
  timeout: 'duration',
  authorizedTTL: 'duration',
  cacheAuthorizedRequests: 'boolean',
  unauthorizedTTL: 'duration',
  cacheUnauthorizedRequests: 'boolean',
  subjectAccessReviewVersion: 'string',
  matchConditionSubjectAccessReviewVersion: 'string',
  failurePolicy: 'string',
  connectionInfo: { type: 'string', kubeConfigFile: 'string' },
  matchConditions: [{ expression: 'string' }],
};
const document: DocumentKind = {
  kind: 'AuthorizationConfiguration',
  apiVersions: [
    'apiserver.config.k8s.io/v1',
    'apiserver.config.k8s.io/v1beta1',
    'apiserver.config.k8s.io/v1alpha1',
  ],
  fields: { authorizers: [{ type: 'string', name: 'string', webhook: webhookShape }] },
};

const conditionsMax = 64;
const timeoutMaxMs = 30_000;
const authorizedTtlMs = 5 * 60_000;
const unauthorizedTtlMs = 30_000;

/**
 * @param startedWith what the file said when the server began, where it is read again
 * @throws {E_INVALID} with the file and all that is wrong in it
 */
export function readAuthorizationConfiguration(
  path: string,
  startedWith?: readonly AuthorizerSpec[],
): readonly AuthorizerSpec[] {
  return readConfigFile(path, document, (configuration) => {
    const specs = authorizersOf(configuration);
    const problems = [
      ...(startedWith === undefined ? [] : reloadProblems(specs, startedWith)),
      ...specs.flatMap(fileProblems),
    ];
    if (problems.length > 0) throw new PodwrightError('E_INVALID', problems.join('; '));
    return specs;
  });
}

/** Those that follow objects of the cluster: who was not there at first is not made later. */
const followers: readonly string[] = ['Node', 'RBAC'];

/** What may not change while the server runs (kubeapiserver/authorizer/reload.go): webhooks come and go, the others stay. Pure. */
export function reloadProblems(
  specs: readonly AuthorizerSpec[],
  startedWith: readonly AuthorizerSpec[],
): readonly string[] {
  const typesOf = (list: readonly AuthorizerSpec[]): readonly string[] =>
    list.map(({ type }) => type).filter((type) => type !== 'Webhook');
  const [now, first] = [typesOf(specs), typesOf(startedWith)];
  const missing = first.filter((type) => !now.includes(type)).toSorted();
  return [
    ...(missing.length === 0 ? [] : [`authorizers: missing required types: ${missing.join(', ')}`]),
    ...now
      .filter((type) => followers.includes(type) && !first.includes(type))
      .map(
        (type) => `authorizers: type ${type} is not allowed if it was not enabled at initial server startup`,
      ),
  ];
}

/** A webhook's kubeconfig that is not there, or is no file. */
function fileProblems(spec: AuthorizerSpec, index: number): readonly string[] {
  if (spec.type !== 'Webhook') return [];
  const { kubeConfigFile } = spec.webhook;
  const at = `authorizers[${index}].webhook.connectionInfo.kubeConfigFile: ${JSON.stringify(kubeConfigFile)}`;
  try {
    return statSync(kubeConfigFile).isFile() ? [] : [`${at}: must be a regular file`];
  } catch (error) {
    return [`${at}: error loading file: ${describeError(error)}`];
  }
}

/** @throws {E_INVALID} with all that is wrong */
function authorizersOf(configuration: JsonObject): readonly AuthorizerSpec[] {
  const authorizers = objectsOf(configuration['authorizers']);
  const problems = [
    ...(authorizers.length === 0 ? ['authorizers: at least one authorizer must be defined'] : []),
    ...authorizers.flatMap((authorizer, index) => authorizerProblems(authorizer, `authorizers[${index}]`)),
    ...twice(
      'type',
      authorizers.filter(({ type }) => type !== 'Webhook'),
    ),
    ...twice('name', authorizers),
  ];
  if (problems.length > 0) throw new PodwrightError('E_INVALID', problems.join('; '));
  return authorizers.map(specOf);
}

function twice(field: string, authorizers: readonly JsonObject[]): readonly string[] {
  const values = authorizers.map((authorizer) => stringOf(authorizer[field]));
  const again = values.filter((value, index) => value !== '' && values.indexOf(value) !== index);
  return [...new Set(again)].map((value) => `authorizers: ${field} ${JSON.stringify(value)} twice`);
}

function authorizerProblems({ type, name, webhook }: JsonObject, path: string): readonly string[] {
  // Of each of these there is one, and its name is that of --authorization-mode.
  const expected = stringOf(type).toLowerCase();
  const isMisnamed = isMode(stringOf(type)) && type !== 'Webhook' && name !== expected;
  const wrong = [
    ...(isMode(stringOf(type))
      ? []
      : [`${path}.type: ${JSON.stringify(type ?? '')} is none that podwright has`]),
    ...(isMisnamed
      ? [`${path}.name: expected ${expected} for ${stringOf(type)} instead of ${JSON.stringify(name ?? '')}`]
      : dnsSubdomain(stringOf(name)).length === 0
        ? []
        : [`${path}.name: not the name of a DNS subdomain`]),
  ];
  if (type !== 'Webhook') {
    return webhook === undefined ? wrong : [...wrong, `${path}.webhook: may only be set with type Webhook`];
  }
  return [...wrong, ...webhookProblems(objectOf(webhook), `${path}.webhook`)];
}

function webhookProblems(webhook: JsonObject, path: string): readonly string[] {
  const timeoutMs = durationOf(webhook['timeout'], 0);
  const info = objectOf(webhook['connectionInfo']);
  const oneOf = (field: string, known: readonly string[]): readonly string[] =>
    known.some((value) => value === webhook[field])
      ? []
      : [`${path}.${field}: give one of ${known.join(', ')}`];
  return [
    ...(timeoutMs > 0 && timeoutMs <= timeoutMaxMs
      ? []
      : [`${path}.timeout: give one above 0s and at most 30s`]),
    ...['authorizedTTL', 'unauthorizedTTL'].flatMap((field) =>
      durationOf(webhook[field], 0) < 0 ? [`${path}.${field}: must not be negative`] : [],
    ),
    ...oneOf('subjectAccessReviewVersion', ['v1', 'v1beta1']),
    ...conditionVersionProblems(webhook, path),
    ...oneOf('failurePolicy', ['NoOpinion', 'Deny']),
    ...(info['type'] === 'KubeConfigFile'
      ? []
      : [
          `${path}.connectionInfo.type: ${JSON.stringify(info['type'] ?? '')}, only KubeConfigFile is possible here`,
        ]),
    ...(stringOf(info['kubeConfigFile']).startsWith('/')
      ? []
      : [`${path}.connectionInfo.kubeConfigFile: give an absolute path`]),
    ...conditionProblems(conditionsOf(webhook), `${path}.matchConditions`),
  ];
}

/** Conditions say of which version of a question they speak, that it may not change below them. */
function conditionVersionProblems(webhook: JsonObject, path: string): readonly string[] {
  const field = 'matchConditionSubjectAccessReviewVersion';
  const version = stringOf(webhook[field]);
  if (version === '') {
    return conditionsOf(webhook).length === 0
      ? []
      : [`${path}.${field}: required if match conditions are specified`];
  }
  return version === 'v1' ? [] : [`${path}.${field}: ${JSON.stringify(version)}, only v1 is known`];
}

function conditionProblems(expressions: readonly string[], path: string): readonly string[] {
  if (expressions.length > conditionsMax)
    return [`${path}: ${expressions.length} are too many, at most ${conditionsMax}`];
  return expressions.flatMap((expression, index) => {
    const isFirst = expressions.indexOf(expression) === index;
    const problem = isFirst ? conditionProblem(expression) : `Duplicate value: ${JSON.stringify(expression)}`;
    return problem === undefined ? [] : [`${path}[${index}].expression: ${problem}`];
  });
}

function conditionsOf(webhook: JsonObject): readonly string[] {
  return objectsOf(webhook['matchConditions']).map(({ expression }) => stringOf(expression));
}

function specOf(authorizer: JsonObject): AuthorizerSpec {
  const type = stringOf(authorizer['type']);
  const name = stringOf(authorizer['name']);
  if (!isMode(type)) throw new PodwrightError('E_INTERNAL', `an authorizer of type ${type}`);
  return type === 'Webhook'
    ? { type, name, webhook: webhookOf(objectOf(authorizer['webhook'])) }
    : { type, name };
}

function webhookOf(webhook: JsonObject): WebhookSpec {
  const isKept = (field: string): boolean => webhook[field] !== false;
  return {
    kubeConfigFile: stringOf(at(webhook, 'connectionInfo.kubeConfigFile')),
    timeoutMs: durationOf(webhook['timeout'], timeoutMaxMs),
    version: webhook['subjectAccessReviewVersion'] === 'v1' ? 'v1' : 'v1beta1',
    authorizedTtlMs: isKept('cacheAuthorizedRequests')
      ? durationOf(webhook['authorizedTTL'], authorizedTtlMs)
      : 0,
    unauthorizedTtlMs: isKept('cacheUnauthorizedRequests')
      ? durationOf(webhook['unauthorizedTTL'], unauthorizedTtlMs)
      : 0,
    failurePolicy: webhook['failurePolicy'] === 'Deny' ? 'Deny' : 'NoOpinion',
    matchConditions: conditionsOf(webhook),
  };
}

/** Nothing said, or nothing as Go reads it, is the default. */
function durationOf(value: unknown, byDefaultMs: number): number {
  return typeof value === 'string' ? parseDurationMs(value) || byDefaultMs : byDefaultMs;
}
