import { forbidden } from '#api/status.ts';
import type { Kind } from '#api/kinds.ts';
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
  if (kind.group === '' && kind.resource === 'nodes') {
    const cause = `node ${JSON.stringify(node)} is not allowed to modify node ${JSON.stringify(name)}`;
    throw forbidden(kind, name, cause);
  }
  const isLease = kind.group === 'coordination.k8s.io' && kind.resource === 'leases';
  if (isLease && namespace === 'kube-node-lease') {
    throw forbidden(kind, name, 'can only access node lease with the same name as the requesting node');
  }
}
