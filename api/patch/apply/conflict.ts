import { statusError } from '#api/errors/status.ts';
import { formatPath } from './path-element.ts';
import { ownerId, type Owner } from './owner.ts';
import type { PodwrightError } from '#base/errors.ts';

/** A field that somebody else owns, and that an application would change. */
export interface Conflict {
  readonly owner: Owner;
  readonly path: readonly string[];
}

/** 409 with a cause for each field (apimachinery managedfields, NewConflictError). */
export function applyConflict(conflicts: readonly Conflict[]): PodwrightError {
  const causes = conflicts.map(({ owner, path }) => ({
    reason: 'FieldManagerConflict',
    message: `conflict with ${nameOf(owner)}`,
    field: formatPath(path),
  }));
  return statusError(409, 'Conflict', messageOf(conflicts), { causes });
}

function messageOf(conflicts: readonly Conflict[]): string {
  const [first] = conflicts;
  if (first !== undefined && conflicts.length === 1) {
    return `Apply failed with 1 conflict: conflict with ${nameOf(first.owner)}: ${formatPath(first.path)}`;
  }
  const lines: string[] = [];
  const byOwner = Map.groupBy(conflicts, ({ owner }) => ownerId(owner));
  for (const id of [...byOwner.keys()].toSorted()) {
    const ofOwner = byOwner.get(id) ?? [];
    const owner = ofOwner[0]?.owner;
    if (owner !== undefined) lines.push(`conflicts with ${nameOf(owner)}:`);
    for (const { path } of ofOwner) lines.push(`- ${formatPath(path)}`);
  }
  return `Apply failed with ${conflicts.length} conflicts: ${lines.join('\n')}`;
}

function nameOf({ manager, operation, apiVersion, subresource }: Owner): string {
  const part = subresource === '' ? '' : ` with subresource ${JSON.stringify(subresource)}`;
  const version = operation === 'Update' ? ` using ${apiVersion}` : '';
  return `${JSON.stringify(manager)}${part}${version}`;
}
