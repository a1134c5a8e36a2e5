import { forbiddenField, invalidField, type FieldError } from '#api/errors/field-error.ts';
import { at, isObject, listOf, objectOf, objectsOf, stringMapOf, stringOf } from '#api/wire/json.ts';
import type { JsonObject } from '#api/meta/object.ts';
import { localPathErrors } from './paths.ts';
import { placedContainers } from './containers.ts';
import { tolerationErrors } from './tolerations.ts';

const mirror = 'kubernetes.io/config.mirror';
const tolerations = 'scheduler.alpha.kubernetes.io/tolerations';
const deletionCost = 'controller.kubernetes.io/pod-deletion-cost';
const podSeccomp = 'seccomp.security.alpha.kubernetes.io/pod';
const containerSeccomp = 'container.seccomp.security.alpha.kubernetes.io/';
const containerAppArmor = 'container.apparmor.security.beta.kubernetes.io/';

/** Whether the pod shows what a node runs from a file. */
export function isMirror(pod: JsonObject): boolean {
  return at(pod, ['metadata', 'annotations', mirror]) !== undefined;
}

/** Complaints about annotations that say something of a pod (ValidatePodSpecificAnnotations). */
export function podAnnotationErrors(given: unknown, spec: JsonObject, path: string): readonly FieldError[] {
  const annotations = stringMapOf(given);
  const keys = Object.keys(annotations);
  if (keys.length === 0) return [];
  const { [mirror]: file, [deletionCost]: cost } = annotations;
  const unbound = 'must set spec.nodeName if mirror pod annotation is set';
  return [
    ...(file !== undefined && stringOf(spec['nodeName']) === ''
      ? [invalidField(`${path}[${mirror}]`, file, unbound)]
      : []),
    ...annotatedTolerations(annotations[tolerations] ?? '', path),
    ...(cost === undefined || isInt32(cost)
      ? []
      : [invalidField(`${path}[${deletionCost}]`, cost, 'must be a 32bit integer')]),
    ...keys
      .filter((key) => key === podSeccomp || key.startsWith(containerSeccomp))
      .flatMap((key) => seccompErrors(annotations[key] ?? '', `${path}.${key}`)),
    ...keys
      .filter((key) => key.startsWith(containerAppArmor))
      .flatMap((key) => appArmorErrors(key, annotations[key] ?? '', spec, path)),
  ];
}

/** Decimal without leading zeros or a plus. */
function isInt32(text: string): boolean {
  const value = Number(text);
  return /^(?:0|-?[1-9]\d*)$/.test(text) && value >= -(2 ** 31) && value < 2 ** 31;
}

function annotatedTolerations(text: string, path: string): readonly FieldError[] {
  if (text === '') return [];
  try {
    return tolerationErrors(objectsOf(listOf(JSON.parse(text))), `${path}.${tolerations}`);
  } catch (error) {
    return [invalidField(path, tolerations, error instanceof Error ? error.message : String(error))];
  }
}

function seccompErrors(profile: string, field: string): readonly FieldError[] {
  if (['runtime/default', 'docker/default', 'unconfined'].includes(profile)) return [];
  return profile.startsWith('localhost/')
    ? localPathErrors(profile.slice('localhost/'.length), field)
    : [invalidField(field, profile, 'must be a valid seccomp profile')];
}

function appArmorErrors(key: string, profile: string, spec: JsonObject, path: string): readonly FieldError[] {
  const name = key.slice(containerAppArmor.length);
  const isKnown = placedContainers(spec, '').some(([container]) => container['name'] === name);
  const isProfile =
    ['', 'runtime/default', 'unconfined'].includes(profile) || profile.startsWith('localhost/');
  const detail = `invalid AppArmor profile name: ${JSON.stringify(profile)}`;
  return [
    ...(isKnown ? [] : [invalidField(`${path}[${key}]`, name, 'container not found')]),
    ...(isProfile ? [] : [invalidField(`${path}[${key}]`, profile, detail)]),
  ];
}

/** Complaints about profiles that annotations and fields name differently; of a new pod or template. */
export function profileMatchErrors(given: unknown, spec: JsonObject, path: string): readonly FieldError[] {
  const annotations = stringMapOf(given);
  if (Object.keys(annotations).length === 0) return [];
  const containers = placedContainers(spec, path);
  const of = (holder: JsonObject, name: string): unknown => at(holder, ['securityContext', name]);
  return [
    ...matchErrors(
      annotations[podSeccomp],
      of(spec, 'seccompProfile'),
      `${path}.securityContext.seccompProfile`,
    ),
    ...containers.flatMap(([container, place]) =>
      matchErrors(
        annotations[`${containerSeccomp}${stringOf(container['name'])}`],
        of(container, 'seccompProfile'),
        `${place}.securityContext.seccompProfile`,
      ),
    ),
    ...(at(spec, 'os.name') === 'windows' ? [] : containers).flatMap(([container, place]) =>
      matchErrors(
        annotations[`${containerAppArmor}${stringOf(container['name'])}`],
        of(container, 'appArmorProfile') ?? of(spec, 'appArmorProfile'),
        `${place}.securityContext.appArmorProfile`,
      ),
    ),
  ];
}

function matchErrors(annotation: string | undefined, profile: unknown, path: string): readonly FieldError[] {
  if (annotation === undefined || !isObject(profile)) return [];
  const whose = path.endsWith('.seccompProfile') ? 'seccomp' : 'apparmor';
  const differs = (field: string, what: string): readonly FieldError[] => [
    forbiddenField(`${path}.${field}`, `${whose} ${what} in annotation and field must match`),
  ];
  const { type, localhostProfile } = objectOf(profile);
  if (type === 'Localhost') {
    if (!annotation.startsWith('localhost/')) return differs('type', 'type');
    return annotation.slice('localhost/'.length) === localhostProfile
      ? []
      : differs('localhostProfile', 'profile');
  }
  const defaults = whose === 'seccomp' ? ['runtime/default', 'docker/default'] : ['runtime/default'];
  const allowed = { RuntimeDefault: defaults, Unconfined: ['unconfined'] }[stringOf(type)];
  return allowed === undefined || allowed.includes(annotation) ? [] : differs('type', 'type');
}

/** What may not change of annotations while a pod is there (ValidatePodSpecificAnnotationUpdates). */
export function annotationUpdateErrors(old: JsonObject, pod: JsonObject): readonly FieldError[] {
  const [before, after] = [old, pod].map((one) => stringMapOf(at(one, 'metadata.annotations')));
  const path = 'metadata.annotations';
  const refuse = (keys: readonly string[], action: string): readonly FieldError[] =>
    keys.flatMap((key) => {
      const field = `${path}[${key}]`;
      if (key.startsWith(containerAppArmor)) {
        return [forbiddenField(field, `may not ${action} AppArmor annotations`)];
      }
      return key === mirror ? [forbiddenField(field, `may not ${action} mirror pod annotation`)] : [];
    });
  const [known, given] = [before ?? {}, after ?? {}];
  return [
    ...refuse(
      Object.keys(known).filter((key) => given[key] !== known[key]),
      'remove or update',
    ),
    ...refuse(
      Object.keys(given).filter((key) => known[key] === undefined),
      'add',
    ),
    ...podAnnotationErrors(given, objectOf(pod['spec']), path),
  ];
}
