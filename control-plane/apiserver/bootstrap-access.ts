import { at, stringOf, typed } from '#api/wire/json.ts';
import type { JsonObject } from '#api/meta/object.ts';
import type { Kind } from '#api/schema/kinds.ts';
import { settleAll } from '#base/settle-all.ts';
import {
  bootstrapPolicy,
  reconcile,
  type Present,
  type Wanted,
} from './chain/authz/rbac/bootstrap-policy.ts';
import { makeUnlessThere } from './ensure.ts';
import type { ServerContext } from './server-context.ts';

/**
 * Roles and bindings that every cluster has, made or given what they lack. What somebody deleted comes back with the next start. They
 * are written together, as the store then makes one write of them to the disk.
 */
export async function ensureAccess(context: ServerContext): Promise<void> {
  const byKind = Map.groupBy(bootstrapPolicy(), ({ kind }) => kind);
  await settleAll([...byKind].map(([kind, wanted]) => ensureKind(context, kind, wanted)));
}

async function ensureKind(context: ServerContext, kind: Kind, wanted: readonly Wanted[]): Promise<void> {
  const objects = await context.registry.readAll(kind, '');
  const present = new Map(objects.map((object) => [keyOf(object), object]));
  await settleAll(
    wanted.map((one) => {
      const found = present.get(`${one.namespace ?? ''}/${one.name}`);
      return found === undefined ? makeUnlessThere(context, kind, objectOf(one)) : bringUp(context, one);
    }),
  );
}

function keyOf(object: JsonObject): string {
  return `${stringOf(at(object, 'metadata.namespace'))}/${stringOf(at(object, 'metadata.name'))}`;
}

function objectOf({ kind: _kind, name, namespace, labels, annotations, ...rest }: Wanted): JsonObject {
  const metadata = { name, ...(namespace === undefined ? {} : { namespace }), labels, annotations };
  return { metadata, ...rest };
}

async function bringUp(context: ServerContext, wanted: Wanted): Promise<void> {
  const { kind, namespace = '', name } = wanted;
  const { decision } = await context.registry.change(kind, { namespace, name }, (current) => {
    const object = current?.object ?? {};
    if (current === undefined) return { write: 'nothing', object } as const;
    const next = reconcile(typed<Present>(object), wanted);
    if (next.action === 'keep') return { write: 'nothing', object } as const;
    if (next.action === 'recreate') return { write: 'remove', object } as const;
    return { write: 'put', object: { ...object, ...next.object } } as const;
  });
  if (decision.write === 'remove') await makeUnlessThere(context, kind, objectOf(wanted));
}
