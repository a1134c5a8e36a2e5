import { at, objectOf } from '#api/wire/json.ts';
import { rulesOf } from '#api/kinds/rules-of.ts';
import { formatGroupVersion, type Kind } from '#api/schema/kinds.ts';
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
    ...(podSpec === undefined ? [] : warningsOfPods(podSpec, object, old)),
    ...(warnings?.(object, old) ?? []),
  ];
}

/** What every request for a kind is told that goes by another name now (prerelease-lifecycle of k8s.io/api). */
export function deprecationWarning(kind: Kind): string | undefined {
  if (kind.custom !== undefined) return kind.custom.deprecation;
  const { deprecated } = rulesOf(kind);
  if (deprecated === undefined) return undefined;
  const { since, use } = deprecated;
  const fact = `${formatGroupVersion(kind)} ${kind.kind} is deprecated in ${since}+`;
  return use === undefined ? fact : `${fact}; use ${use}`;
}

function warningsOfPods(
  { path, isTemplate }: { readonly path: string; readonly isTemplate: boolean },
  object: JsonObject,
  old: JsonObject | undefined,
): readonly string[] {
  if (!isTemplate) {
    return old === undefined
      ? [...nameWarnings(object, "the Pod's hostname"), ...podWarnings(object, '')]
      : [];
  }
  if (old !== undefined && at(old, 'metadata.generation') === at(object, 'metadata.generation')) return [];
  const template = path.slice(0, -'.spec'.length);
  return podWarnings(objectOf(at(object, template)), `${template}.`);
}
