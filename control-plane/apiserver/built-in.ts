import { findKind, type Kind } from '#api/schema/kinds.ts';
import { PodwrightError } from '#base/errors.ts';

/** A built-in kind that the server itself works with. */
export function builtIn(group: string, version: string, resource: string): Kind {
  const kind = findKind(group, version, resource);
  if (kind === undefined) {
    throw new PodwrightError(
      'E_INTERNAL',
      `find kind ${group}/${version} ${resource}: it is missing from the facts`,
    );
  }
  return kind;
}
