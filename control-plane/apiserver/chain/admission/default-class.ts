import { at, stringOf } from '#api/wire/json.ts';
import type { Kind } from '#api/schema/kinds.ts';
import type { JsonObject } from '#api/meta/object.ts';
import type { ServerContext } from '#control-plane/apiserver/server-context.ts';

/** The name of the class of a kind that one of the annotations says is the default: of several the newest, of those the first by name. */
export async function defaultClass(
  context: ServerContext,
  kind: Kind,
  annotations: readonly string[],
): Promise<string | undefined> {
  const classes = await context.registry.readAll(kind, '');
  return classes
    .filter((found) => annotations.some((name) => annotation(found, name) === 'true'))
    .map((found) => ({
      name: stringOf(at(found, 'metadata.name')),
      created: stringOf(at(found, 'metadata.creationTimestamp')),
    }))
    .toSorted((a, b) => compareText(b.created, a.created) || compareText(a.name, b.name))[0]?.name;
}

/** The value of an annotation; undefined without. */
export function annotation(object: JsonObject, name: string): unknown {
  return at(object, ['metadata', 'annotations', name]);
}

function compareText(a: string, b: string): number {
  if (a === b) return 0;
  return a < b ? -1 : 1;
}
