import { at, objectOf, stringOf } from '#api/json.ts';
import type { Kind } from '#api/kinds.ts';
import type { JsonObject } from '#api/object.ts';
import { parseQuantity, quantityToInteger } from '#api/quantity.ts';
import { forbidden } from '#api/status.ts';
import { builtIn } from '#control-plane/apiserver/built-in.ts';
import type { ServerContext } from '#control-plane/apiserver/server-context.ts';

const quotas = builtIn('', 'v1', 'resourcequotas');

/** Refuses an object that a quota on the number of its kind has no room for. @throws {E_API} 403 */
export async function checkQuotas(
  context: ServerContext,
  input: { readonly kind: Kind; readonly namespace: string; readonly object: JsonObject },
): Promise<void> {
  const { kind, namespace, object } = input;
  const present = await context.registry.readAll(quotas, namespace);
  if (present.length === 0) return;
  const names = countNames(kind);
  const bounds = present.flatMap((quota) => {
    const hard = objectOf(at(quota, 'spec.hard'));
    return names.flatMap((name) =>
      hard[name] === undefined ? [] : [{ quota, name, limit: stringOf(hard[name]) }],
    );
  });
  if (bounds.length === 0) return;
  const { values } = await context.registry.store.range(context.registry.prefixOf(kind, namespace));
  for (const { quota, name, limit } of bounds) {
    if (values.length < quantityToInteger(parseQuantity(limit))) continue;
    const subject = stringOf(at(object, 'metadata.name')) || stringOf(at(object, 'metadata.generateName'));
    const used = `requested: ${name}=1, used: ${name}=${values.length}, limited: ${name}=${limit}`;
    throw forbidden(kind, subject, `exceeded quota: ${stringOf(at(quota, 'metadata.name'))}, ${used}`);
  }
}

/** `configmaps` and `count/configmaps`; `count/deployments.apps`. */
function countNames(kind: Kind): readonly string[] {
  return kind.group === ''
    ? [kind.resource, `count/${kind.resource}`]
    : [`count/${kind.resource}.${kind.group}`];
}
