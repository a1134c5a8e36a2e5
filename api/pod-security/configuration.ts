import { checkConfigDocument, type DocumentKind } from '#api/config/config-document.ts';
import {
  duplicateField,
  invalidField,
  renderFieldError,
  requiredField,
  type FieldError,
} from '#api/errors/field-error.ts';
import type { JsonObject } from '#api/meta/object.ts';
import { dnsLabel, dnsSubdomain, type Format } from '#api/validation/format.ts';
import { listOf, objectOf, stringMapOf, stringOf } from '#api/wire/json.ts';
import { PodwrightError } from '#base/errors.ts';
import type { Exemptions } from './judge.ts';
import {
  laxPolicy,
  levelOf,
  levelProblem,
  modes,
  versionOf,
  versionProblem,
  type LevelVersion,
  type Mode,
  type Policy,
} from './policy.ts';

/** How the plugin is set up, as the whole cluster has it. */
export interface PodSecurityConfiguration {
  /** Of namespaces that do not say otherwise. */
  readonly defaults: Policy;
  readonly exemptions: Exemptions;
}

export const defaultConfiguration: PodSecurityConfiguration = {
  defaults: laxPolicy,
  exemptions: { usernames: [], namespaces: [], runtimeClasses: [] },
};

/** PodSecurityConfiguration (k8s.io/pod-security-admission, admission/api). */
const document: DocumentKind = {
  kind: 'PodSecurityConfiguration',
  apiVersions: ['v1', 'v1beta1', 'v1alpha1'].map(
    (version) => `pod-security.admission.config.k8s.io/${version}`,
  ),
  fields: {
    defaults: Object.fromEntries(
      modes.flatMap((mode) => [mode, `${mode}-version`]).map((name) => [name, 'string' as const]),
    ),
    exemptions: { usernames: ['string'], namespaces: ['string'], runtimeClasses: ['string'] },
  },
};

/** Pure. @throws {E_INVALID} with all that is wrong, each by its field */
export function parsePodSecurityConfiguration(value: JsonObject): PodSecurityConfiguration {
  const configuration = checkConfigDocument(value, document);
  const defaults = stringMapOf(configuration['defaults']);
  const exemptions = objectOf(configuration['exemptions']);
  const errors = [
    ...modes.flatMap((mode) => modeErrors(defaults, mode)),
    ...nameErrors(exemptions, 'namespaces', dnsLabel),
    ...nameErrors(exemptions, 'runtimeClasses', dnsSubdomain),
    ...nameErrors(exemptions, 'usernames', () => []),
  ];
  if (errors.length > 0) {
    const texts = errors.map((error) => `${error.field}: ${renderFieldError(error)}`);
    throw new PodwrightError('E_INVALID', texts.join('; '));
  }
  return {
    defaults: policyOf(defaults),
    exemptions: {
      usernames: textsOf(exemptions, 'usernames'),
      namespaces: textsOf(exemptions, 'namespaces'),
      runtimeClasses: textsOf(exemptions, 'runtimeClasses'),
    },
  };
}

function textsOf(exemptions: JsonObject, field: string): readonly string[] {
  return listOf(exemptions[field]).map(stringOf);
}

/** What is not said is lax, and of the newest version; '' is not said. */
function policyOf(defaults: Readonly<Record<string, string>>): Policy {
  const read = (mode: Mode): LevelVersion => ({
    level: levelOf(defaults[mode] ?? '') ?? laxPolicy[mode].level,
    version: versionOf(defaults[`${mode}-version`] ?? '') ?? laxPolicy[mode].version,
  });
  return { enforce: read('enforce'), audit: read('audit'), warn: read('warn') };
}

function modeErrors(defaults: Readonly<Record<string, string>>, mode: Mode): readonly FieldError[] {
  const asked = [
    { name: mode, problemOf: levelProblem },
    { name: `${mode}-version`, problemOf: versionProblem },
  ];
  return asked.flatMap(({ name, problemOf }) => {
    const value = defaults[name] ?? '';
    const problem = value === '' ? undefined : problemOf(value);
    return problem === undefined ? [] : [invalidField(`defaults.${name}`, value, problem)];
  });
}

function nameErrors(exemptions: JsonObject, field: string, format: Format): readonly FieldError[] {
  const names = textsOf(exemptions, field);
  return names.flatMap((name, index) => {
    const path = `exemptions.${field}[${index}]`;
    if (name === '') return [requiredField(path)];
    const complaints = format(name);
    if (complaints.length > 0) return [invalidField(path, name, complaints.join(', '))];
    return names.indexOf(name) === index ? [] : [duplicateField(path, name)];
  });
}
