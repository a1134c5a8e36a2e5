import type { CustomResourceDefinition } from '#api/generated/objects.ts';
import type { KubeObject } from '#api/meta/object.ts';
import type { KindRef } from '#api/schema/kind-ref.ts';
import { PodwrightError } from '#base/errors.ts';

/**
 * The kind that a CustomResourceDefinition makes, for a typed client; T is what `podwright types` writes of its schema.
 * `version` is one of those that are served; default: the one that is stored, else the first.
 * @throws {E_INVALID} where the definition lacks what a kind has, or does not serve the version
 */
export function kindOf<T extends KubeObject = KubeObject>(
  definition: CustomResourceDefinition,
  version?: string,
): KindRef<T> {
  const { group = '', names, scope, versions = [] } = definition.spec ?? {};
  const served = versions.filter((each) => each.served);
  const chosen =
    version === undefined
      ? (served.find((each) => each.storage) ?? served[0])
      : served.find((each) => each.name === version);
  const name = definition.metadata?.name ?? '';
  if (chosen === undefined)
    throw new PodwrightError(
      'E_INVALID',
      `make a kind of ${name}: it serves no version${version === undefined ? '' : ` ${version}`}`,
    );
  const { kind = '', plural = '' } = names ?? {};
  if (group === '' || kind === '' || plural === '')
    throw new PodwrightError(
      'E_INVALID',
      `make a kind of ${name}: it has no group, or no names.kind and names.plural`,
    );
  return { group, version: chosen.name, kind, resource: plural, namespaced: scope !== 'Cluster' };
}
