import { PodwrightError } from '#base/errors.ts';
import { formatGroupVersion, parseGroupVersion, type GroupVersion, type Kind } from './kinds.ts';
import { builtInVersions, servedVersion, type ServedVersion } from './served-version.ts';
import { compareVersions } from './version-order.ts';

/** What comes and what goes, in one step: a kind whose schema changes goes and comes. */
export interface KindChange {
  readonly removed: readonly Kind[];
  readonly added: readonly Kind[];
}

/** The kinds that a server has now. They are values: whoever holds one that went still holds what it was. */
export interface KindCatalogue {
  /**
   * All that is served, in discovery order, which is order of preference. Another list after every change: it is the version of the
   * catalogue. What is made of it holds for as long as it is the same, and so does what is made of one of its items.
   */
  readonly versions: readonly ServedVersion[];
  findVersion(group: string, version: string): ServedVersion | undefined;
  /** By group ('' is core), version and plural name. */
  find(group: string, version: string, resource: string): Kind | undefined;
  /** By `apps/v1` (or `v1`) and `Deployment`. */
  findByName(apiVersion: string, kind: string): Kind | undefined;
  /** Whether this very kind is served: one that was replaced is not. */
  has(kind: Kind): boolean;
  /**
   * Kinds that were not there are not missed.
   * @throws {E_EXISTS} when a name or plural is taken in its group version; then nothing is changed
   */
  change(change: Partial<KindChange>): void;
  /** `handler` is called after each change, before `change` returns, with what really came and went. */
  onChange(handler: (change: KindChange) => void): Disposable;
}

/** A catalogue that begins with the given kinds. Others come after them: groups by the alphabet, versions by preference. */
export function createKindCatalogue(initial: readonly ServedVersion[] = builtInVersions): KindCatalogue {
  const handlers = new Set<(change: KindChange) => void>();
  let versions = initial;
  let byGroup = indexOf(versions);
  const findVersion = (group: string, version: string): ServedVersion | undefined =>
    byGroup.get(group)?.get(version);
  const has = (kind: Kind): boolean => findVersion(kind.group, kind.version)?.kinds.includes(kind) === true;
  return {
    get versions() {
      return versions;
    },
    findVersion,
    find: (group, version, resource) => findVersion(group, version)?.byResource.get(resource),
    findByName: (apiVersion, kind) => {
      const { group, version } = parseGroupVersion(apiVersion);
      return findVersion(group, version)?.byName.get(kind);
    },
    has,
    change: ({ removed = [], added = [] }) => {
      const real = { removed: removed.filter(has), added };
      if (real.removed.length === 0 && added.length === 0) return;
      versions = changed(versions, real).toSorted(orderAfter(initial));
      byGroup = indexOf(versions);
      for (const handler of handlers) handler(real);
    },
    onChange: (handler) => {
      // One that is added twice is called twice.
      const own = (change: KindChange): void => handler(change);
      handlers.add(own);
      return { [Symbol.dispose]: () => void handlers.delete(own) };
    },
  };
}

function indexOf(
  versions: readonly ServedVersion[],
): ReadonlyMap<string, ReadonlyMap<string, ServedVersion>> {
  const byGroup = Map.groupBy(versions, ({ group }) => group);
  return new Map(
    [...byGroup].map(([group, own]) => [group, new Map(own.map((served) => [served.version, served]))]),
  );
}

/** What is served then, in no order. Group versions that nothing happens to stay the same values. */
function changed(versions: readonly ServedVersion[], { removed, added }: KindChange): ServedVersion[] {
  const gone = new Set(removed);
  const additions = Map.groupBy(added, formatGroupVersion);
  const kept = versions.flatMap((served) => {
    const own = additions.get(formatGroupVersion(served)) ?? [];
    const left = served.kinds.filter((kind) => !gone.has(kind));
    if (own.length === 0 && left.length === served.kinds.length) return [served];
    const kinds = [...left, ...own];
    return kinds.length === 0 ? [] : [checked(served, kinds)];
  });
  const known = new Set(versions.map(formatGroupVersion));
  const fresh = [...additions].filter(([groupVersion]) => !known.has(groupVersion));
  return [...kept, ...fresh.map(([groupVersion, kinds]) => checked(parseGroupVersion(groupVersion), kinds))];
}

function checked(groupVersion: GroupVersion, kinds: readonly Kind[]): ServedVersion {
  const served = servedVersion(groupVersion, kinds);
  if (served.byResource.size < kinds.length || served.byName.size < kinds.length) {
    const where = formatGroupVersion(groupVersion);
    const names = kinds.map(({ kind, resource }) => `${kind} (${resource})`).join(', ');
    throw new PodwrightError('E_EXISTS', `add kinds to ${where}: two share a name or plural of ${names}`);
  }
  return served;
}

/** Those of the initial ones come first, as they stood. */
function orderAfter(initial: readonly ServedVersion[]): (a: ServedVersion, b: ServedVersion) => number {
  const places = new Map(initial.map((served, index) => [formatGroupVersion(served), index]));
  const groups = new Map(initial.map(({ group }, index) => [group, index] as const).toReversed()); // The first of each stays.
  const last = initial.length;
  return (a, b) => {
    if (a.group !== b.group) {
      const difference = (groups.get(a.group) ?? last) - (groups.get(b.group) ?? last);
      return difference !== 0 ? difference : a.group < b.group ? -1 : 1;
    }
    const difference =
      (places.get(formatGroupVersion(a)) ?? last) - (places.get(formatGroupVersion(b)) ?? last);
    return difference !== 0 ? difference : compareVersions(a.version, b.version);
  };
}
