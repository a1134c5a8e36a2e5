import { gitVersion } from '#api/release.ts';
import { isPodwrightError } from '#base/errors.ts';
import { forbidden, internalError, invalid } from '#api/errors/status.ts';
import { isSameKind, rulesOf } from '#api/kinds/rules-of.ts';
import type { JsonObject } from '#api/meta/object.ts';
import {
  defaultConfiguration,
  parsePodSecurityConfiguration,
  type PodSecurityConfiguration,
} from '#api/pod-security/configuration.ts';
import {
  allowedPrivileged,
  asksNothing,
  exempt,
  exemptionOf,
  hasExemptRuntimeClass,
  judge,
  silent,
  type Counted,
  type Verdict,
} from '#api/pod-security/judge.ts';
import { judgedPodIn } from '#api/pod-security/judged-pod.ts';
import {
  changesPolicyLabels,
  equalLevelVersion,
  exemptWarnings,
  isStricter,
  readPolicy,
  versionText,
  type LevelVersion,
} from '#api/pod-security/policy.ts';
import { isSignificantUpdate } from '#api/pod-security/significant-update.ts';
import { at, equalJson, nameOrPrefix, stringMapOf } from '#api/wire/json.ts';
import { builtIn } from '#control-plane/apiserver/built-in.ts';
import type {
  AdmissionAttributes,
  AdmissionContext,
  AdmissionPlugin,
  AdmissionRequest,
  Handling,
} from '#control-plane/apiserver/chain/admission/admission.ts';
import type { PluginRow } from '#control-plane/apiserver/chain/admission/choice/plugin-row.ts';
import {
  podSecurityErrors,
  podSecurityEvaluations,
  podSecurityExemptions,
} from '#control-plane/apiserver/serve/counters.ts';
import { existingPodsWarnings } from './existing-pods.ts';

const name = 'PodSecurity';
const pods = builtIn('', 'v1', 'pods');
const namespaces = builtIn('', 'v1', 'namespaces');

/**
 * Pods keep to the Pod Security Standard that labels of their namespace ask for (KEP 2579): what is enforced refuses them, the others are
 * told, also of what has a template of pods. All that is wrong is in one message.
 */
export function podSecurity(configuration: PodSecurityConfiguration = defaultConfiguration): AdmissionPlugin {
  return {
    name,
    handles: handlingOf,
    mustWait: isJudgedAnew,
    validate: async (context, request) => {
      if (subjectOf(request.attributes) === 'namespace') {
        await validateNamespace(context, request, configuration);
        return;
      }
      if (request.old === undefined || isJudgedAnew(request))
        apply(context, request, await verdictOn(context, request, configuration));
    },
  };
}

export const podSecurityRow: PluginRow = {
  name,
  onByDefault: true,
  create: () => podSecurity(),
  configure: ({ value }) => podSecurity(parsePodSecurityConfiguration(value)),
};

type Subject = 'pod' | 'namespace' | 'controller';

/** As what metrics count it: what has a template is a controller. */
function subjectOf({ kind }: AdmissionAttributes): Subject | undefined {
  if (isSameKind(kind, pods)) return 'pod';
  if (isSameKind(kind, namespaces)) return 'namespace';
  return rulesOf(kind).podSpec === undefined ? undefined : 'controller';
}

/** Subresources of pods by which the spec of a pod may be changed. */
const specParts: ReadonlySet<string> = new Set(['', 'ephemeralcontainers', 'resize']);

function handlingOf(attributes: AdmissionAttributes): Handling {
  const { operation, subresource } = attributes;
  const subject = subjectOf(attributes);
  if (subject === undefined || (operation !== 'create' && operation !== 'update')) return 'no';
  if (operation === 'create') return subresource === '' ? 'mayWait' : 'no';
  if (subject === 'pod') return specParts.has(subresource) ? 'seldomWaits' : 'no';
  if (subresource !== '') return 'no';
  return subject === 'namespace' ? 'seldomWaits' : 'mayWait';
}

/** Of an update. */
function isJudgedAnew({ attributes, object = {}, old = {} }: AdmissionRequest): boolean {
  switch (subjectOf(attributes)) {
    case 'namespace':
      return changesPolicyLabels(labelsOf(old), labelsOf(object));
    case 'pod': {
      const [before, pod] = [judgedPodIn(old, 'spec'), judgedPodIn(object, 'spec')];
      return before !== undefined && pod !== undefined && isSignificantUpdate(before, pod);
    }
    default:
      return true;
  }
}

function labelsOf(object: JsonObject): Readonly<Record<string, string>> {
  return stringMapOf(at(object, 'metadata.labels'));
}

/** What is to be said of a pod, or of what has a template. @throws {E_API} 500 for a pod whose namespace cannot be read */
async function verdictOn(
  context: AdmissionContext,
  { attributes, object = {} }: AdmissionRequest,
  { defaults, exemptions }: PodSecurityConfiguration,
): Promise<Verdict> {
  const { kind, namespace, user } = attributes;
  const reason = exemptionOf(exemptions, { user: user.name, namespace });
  if (reason !== undefined) return exempt(reason);
  const isPod = subjectOf(attributes) === 'pod';
  const labels = await namespaceLabels(context, namespace);
  if (labels === undefined) {
    count(context, attributes, { kind: 'error', isFatal: true });
    const problem = `failed to lookup namespace "${namespace}"`;
    if (isPod) throw internalError(problem);
    return { ...silent, annotations: { error: problem } };
  }
  const asked = readPolicy(labels, defaults);
  if (asksNothing(asked, isPod)) return isPod ? allowedPrivileged(asked.policy) : silent;
  const pod = judgedPodIn(object, rulesOf(kind).podSpec?.path ?? 'spec');
  if (pod === undefined) return silent;
  return hasExemptRuntimeClass(exemptions, pod) ? exempt('runtimeClass') : judge(asked, pod, isPod);
}

/** undefined: it is not there, or the store does not say. */
async function namespaceLabels(
  { registry }: AdmissionContext,
  namespace: string,
): Promise<Readonly<Record<string, string>> | undefined> {
  try {
    const entry = await registry.read(namespaces, '', namespace);
    return entry && labelsOf(entry.object);
  } catch (error) {
    if (isPodwrightError(error)) return undefined;
    throw error;
  }
}

/** @throws {E_API} 403 */
function apply(context: AdmissionContext, request: AdmissionRequest, verdict: Verdict): void {
  const { attributes, object = {} } = request;
  for (const counted of verdict.counted) count(context, attributes, counted);
  for (const [key, value] of Object.entries(verdict.annotations)) annotate(attributes, key, value);
  for (const warning of verdict.warnings) attributes.scope?.warn(warning);
  if (verdict.refusal !== undefined) throw forbidden(pods, nameOrPrefix(object), verdict.refusal);
}

function annotate({ scope }: AdmissionAttributes, key: string, value: string): void {
  scope?.annotate(`pod-security.kubernetes.io/${key}`, value);
}

/** The release whose API this is: of a newer one nobody knows the controls. */
const ownMinor = Number(/^v1\.(\d+)/.exec(gitVersion)?.[1]);

function count({ metrics }: AdmissionContext, attributes: AdmissionAttributes, counted: Counted): void {
  const { operation, subresource } = attributes;
  const where = { request_operation: operation, resource: subjectOf(attributes) ?? '', subresource };
  switch (counted.kind) {
    case 'evaluation': {
      const { decision, mode, policy } = counted;
      const labels = { decision, mode, policy_level: policy.level, policy_version: versionLabel(policy) };
      metrics.count(podSecurityEvaluations, { ...labels, ...where });
      return;
    }
    case 'exemption':
      metrics.count(podSecurityExemptions, where);
      return;
    case 'error':
      metrics.count(podSecurityErrors, { fatal: String(counted.isFatal), ...where });
  }
}

/** Bounded, whatever a namespace asks for. */
function versionLabel({ level, version }: LevelVersion): string {
  if (level === 'privileged') return 'latest';
  return version !== 'latest' && version > ownMinor ? 'future' : versionText(version);
}

/** Labels are ones that can be read; who asks for more than there is hears of the pods that are not so. @throws {E_API} 422 */
async function validateNamespace(
  context: AdmissionContext,
  { attributes, object = {}, old }: AdmissionRequest,
  { defaults, exemptions }: PodSecurityConfiguration,
): Promise<void> {
  const labels = labelsOf(object);
  const name = nameOrPrefix(object);
  const { policy, errors } = readPolicy(labels, defaults);
  const before = old === undefined ? undefined : readPolicy(labelsOf(old), defaults);
  if (errors.length > 0 && !equalJson(errors, before?.errors)) throw invalid(namespaces, name, errors);
  if (before !== undefined && !asksForMore(before.policy.enforce, policy.enforce)) return;
  const warnings = exemptions.namespaces.includes(name)
    ? exemptWarnings(name, labels, { policy, defaults })
    : before === undefined
      ? []
      : await existingPodsWarnings(context, { namespace: name, policy: policy.enforce, exemptions });
  for (const warning of warnings) attributes.scope?.warn(warning);
}

/** Of another version nobody knows whether it asks for more. */
function asksForMore(old: LevelVersion, enforce: LevelVersion): boolean {
  if (equalLevelVersion(old, enforce) || enforce.level === 'privileged') return false;
  return enforce.version !== old.version || isStricter(enforce.level, old.level);
}
