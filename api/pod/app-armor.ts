import type { JsonObject } from '#api/meta/object.ts';
import { at, equalJson, memberOf, objectsOf, stringMapOf, withPath } from '#api/wire/json.ts';

const annotation = 'container.apparmor.security.beta.kubernetes.io/';
const localhost = 'localhost/';

/** A container whose annotation says what its field says since 1.30 (KEP 24, version skew). */
interface Said {
  readonly key: string;
  /** What the field is to be; undefined: it stays without, for the annotation names no profile, or the pod's says it anyway. */
  readonly profile: JsonObject | undefined;
}

/** undefined where there is no such annotation, or there is a field. */
function saidOf(pod: JsonObject, container: JsonObject): Said | undefined {
  const key = `${annotation}${String(container['name'])}`;
  const value = memberOf(stringMapOf(at(pod, 'metadata.annotations')), key);
  if (value === undefined || at(container, fieldPath) !== undefined) return undefined;
  const profile = profileOf(value);
  const isPods = profile !== undefined && equalJson(at(pod, 'spec.securityContext.appArmorProfile'), profile);
  return isPods ? undefined : { key, profile };
}

const fieldPath = 'securityContext.appArmorProfile';
const lists = ['initContainers', 'containers'];

/** A new pod with the fields that its annotations stand for. Pure. */
export function withAppArmorFields(pod: JsonObject): JsonObject {
  if (!hasAnnotations(pod)) return pod;
  return lists.reduce((next, list) => {
    const containers = objectsOf(at(next, ['spec', list]));
    const filled = containers.map((container) => {
      const profile = saidOf(pod, container)?.profile;
      return profile === undefined ? container : withPath(container, fieldPath, profile);
    });
    return containers.length === 0 ? next : withPath(next, ['spec', list], filled);
  }, pod);
}

/** What who makes such a pod is told. Pure. */
export function appArmorWarnings(pod: JsonObject): readonly string[] {
  if (!hasAnnotations(pod)) return [];
  return lists
    .flatMap((list) => objectsOf(at(pod, ['spec', list])))
    .flatMap((container) => saidOf(pod, container) ?? [])
    .map(
      ({ key }) =>
        `metadata.annotations[${key}]: deprecated since v1.30; use the "appArmorProfile" field instead`,
    );
}

function hasAnnotations(pod: JsonObject): boolean {
  const annotations = Object.keys(stringMapOf(at(pod, 'metadata.annotations')));
  return annotations.some((key) => key.startsWith(annotation)) && at(pod, 'spec.os.name') !== 'windows';
}

function profileOf(value: string): JsonObject | undefined {
  if (value === 'unconfined') return { type: 'Unconfined' };
  if (value === 'runtime/default') return { type: 'RuntimeDefault' };
  const localhostProfile = value.startsWith(localhost) ? value.slice(localhost.length) : '';
  return localhostProfile === '' ? undefined : { type: 'Localhost', localhostProfile };
}
