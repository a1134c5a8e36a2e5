import { findSubresource, type Kind } from '#api/schema/kinds.ts';
import { kindKey, particularKinds, rulesOf } from './rules-of.ts';
import type { ResetRule } from './rules.ts';

/** What a write of the object ('') or of one of its parts leaves as it was, whatever it says. */
export function resetRuleOf(kind: Kind, subresource: string): ResetRule {
  const rules = rulesOf(kind);
  const own = rules.reset?.[subresource];
  if (own !== undefined) return own;
  if (subresource === '') return { fields: findSubresource(kind, 'status') === undefined ? [] : ['status'] };
  if (subresource !== 'status') return { fields: [] };
  // A status of a custom object takes nothing along (apiextensions-apiserver, statusStrategy).
  if (kind.custom !== undefined || !particularKinds.has(kindKey(kind)))
    return { fields: ['metadata', 'spec'] };
  const labels = rules.keepsLabelsOnStatus === true ? ['metadata.labels'] : [];
  return { fields: ['spec', ...labels] };
}

/** Whether a write of the part leaves all metadata as it was, but for who owns what. */
export function keepsMetadata(kind: Kind, subresource: string): boolean {
  const rule = resetRuleOf(kind, subresource);
  return 'fields' in rule && rule.fields.includes('metadata');
}
