import type { Kind } from '#api/kinds.ts';
import type { JsonObject } from '#api/object.ts';
import type { Entry } from '#control-plane/apiserver/registry.ts';
import type { ServerContext } from '#control-plane/apiserver/server-context.ts';
import { applyLimitRanges } from './limit-range.ts';
import { takeRoom } from './resource-quota.ts';

/**
 * What the namespace says of a pod that is resized: its LimitRanges hold, and its quotas have room for what is added. The
 * caller disposes the turn once the pod is stored or given up. @throws {E_API} 403
 */
export async function admitResize(
  context: ServerContext,
  resize: {
    readonly kind: Kind;
    readonly namespace: string;
    readonly current: Entry;
    readonly object: JsonObject;
  },
): Promise<Disposable | undefined> {
  const { kind, namespace, current, object } = resize;
  await applyLimitRanges(context, namespace, object); // For its complaints: defaults are for new pods.
  return takeRoom(context, { kind, namespace, object, before: current.object });
}
