import { goJson, isObject, listOf, stringOf } from '#api/wire/json.ts';
import type { JsonObject } from '#api/meta/object.ts';

/*
 * The rules of server-side apply (KEP-555) over plain sets of paths, for objects of the type of example.fixture.ts: nothing of it is
 * shared with what it is compared with. A path is text: `m`, `m.x`, `k[a]`, `k[a].v`, `s[x]`. A leaf has a value, what holds others has
 * `true`.
 */

export type Paths = ReadonlyMap<string, unknown>;

/** Fields of structs: who owns what is below has a say in them. */
const named = ['a', 'b', 'n', 'm', 'k', 's', 'l', 'w'];
const holders = new Set(['n', 'm', 'k', 's']);

/** All paths of an object. */
export function pathsOfObject(object: JsonObject): Paths {
  const paths = new Map<string, unknown>();
  for (const name of named) {
    const value = object[name];
    if (value === undefined) continue;
    paths.set(name, holders.has(name) ? true : goJson(value));
    if (name === 'n' || name === 'm') addMembers(paths, name, value);
    if (name === 's') for (const item of listOf(value)) paths.set(`s[${stringOf(item)}]`, true);
    if (name === 'k') {
      for (const item of listOf(value)) {
        const own = `k[${isObject(item) ? stringOf(item['name']) : ''}]`;
        paths.set(own, true);
        addMembers(paths, own, item);
      }
    }
  }
  return paths;
}

function addMembers(paths: Map<string, unknown>, path: string, value: unknown): void {
  if (isObject(value)) for (const [key, member] of Object.entries(value)) paths.set(`${path}.${key}`, member);
}

/** What a configuration names: of structs, maps and lists what is in them. */
function pathsOfConfig(config: JsonObject): Paths {
  return new Map([...pathsOfObject(config)].filter(([path]) => !holders.has(path)));
}

export interface Model {
  readonly object: Paths;
  /** By manager and operation. */
  readonly owners: ReadonlyMap<string, ReadonlySet<string>>;
}

/** Whether a path is the other, or below it. */
function isWithin(path: string, root: string): boolean {
  return path === root || path.startsWith(`${root}.`) || path.startsWith(`${root}[`);
}

function changes(
  old: Paths,
  next: Paths,
): { readonly taken: ReadonlySet<string>; readonly gone: ReadonlySet<string> } {
  const taken = [...next].filter(([path, value]) => !old.has(path) || old.get(path) !== value);
  return {
    taken: new Set(taken.map(([path]) => path)),
    gone: new Set([...old.keys()].filter((path) => !next.has(path))),
  };
}

function withoutOwnersOfNothing(owners: ReadonlyMap<string, ReadonlySet<string>>): Model['owners'] {
  return new Map([...owners].filter(([, paths]) => paths.size > 0));
}

/** A write of the whole object by somebody. */
export function modelUpdate({ object, owners }: Model, next: Paths, manager: string): Model {
  if (owners.size === 0 && object.size > 0) return { object: next, owners };
  const { taken, gone } = changes(object, next);
  const left = new Map([...owners].map(([id, paths]) => [id, paths.difference(taken).difference(gone)]));
  const id = `${manager} Update`;
  left.set(id, (left.get(id) ?? new Set()).union(taken));
  return { object: next, owners: withoutOwnersOfNothing(left) };
}

/** An application; undefined: a conflict. */
export function modelApply(
  { object, owners: before }: Model,
  config: JsonObject,
  { manager, isForced }: { readonly manager: string; readonly isForced: boolean },
): Model | undefined {
  const id = `${manager} Apply`;
  const isFirst = before.size === 0 && object.size > 0;
  const owners = isFirst ? new Map([['before-first-apply Update', new Set(object.keys())]]) : before;
  const applied = pathsOfConfig(config);
  const last = owners.get(id) ?? new Set<string>();
  const others = [...owners].filter(([other]) => other !== id);
  const owned = new Set([...others.flatMap(([, paths]) => [...paths]), ...applied.keys()]);
  const next = new Map([...object, ...pathsOfObject(config)]);
  const given = [...last].filter((path) => !owned.has(path));
  const empty = named.filter(
    (name) =>
      [...last].some((path) => isWithin(path, name)) && ![...owned].some((path) => isWithin(path, name)),
  );
  for (const root of [...given, ...empty])
    for (const path of next.keys()) if (isWithin(path, root)) next.delete(path);
  const { taken, gone } = changes(object, next);
  if (!isForced && others.some(([, paths]) => paths.intersection(taken).size > 0)) return undefined;
  const left = new Map(others.map(([other, paths]) => [other, paths.difference(taken).difference(gone)]));
  left.set(id, new Set(applied.keys()));
  // What nothing is left of goes, but whoever owns it does not hear of it.
  for (const name of holders)
    if (![...next.keys()].some((path) => path !== name && isWithin(path, name))) next.delete(name);
  return { object: next, owners: withoutOwnersOfNothing(left) };
}
