/** Judges watchers, and the store as it is in the end, against the history. Pure. */
import { at, stringOf } from '#api/wire/json.ts';
import {
  claimsOf,
  type History,
  digestOf,
  keyOf,
  namespace,
  resources,
  type Dump,
  type Held,
  type Told,
  type Watched,
} from './history.ts';

/** Every watcher was told all that was written from its list on, in order, and all of them the same. */
export function judgeWatchers(watched: readonly Watched[], history: History): readonly string[] {
  const digests = new Map<number, readonly [string, string]>();
  const same = (watcher: string, { revision, key, type, digest }: Told): readonly string[] => {
    const text = `${key} ${type === 'DELETED' ? 'deleted' : 'put'} ${digest}`;
    const [other, theirs] = digests.get(revision) ?? [watcher, text];
    digests.set(revision, [other, theirs]);
    return theirs === text ? [] : [`${watcher}: revision ${revision} is ${text}, and for ${other} ${theirs}`];
  };
  return watched.flatMap(({ name, resource, stretches }) => [
    ...stretches.flatMap(({ events }) => events.flatMap((event) => same(name, event))),
    ...stretches.flatMap((stretch) => {
      const to = stretch.events.at(-1)?.revision ?? stretch.from;
      const written = [...history.byKey]
        .filter(([key]) => key.startsWith(`${resource}/`))
        .flatMap(([, entries]) => entries)
        .filter(({ revision }) => revision > stretch.from && revision <= to)
        .toSorted((a, b) => a.revision - b.revision);
      const want = written.map(
        ({ revision, key, value }) => `${key}@${revision}${value === undefined ? ' gone' : ''}`,
      );
      const told = stretch.events.map(
        ({ revision, key, type }) => `${key}@${revision}${type === 'DELETED' ? ' gone' : ''}`,
      );
      const index = want.findIndex((text, position) => text !== told[position]);
      if (index < 0 && want.length === told.length) return [];
      const position = index < 0 ? want.length : index;
      return [
        `${name}: from ${stretch.from} on, event ${position} is ${told[position]} instead of ${want[position]}`,
      ];
    }),
  ]);
}

/** What a watcher holds after all that it was told. */
export function stateOf({ stretches }: Watched): ReadonlyMap<string, Held> {
  const last = stretches.at(-1);
  const state = new Map(last?.listed);
  for (const { key, revision, type, digest } of last?.events ?? []) {
    if (type === 'DELETED') state.delete(key);
    else state.set(key, { revision, digest });
  }
  return state;
}

/** The campaign's objects in the store, as a watcher of a resource has them. */
export function storedState(dump: Dump, resource: string): ReadonlyMap<string, Held> {
  const prefix = `/registry/${folders[resource] ?? resource}/${namespace}/`;
  return new Map(
    [...dump]
      .filter(([key]) => key.startsWith(prefix))
      .map(([key, { revision, value }]) => [
        keyOf(resource, key.slice(prefix.length)),
        { revision, digest: digestOf(value) },
      ]),
  );
}

/** Where a real cluster has them (kube-apiserver's storage of core/v1). */
const folders: Readonly<Record<string, string>> = { services: 'services/specs' };

/** Watchers and history end where the store does, and the store's claims are those of its Services. */
export function judgeEnd(dump: Dump, watched: readonly Watched[], history: History): readonly string[] {
  const text = (state: ReadonlyMap<string, Held>): string =>
    JSON.stringify([...state].toSorted(([a], [b]) => (a < b ? -1 : 1)));
  return [
    ...watched.flatMap((watcher) =>
      differences(watcher.name, stateOf(watcher), storedState(dump, watcher.resource)),
    ),
    ...resources.flatMap((resource) => {
      const stored = [...storedState(dump, resource)].map(([key, { revision }]) => [key, revision] as const);
      const ends = [...history.byKey]
        .filter(([key, entries]) => key.startsWith(`${resource}/`) && entries.at(-1)?.value !== undefined)
        .map(([key, entries]) => [key, entries.at(-1)?.revision ?? 0] as const);
      const asHeld = (pairs: readonly (readonly [string, number])[]): ReadonlyMap<string, Held> =>
        new Map(pairs.map(([key, revision]) => [key, { revision, digest: '' }]));
      return text(asHeld(stored)) === text(asHeld(ends))
        ? []
        : differences('history', asHeld(ends), asHeld(stored));
    }),
    ...judgeStoredClaims(dump),
  ];
}

function differences(
  name: string,
  has: ReadonlyMap<string, Held>,
  stored: ReadonlyMap<string, Held>,
): readonly string[] {
  return [...new Set([...has.keys(), ...stored.keys()])].flatMap((key) => {
    const [one, other] = [has.get(key), stored.get(key)];
    if (one?.revision === other?.revision && one?.digest === other?.digest) return [];
    const what =
      one?.revision === other?.revision
        ? 'other bytes'
        : `revision ${one?.revision} instead of ${other?.revision}`;
    return [`${name} ends with ${key} of ${what}`];
  });
}

/** Each address and port is claimed by the one that holds it, and nothing else is claimed. */
function judgeStoredClaims(dump: Dump): readonly string[] {
  const folder = '/registry/ranges/';
  const owners = new Map<string, string>();
  const faults: string[] = [];
  for (const [key, { value }] of dump) {
    if (!key.startsWith('/registry/services/specs/')) continue;
    for (const claim of claimsOf(value)) {
      if (owners.has(claim)) faults.push(`${key}: ${claim} is held twice`);
      owners.set(claim, stringOf(at(value, 'metadata.uid')));
    }
  }
  for (const [key, { value }] of dump) {
    if (!key.startsWith(folder)) continue;
    const claim = key.slice(folder.length);
    if (owners.get(claim) !== value['uid'])
      faults.push(`${claim} is claimed by ${String(value['uid'])} and held by ${owners.get(claim)}`);
    owners.delete(claim);
  }
  return [...faults, ...[...owners].map(([claim, uid]) => `${claim} is held by ${uid} without a claim`)];
}
