import type { Signature } from '#api/cel/check/signature.ts';
import { addresses } from './addresses.ts';
import { access, accessSelectors } from './authorizer.ts';
import { namedFormats } from './formats.ts';
import { extendedLists } from './extended-lists.ts';
import { lists, sets } from './lists.ts';
import { operatorSignatures } from './operators.ts';
import { optionals } from './optionals.ts';
import { quantities } from './quantities.ts';
import { regex } from './regex.ts';
import { semver } from './semver.ts';
import { standard } from './standard.ts';
import { strings } from './strings.ts';
import { urls } from './urls.ts';

/** Some functions, and the minor release of Kubernetes 1 that brought them; 0 for what has always been there. */
export interface Library {
  readonly name: string;
  readonly since: number;
  readonly functions: readonly Signature[];
}

/** All of Kubernetes 1.36 that needs no server (apiserver/pkg/cel/environment, base.go). */
export const libraries: readonly Library[] = [
  { name: 'operators', since: 0, functions: operatorSignatures },
  { name: 'standard', since: 0, functions: standard },
  { name: 'strings', since: 0, functions: strings },
  { name: 'lists', since: 0, functions: lists },
  { name: 'regex', since: 0, functions: regex },
  { name: 'urls', since: 0, functions: urls },
  { name: 'authorizer', since: 27, functions: access },
  { name: 'optionals', since: 28, functions: optionals },
  { name: 'quantity', since: 28, functions: quantities },
  { name: 'sets', since: 29, functions: sets },
  { name: 'ip and cidr', since: 30, functions: addresses },
  { name: 'format', since: 31, functions: namedFormats },
  { name: 'selectors of the authorizer', since: 31, functions: accessSelectors },
  { name: 'semver', since: 33, functions: semver },
  { name: 'extended lists', since: 34, functions: extendedLists },
];

/** The release that has to understand what is written today: one may go back to it. */
const compatibleRelease = 35;

/** What new expressions may use: what the release before knows, too. What is stored may use all. */
export type Uses = 'all' | 'compatible';

const byUse: Readonly<Record<Uses, ReadonlyMap<string, readonly Signature[]>>> = {
  all: byName(libraries),
  compatible: byName(libraries.filter(({ since }) => since <= compatibleRelease)),
};

function byName(some: readonly Library[]): ReadonlyMap<string, readonly Signature[]> {
  return Map.groupBy(
    some.flatMap(({ functions }) => functions),
    ({ name }) => name,
  );
}

/** Functions by their names. */
export function libraryFor(uses: Uses): ReadonlyMap<string, readonly Signature[]> {
  return byUse[uses];
}
