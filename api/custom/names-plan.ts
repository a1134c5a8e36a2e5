import type { JsonObject } from '#api/meta/object.ts';
import { formatTime } from '#api/meta/time.ts';
import { approvalOf, type Finding } from './approval.ts';
import type { CustomNames, Definition } from './definition.ts';

/** Whose a name is already: of another definition of the group. */
export interface UsedNames {
  /** Plural, singular or short. */
  readonly hasResource: (name: string) => boolean;
  /** Kind or list kind. */
  readonly hasKind: (name: string) => boolean;
}

/** What a definition's status says of its names. */
export interface NamesPlan {
  readonly accepted: CustomNames;
  readonly conditions: readonly JsonObject[];
}

/**
 * Which names a definition gets, and what its conditions say then (apiextensions-apiserver, controllers naming, establishing and API
 * approval). Names that others have are left as they were accepted before; the last conflict is the one that is told. Conditions that say
 * what they said keep their time.
 */
export function planNames(definition: Definition, used: UsedNames, nowMs: number): NamesPlan {
  const { names, accepted } = definition;
  const taken = (name: string, known: string, has: (name: string) => boolean): string | undefined =>
    name === known || !has(name) ? undefined : `${JSON.stringify(name)} is already in use`;
  const plural = taken(names.plural, accepted.plural, used.hasResource);
  const singular = taken(names.singular, accepted.singular, used.hasResource);
  const shorts = names.shortNames.flatMap((name) =>
    accepted.shortNames.includes(name) ? [] : (taken(name, '', used.hasResource) ?? []),
  );
  const kind = taken(names.kind, accepted.kind, used.hasKind);
  const listKind = taken(names.listKind, accepted.listKind, used.hasKind);
  const conflicts: readonly (readonly [reason: string, message: string | undefined])[] = [
    ['PluralConflict', plural],
    ['SingularConflict', singular],
    ['ShortNamesConflict', shorts.length > 1 ? `[${shorts.join(', ')}]` : shorts[0]],
    ['KindConflict', kind],
    ['ListKindConflict', listKind],
  ];
  const last = conflicts.findLast(([, message]) => message !== undefined);
  const found: Finding =
    last === undefined
      ? { status: 'True', reason: 'NoConflicts', message: 'no conflicts found' }
      : { status: 'False', reason: last[0], message: last[1] ?? '' };
  const pick = <T>(isTaken: unknown, wanted: T, known: T): T => (isTaken === undefined ? wanted : known);
  return {
    accepted: {
      plural: pick(plural, names.plural, accepted.plural),
      singular: pick(singular, names.singular, accepted.singular),
      shortNames: shorts.length > 0 ? accepted.shortNames : names.shortNames,
      kind: pick(kind, names.kind, accepted.kind),
      listKind: pick(listKind, names.listKind, accepted.listKind),
      categories: names.categories,
    },
    conditions: conditionsOf(definition, found, nowMs),
  };
}

function conditionsOf(definition: Definition, names: Finding, nowMs: number): readonly JsonObject[] {
  const approval = approvalOf(definition);
  const established: Finding | undefined = definition.isEstablished
    ? undefined // Once it is it stays so.
    : names.status === 'True'
      ? {
          status: 'True',
          reason: 'InitialNamesAccepted',
          message: 'the initial names have been accepted',
        }
      : { status: 'False', reason: 'NotAccepted', message: 'not all names are accepted' };
  const changes: readonly (readonly [string, Finding | undefined])[] = [
    ['KubernetesAPIApprovalPolicyConformant', approval],
    ['NamesAccepted', names],
    ['Established', established],
  ];
  let { conditions } = definition;
  if (approval === undefined)
    conditions = conditions.filter(({ type }) => type !== 'KubernetesAPIApprovalPolicyConformant');
  for (const [type, finding] of changes) {
    if (finding !== undefined) conditions = withCondition(conditions, { type, ...finding }, nowMs);
  }
  return conditions;
}

/** The conditions with this one: in place of the one of its type, whose time it keeps while the status stays. */
export function withCondition(
  conditions: readonly JsonObject[],
  condition: { readonly type: string } & Finding,
  nowMs: number,
): readonly JsonObject[] {
  const { type, status, reason, message } = condition;
  const known = conditions.find((each) => each['type'] === type);
  if (known === undefined)
    return [...conditions, { type, status, lastTransitionTime: formatTime(nowMs), reason, message }];
  if (known['status'] === status && known['reason'] === reason && known['message'] === message)
    return conditions;
  const time = known['status'] === status ? known['lastTransitionTime'] : formatTime(nowMs);
  const next = { ...known, status, lastTransitionTime: time, reason, message };
  return conditions.map((each) => (each === known ? next : each));
}
