import { formatGroupVersion, type Kind } from '#api/schema/kinds.ts';
import type { KindEffect, PartEffect } from './effect.ts';
import { particularKinds, rulesOf } from './rules-of.ts';
import type { KindRules } from './rules.ts';
import type { JsonObject } from '#api/meta/object.ts';

/** By group and kind: what becomes of the objects of every kind that is served. A test fails for one that is missing. */
export const kindEffects: Readonly<Record<string, KindEffect>> = membersOf('effect');

/** Parts of kinds that are acted on which have no effect yet. */
export const partEffects: Readonly<Record<string, readonly PartEffect[]>> = membersOf('unactedParts');

/** What a client that writes the object is told of what will not come of it: texts of Warning headers. */
export function effectWarnings(kind: Kind, object: JsonObject): readonly string[] {
  const { effect, unactedParts = [] } = rulesOf(kind);
  if (effect?.kind === 'unacted') {
    const name = `${formatGroupVersion(kind)} ${kind.kind}`;
    return [`${name} is stored, but podwright does not act on it yet: ${effect.what}`];
  }
  const parts = unactedParts.flatMap(({ what, find }) =>
    find(object).map((part) => `${part}: stored, but podwright does not act on it yet: ${what}`),
  );
  return parts;
}

/** The table of docs/kinds.md. */
export function renderKindEffects(): string {
  const rows = Object.entries(kindEffects).map(([key, effect]) => {
    const name = key.startsWith('/') ? key.slice(1) : key;
    switch (effect.kind) {
      case 'acted':
        return `| ${name} | yes | \`${effect.by}\` |`;
      case 'inert':
        return `| ${name} | nor does Kubernetes | ${effect.why} |`;
      default:
        return `| ${name} | **not yet**, warned | ${effect.what} |`;
    }
  });
  const parts = Object.entries(partEffects).flatMap(([key, list]) =>
    list.map(({ part, what }) => `| ${key.replace(/^\//, '')} | ${part} | ${what} |`),
  );
  return [
    '# What is acted on',
    '',
    'Every kind of the API can be stored, listed and watched. This is what becomes of its objects; a write of one that nothing acts on yet is',
    'answered with a Warning, which kubectl prints. Written from `api/kinds/` by a test (`npx vitest run api/kind-effects -u`).',
    '',
    '| kind | acted on | by what, or what does not happen |',
    '|---|---|---|',
    ...rows,
    '',
    'Parts of kinds that are acted on:',
    '',
    '| kind | part | what does not happen |',
    '|---|---|---|',
    ...parts,
    '',
  ].join('\n');
}

function membersOf<M extends keyof KindRules>(
  member: M,
): Readonly<Record<string, NonNullable<KindRules[M]>>> {
  return Object.fromEntries(
    [...particularKinds].flatMap(([key, { [member]: value }]) => (value === undefined ? [] : [[key, value]])),
  );
}
