import { rulesOf } from '#api/kinds/rules-of.ts';
import { forbidden } from '#api/errors/status.ts';
import type { User } from '#control-plane/apiserver/serve/request.ts';
import type { AdmissionAttributes, AdmissionPlugin, Handling } from './admission.ts';

/**
 * A node writes its own Node and its own heartbeat, not those of others (plugin/pkg/admission/noderestriction). The rest of what
 * that plugin refuses comes with Node authorisation.
 */
export const nodeRestriction: AdmissionPlugin = {
  name: 'NodeRestriction',
  handles: handlingOf,
  admit: (_context, { attributes }) => checkWrite(attributes),
};

/** Which node a user is, by name and group; undefined for everybody else. */
export function nodeNameOf({ name, groups }: User): string | undefined {
  const prefix = 'system:node:';
  return name.startsWith(prefix) && groups.includes('system:nodes') ? name.slice(prefix.length) : undefined;
}

function handlingOf({ operation, verb, kind, user }: AdmissionAttributes): Handling {
  if (nodeNameOf(user) === undefined || rulesOf(kind).refuseNode === undefined) return 'no';
  // Through a proxy nothing is written but by what is behind it.
  return operation === 'connect' && (verb === 'get' || verb === 'create') ? 'no' : 'atOnce';
}

function checkWrite({ kind, namespace, name, user }: AdmissionAttributes): undefined {
  const node = nodeNameOf(user);
  if (node === undefined || name === node) return;
  const cause = rulesOf(kind).refuseNode?.({ node, namespace, name });
  if (cause !== undefined) throw forbidden(kind, name, cause);
}
