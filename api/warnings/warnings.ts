import { at, equalJson, objectOf } from '#api/wire/json.ts';
import { rulesOf } from '#api/kinds/rules-of.ts';
import { formatGroupVersion, type Kind } from '#api/schema/kinds.ts';
import type { PodSpecPlace } from '#api/kinds/rules.ts';
import type { JsonObject } from '#api/meta/object.ts';
import { nameWarnings } from './name.ts';
import { podWarnings } from './pod.ts';

/**
 * What kube-apiserver tells by Warning headers of an object that it takes (WarningsOnCreate and WarningsOnUpdate of its strategies, 1.36).
 * `old` is what an update found: nothing is said again of a template that did not change, and nothing of an updated pod.
 */
export function objectWarnings(
  kind: Pick<Kind, 'group' | 'kind'>,
  object: JsonObject,
  old?: JsonObject,
): readonly string[] {
  const { podSpec, warnings } = rulesOf(kind);
  return [
    ...(warnings?.(object, old) ?? []),
    ...(podSpec === undefined ? [] : warningsOfPods(podSpec, object, old)),
  ];
}

/** The same of an update by that subresource; '': of the object itself. A Scale is written by the strategy of the object. */
export function updateWarnings(
  kind: Pick<Kind, 'group' | 'kind'>,
  { object, old, subresource }: { object: JsonObject; old: JsonObject; subresource: string },
): readonly string[] {
  if (subresource === '' || subresource === 'scale') return objectWarnings(kind, object, old);
  return subresource === 'status' ? (rulesOf(kind).statusWarnings?.(object) ?? []) : [];
}

/** What every request for a kind is told that goes by another name now (prerelease-lifecycle of k8s.io/api). */
export function deprecationWarning(kind: Kind): string | undefined {
  if (kind.custom !== undefined) return kind.custom.deprecation;
  const { deprecated } = rulesOf(kind);
  if (deprecated === undefined) return undefined;
  const { since, until, use } = deprecated;
  const end = until === undefined ? '' : `, unavailable in ${until}+`;
  const fact = `${formatGroupVersion(kind)} ${kind.kind} is deprecated in ${since}+${end}`;
  return use === undefined ? fact : `${fact}; use ${use}`;
}

function warningsOfPods(
  { path, isTemplate, toldWith = 'metadata.generation' }: PodSpecPlace,
  object: JsonObject,
  old: JsonObject | undefined,
): readonly string[] {
  if (!isTemplate) {
    return old === undefined
      ? [...nameWarnings(object, "the Pod's hostname"), ...podWarnings(object, '')]
      : [];
  }
  if (old !== undefined && equalJson(at(old, toldWith), at(object, toldWith))) return [];
  const template = path.slice(0, -'.spec'.length);
  return podWarnings(objectOf(at(object, template)), `${template}.`);
}
