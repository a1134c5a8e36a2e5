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

/**
 * A catalogue that begins with the given kinds. Others come after them: groups by the alphabet, versions by preference. A change costs what
 * changes: the list of all is put in order when somebody asks for it.
 */
export function createKindCatalogue(initial: readonly ServedVersion[] = builtInVersions): KindCatalogue {
  const handlers = new Set<(change: KindChange) => void>();
  const order = orderAfter(initial);
  const byGroup = indexOf(initial);
  let versions: readonly ServedVersion[] | undefined = initial;
  const findVersion = (group: string, version: string): ServedVersion | undefined =>
    byGroup.get(group)?.get(version);
  const find = (group: string, version: string, resource: string): Kind | undefined =>
    findVersion(group, version)?.byResource.get(resource);
  const has = (kind: Kind): boolean => find(kind.group, kind.version, kind.resource) === kind;
  return {
    get versions() {
      versions ??= [...byGroup.values()].flatMap((own) => [...own.values()]).toSorted(order);
      return versions;
    },
    findVersion,
    find,
    findByName: (apiVersion, kind) => {
      const { group, version } = parseGroupVersion(apiVersion);
      return findVersion(group, version)?.byName.get(kind);
    },
    has,
    change: ({ removed = [], added = [] }) => {
      const real = { removed: removed.filter(has), added };
      if (real.removed.length === 0 && added.length === 0) return;
      for (const served of changed(findVersion, real)) replace(byGroup, served);
      versions = undefined;
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

type ByGroup = Map<string, Map<string, ServedVersion>>;

function indexOf(versions: readonly ServedVersion[]): ByGroup {
  const byGroup = Map.groupBy(versions, ({ group }) => group);
  return new Map(
    [...byGroup].map(([group, own]) => [group, new Map(own.map((served) => [served.version, served]))]),
  );
}

/** Puts a group version in its place; one without kinds goes. */
function replace(byGroup: ByGroup, served: ServedVersion): void {
  const { group, version, kinds } = served;
  let own = byGroup.get(group);
  if (own === undefined) byGroup.set(group, (own = new Map()));
  if (kinds.length > 0) own.set(version, served);
  else own.delete(version);
  if (own.size === 0) byGroup.delete(group);
}

/** The group versions that something happens to, as they are then. */
function changed(
  findVersion: KindCatalogue['findVersion'],
  { removed, added }: KindChange,
): readonly ServedVersion[] {
  const gone = new Set(removed);
  const additions = Map.groupBy(added, formatGroupVersion);
  const touched = new Set([...removed, ...added].map(formatGroupVersion));
  return [...touched].map((groupVersion) => {
    const { group, version } = parseGroupVersion(groupVersion);
    const left = findVersion(group, version)?.kinds.filter((kind) => !gone.has(kind)) ?? [];
    return checked({ group, version }, [...left, ...(additions.get(groupVersion) ?? [])]);
  });
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
