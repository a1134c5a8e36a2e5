import { compareVersions } from '#api/cel/library/semver.ts';
import { invalidField, requiredField, notSupportedField, type FieldError } from '#api/errors/field-error.ts';
import { inert } from '#api/kinds/effect.ts';
import type { KindRules } from '#api/kinds/rules.ts';
import type { JsonObject } from '#api/meta/object.ts';
import { ageOfObject, nameOf, text } from '#api/table/object.ts';
import { immutable, when } from '#api/validation/field.ts';
import { configKey, formatErrors, qualifiedName, requiredText } from '#api/validation/format.ts';
import { objectOf, stringOf } from '#api/wire/json.ts';

const oldest = 'OldestEmulationVersion';

/** Rules of LeaseCandidates (coordination.k8s.io/v1beta1 of Kubernetes 1.36, pkg/apis/coordination/validation). */
export const leaseCandidateRules: KindRules = {
  effect: inert('a 1.36 picks leaders by them only with the gate CoordinatedLeaderElection, which is off'),
  deprecated: { since: 'v1.36', until: 'v1.39' },
  tracksGeneration: false,
  nameFormat: configKey,
  createdByUpdate: true,
  updatesNameRevision: true,
  validatesAll: true,
  validate: (candidate) => {
    const spec = objectOf(candidate['spec']);
    return [...requiredText(spec, 'leaseName', 'spec'), ...versionErrors(spec), ...strategyErrors(spec)];
  },
  validateUpdate: immutable('spec.leaseName'),
  cells: (candidate, now) => [
    nameOf(candidate),
    text(candidate, 'spec.leaseName', ''),
    text(candidate, 'spec.binaryVersion', ''),
    text(candidate, 'spec.emulationVersion', ''),
    ageOfObject(candidate, now),
  ],
};

function versionErrors(spec: JsonObject): readonly FieldError[] {
  const [binary, emulation] = [stringOf(spec['binaryVersion']), stringOf(spec['emulationVersion'])];
  const complaint = 'must be a valid semantic version';
  const isBefore = binary !== '' && (compareVersions(orZero(binary), orZero(emulation)) ?? 0) < 0;
  return [
    ...when(emulation !== '' && !isVersion(emulation), () =>
      invalidField('spec.emulationVersion', emulation, complaint),
    ),
    ...when(binary === '', () => requiredField('spec.binaryVersion')),
    ...when(binary !== '' && !isVersion(binary), () => invalidField('spec.binaryVersion', binary, complaint)),
    ...when(isBefore, () =>
      invalidField('spec.binaryVersion', binary, 'must be greater than or equal to `emulationVersion`'),
    ),
  ];
}

function strategyErrors(spec: JsonObject): readonly FieldError[] {
  const strategy = stringOf(spec['strategy']);
  if (strategy === '') return [requiredField('spec.strategy')];
  const emulation = orZero(stringOf(spec['emulationVersion']));
  // Upstream says the name of the field twice.
  const field = 'spec.strategy.strategy';
  return [
    ...when(strategy === oldest && compareVersions(emulation, zero) === 0, () =>
      requiredField('spec.emulationVersion', `must be specified when \`strategy\` is '${oldest}'`),
    ),
    ...(strategy.includes('/')
      ? formatErrors(field, strategy, qualifiedName)
      : when(strategy !== oldest, () => notSupportedField(field, strategy, [oldest]))),
  ];
}

const zero = '0.0.0';

/** What is no version counts as the zero one, as Go's value of an error does. */
function orZero(version: string): string {
  return isVersion(version) ? version : zero;
}

function isVersion(text: string): boolean {
  return compareVersions(text, text) !== undefined;
}
