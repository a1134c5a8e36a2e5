import { at, stringOf } from '#api/wire/json.ts';
import { formatGroupVersion, type Kind } from '#api/schema/kinds.ts';
import type { JsonObject } from '#api/meta/object.ts';
import { isPodwrightError } from '#base/errors.ts';
import type { User } from './serve/request.ts';
import { noPolicyBook } from './chain/admission/policies/policy-book.ts';
import { noHooks } from './chain/admission/webhooks/hook-book.ts';
import type { ServerContext } from './server-context.ts';
import { createObject } from './verbs/create.ts';
import { serverManager } from './verbs/owners.ts';

/** As whom the server writes what it needs itself. */
export const serverUser: User = { name: 'system:apiserver', groups: ['system:masters'] };

/** Makes an object where there is none of its name. No hook or policy is asked: one that refuses it would keep the server from starting. */
export async function ensure(context: ServerContext, kind: Kind, object: JsonObject): Promise<void> {
  const namespace = stringOf(at(object, 'metadata.namespace'));
  const present = await context.registry.read(kind, namespace, stringOf(at(object, 'metadata.name')));
  if (present === undefined) await makeUnlessThere(context, kind, object);
}

/** As `ensure`, of what was not there when somebody looked. @param manager whose it is */
export async function makeUnlessThere(
  context: ServerContext,
  kind: Kind,
  object: JsonObject,
  manager: string = serverManager,
): Promise<void> {
  const namespace = stringOf(at(object, 'metadata.namespace'));
  const typed = { kind: kind.kind, apiVersion: formatGroupVersion(kind), ...object };
  try {
    await createObject(
      { ...context, hooks: noHooks, policies: noPolicyBook },
      {
        kind,
        namespace,
        object: typed,
        user: serverUser,
        dryRun: false,
        manager,
      },
    );
  } catch (error) {
    if (!isPodwrightError(error, 'E_API') || error.detail['reason'] !== 'AlreadyExists') throw error;
  }
}
