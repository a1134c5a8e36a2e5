import type { JsonObject } from '#api/meta/object.ts';
import { equalJson, isObject, objectOf } from '#api/wire/json.ts';

/** An OpenAPI v2 document of another server, of which the paths of one group version are taken. */
export interface RemoteDocument {
  readonly group: string;
  readonly version: string;
  readonly document: JsonObject;
}

const prefix = '#/definitions/';

/**
 * A document of OpenAPI v2 with the paths of other servers and the definitions that these use. A definition that is another under the same name
 * is called `NAME_v2`, `NAME_v3`, … (kube-openapi, aggregator.MergeSpecsIgnorePathConflict).
 */
export function mergeOpenApiV2(own: JsonObject, remotes: readonly RemoteDocument[]): JsonObject {
  const paths = new Map(Object.entries(objectOf(own['paths'])));
  const definitions = new Map(Object.entries(objectOf(own['definitions'])));
  for (const { group, version, document } of remotes) {
    const root = `/apis/${group}/${version}`;
    const taken = Object.entries(objectOf(document['paths'])).filter(
      ([path]) => (path === root || path === `${root}/` || path.startsWith(`${root}/`)) && !paths.has(path),
    );
    const used = definitionsUsed(
      taken.map(([, value]) => value),
      objectOf(document['definitions']),
    );
    const names = namesFor(used, definitions);
    for (const [name, value] of used) {
      const given = names.get(name) ?? name;
      if (!definitions.has(given)) definitions.set(given, renamed(value, names));
    }
    for (const [path, value] of taken) paths.set(path, renamed(value, names));
  }
  return { ...own, paths: Object.fromEntries(paths), definitions: Object.fromEntries(definitions) };
}

/** Those that are referred to, and those that these refer to. */
function definitionsUsed(roots: readonly unknown[], definitions: JsonObject): ReadonlyMap<string, unknown> {
  const used = new Map<string, unknown>();
  const waiting = roots.flatMap(refsOf);
  for (let name = waiting.pop(); name !== undefined; name = waiting.pop()) {
    if (used.has(name) || !Object.hasOwn(definitions, name)) continue;
    const value = definitions[name];
    used.set(name, value);
    waiting.push(...refsOf(value));
  }
  return used;
}

function refsOf(value: unknown): string[] {
  const found: string[] = [];
  const waiting: unknown[] = [value];
  while (waiting.length > 0) {
    const next = waiting.pop();
    if (Array.isArray(next)) waiting.push(...(next as readonly unknown[]));
    else if (isObject(next)) {
      const ref = next['$ref'];
      if (typeof ref === 'string' && ref.startsWith(prefix)) found.push(ref.slice(prefix.length));
      waiting.push(...Object.values(next));
    }
  }
  return found;
}

/** What those are to be called whose names mean something else already. */
function namesFor(
  used: ReadonlyMap<string, unknown>,
  known: ReadonlyMap<string, unknown>,
): ReadonlyMap<string, string> {
  const names = new Map<string, string>();
  for (const [name, value] of used) {
    let given = name;
    for (let count = 2; known.has(given) && !equalJson(known.get(given), value); count++)
      given = `${name}_v${count}`;
    if (given !== name) names.set(name, given);
  }
  return names;
}

function renamed(value: unknown, names: ReadonlyMap<string, string>): unknown {
  if (names.size === 0) return value;
  if (Array.isArray(value)) return value.map((each) => renamed(each, names));
  if (!isObject(value)) return value;
  return Object.fromEntries(
    Object.entries(value).map(([key, each]) => {
      const isRef = key === '$ref' && typeof each === 'string' && each.startsWith(prefix);
      const name = isRef ? names.get(each.slice(prefix.length)) : undefined;
      return [key, name === undefined ? renamed(each, names) : `${prefix}${name}`];
    }),
  );
}
