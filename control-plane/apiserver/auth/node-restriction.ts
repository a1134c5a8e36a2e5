import { forbidden } from '#api/status.ts';
import type { Kind } from '#api/kinds.ts';
import { rulesOf } from '#api/kinds/rules-of.ts';
import type { User } from '#control-plane/apiserver/request.ts';

/** Which node a user is, by name and group; undefined for everybody else. */
export function nodeNameOf({ name, groups }: User): string | undefined {
  const prefix = 'system:node:';
  return name.startsWith(prefix) && groups.includes('system:nodes') ? name.slice(prefix.length) : undefined;
}

/** A write: to an object by its name, as created or as the path says. */
export interface Write {
  readonly kind: Kind;
  readonly namespace: string;
  readonly name: string;
}

/**
 * A node writes its own Node and its own heartbeat, not those of others (plugin/pkg/admission/noderestriction). The rest of what
 * that plugin refuses comes with Node authorisation.
 * @throws {E_API} 403
 */
export function checkNodeWrite(user: User, { kind, namespace, name }: Write): void {
  const node = nodeNameOf(user);
  if (node === undefined || name === node) return;
  const cause = rulesOf(kind).refuseNode?.({ node, namespace, name });
  if (cause !== undefined) throw forbidden(kind, name, cause);
}
