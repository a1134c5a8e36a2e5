import { equalJson, isObject } from '#api/wire/json.ts';
import { keysOf, identity } from './list-types.ts';
import { junctorCheck } from './junctors.ts';
import { formatOf, numberCheck, stringCheck, typeCheck } from './scalar-checks.ts';
import { emptySchema, memberSchema, type StructuralSchema } from './structural-schema.ts';
import { isOver, report, reportMissing, type Check, type Walk } from './walk.ts';

/** Made once for each schema, and of all that are equal in one document together. */
const checks = new WeakMap<StructuralSchema, Check>();

/** The check of a schema. */
export function checkOf(schema: StructuralSchema): Check {
  const known = checks.get(schema);
  if (known !== undefined) return known;
  const made = makeCheck(schema);
  checks.set(schema, made);
  return made;
}

/** What is asked of values of one kind of JSON; undefined where nothing is. */
interface Parts {
  readonly type: Check | undefined;
  readonly junctor: Check | undefined;
  readonly string: Check | undefined;
  readonly number: Check | undefined;
  readonly list: Check | undefined;
  readonly enum: Check | undefined;
  readonly object: Check | undefined;
}

const passes: Check = () => 1;

function makeCheck(schema: StructuralSchema): Check {
  if (schema === emptySchema) return passes;
  const parts: Parts = {
    type: typeCheck(schema),
    junctor: junctorCheck(schema, checkOf),
    string: stringCheck(schema, formatOf(schema)),
    number: numberCheck(schema),
    list: listCheck(schema),
    enum: enumCheck(schema),
    object: objectCheck(schema),
  };
  const forNull = present([parts.type, parts.enum]);
  const forText = present([parts.type, parts.junctor, parts.string, parts.enum]);
  const forNumber = present([parts.type, parts.junctor, parts.number, parts.enum]);
  const forFlag = present([parts.type, parts.junctor, parts.enum]);
  const forList = present([parts.type, parts.junctor, parts.list, parts.enum]);
  const forObject = present([parts.type, parts.junctor, parts.enum, parts.object]);
  return (walk, value, old) => {
    walk.steps++;
    if (isOver(walk)) return 0;
    if (value === null || value === undefined) return runAll(forNull, walk, null, old);
    if (typeof value === 'string') return 1 + runAll(forText, walk, value, old);
    if (typeof value === 'number') return 1 + runAll(forNumber, walk, value, old);
    if (typeof value === 'boolean') return 1 + runAll(forFlag, walk, value, old);
    return 1 + runAll(Array.isArray(value) ? forList : forObject, walk, value, old);
  };
}

function present(list: readonly (Check | undefined)[]): readonly Check[] {
  return list.filter((check) => check !== undefined);
}

function runAll(list: readonly Check[], walk: Walk, value: unknown, old: unknown): number {
  let matches = 0;
  for (const check of list) matches += 1 + check(walk, value, old);
  return matches;
}

/**
 * Checks a part of a value. What was there before may stay as it is, whatever the schema says by now (KEP-4008): its errors go, and so
 * do those within anything that did not change.
 */
export function checkPart(check: Check, walk: Walk, value: unknown, old: unknown): number {
  const { failures } = walk;
  const told = walk.errors.length;
  const matches = check(walk, value, old);
  if (walk.failures > failures && old !== undefined && equalJson(old, value)) {
    walk.failures = failures;
    walk.errors.length = told;
  }
  return matches;
}

function enumCheck({ checks: asked, nullable }: StructuralSchema): Check | undefined {
  const values = asked?.enum;
  if (values === undefined) return undefined;
  const texts = new Set(values.filter((value) => typeof value === 'string'));
  const others = values.filter((value) => typeof value !== 'string');
  const listed = values
    .map((value) => JSON.stringify(typeof value === 'string' ? value : JSON.stringify(value)))
    .join(', ');
  return (walk, value) => {
    walk.steps += others.length;
    if (typeof value === 'string' && texts.has(value)) return 0;
    if (value === null && nullable) return 0;
    if (others.some((other) => equalJson(other, value))) return 0;
    report(walk, 'NotSupported', value, () => `supported values: ${listed}`);
    return 0;
  };
}

function listCheck({ items, extensions, checks: asked = {} }: StructuralSchema): Check | undefined {
  const { minItems, maxItems, uniqueItems = false } = asked;
  const isPlain = minItems === undefined && maxItems === undefined && !uniqueItems;
  if (items === undefined && isPlain) return undefined;
  const check = items === undefined ? undefined : checkOf(items);
  const keys = extensions?.listType === 'map' ? extensions.listMapKeys : undefined;
  return (walk, value, old) => {
    const list = value as readonly unknown[];
    const matches = check === undefined ? 0 : checkItems(check, walk, list, oldItems(keys, list, old));
    if (minItems !== undefined && list.length < minItems) {
      report(
        walk,
        'Invalid',
        list.length,
        (place) => `${place} in body should have at least ${minItems} items`,
      );
    }
    if (maxItems !== undefined && list.length > maxItems) {
      report(walk, 'TooMany', list.length, () => `${list.length}: must have at most ${maxItems} items`);
    }
    if (uniqueItems && new Set(list.map(identity)).size < list.length) {
      report(walk, 'Invalid', '', (place) => `${place} in body shouldn't contain duplicates`);
    }
    return matches + 1;
  };
}

function checkItems(
  check: Check,
  walk: Walk,
  list: readonly unknown[],
  oldOf: (index: number) => unknown,
): number {
  let matches = 0;
  for (let index = 0; index < list.length && !isOver(walk); index++) {
    walk.path.push(index);
    matches += checkPart(check, walk, list[index], oldOf(index));
    walk.path.pop();
  }
  return matches;
}

/** Only items of maps can be told again: an atomic list or a set changes as a whole. */
function oldItems(
  keys: readonly string[] | undefined,
  list: readonly unknown[],
  old: unknown,
): (index: number) => unknown {
  if (keys === undefined || !Array.isArray(old)) return () => undefined;
  let byKey: Map<string, unknown> | undefined;
  return (index) => {
    byKey ??= new Map(old.toReversed().map((item: unknown) => [identity(keysOf(item, keys)), item]));
    return byKey.get(identity(keysOf(list[index], keys)));
  };
}

interface Members {
  readonly properties: ReadonlyMap<string, Check>;
  readonly others: Check | undefined;
  readonly isClosed: boolean;
}

function objectCheck(schema: StructuralSchema): Check | undefined {
  const { properties, additionalProperties, checks: asked = {} } = schema;
  const { minProperties, maxProperties, required = [] } = asked;
  const others = memberSchema(schema);
  const members: Members = {
    properties: new Map([...(properties ?? [])].map(([name, member]) => [name, checkOf(member)])),
    others: others === undefined ? undefined : checkOf(others),
    isClosed: additionalProperties === false,
  };
  const looksWithin = members.properties.size > 0 || members.others !== undefined || members.isClosed;
  const isBounded = minProperties !== undefined || maxProperties !== undefined;
  if (!looksWithin && !isBounded && required.length === 0) return undefined;
  return (walk, value, old) => {
    if (!isObject(value)) return 0;
    const count = isBounded ? Object.keys(value).length : 0;
    if (minProperties !== undefined && count < minProperties) {
      report(
        walk,
        'Invalid',
        count,
        (place) => `${place} in body should have at least ${minProperties} properties`,
      );
      return 0;
    }
    if (maxProperties !== undefined && count > maxProperties) {
      report(walk, 'TooMany', count, () => `${count}: must have at most ${maxProperties} items`);
      return 0;
    }
    const matches = looksWithin ? checkMembers(members, walk, value, isObject(old) ? old : {}) : 0;
    walk.steps += required.length;
    for (const name of required) if (!Object.hasOwn(value, name)) reportMissing(walk, name);
    return matches;
  };
}

function checkMembers(
  { properties, others, isClosed }: Members,
  walk: Walk,
  value: Readonly<Record<string, unknown>>,
  old: Readonly<Record<string, unknown>>,
): number {
  let matches = 0;
  for (const name of Object.keys(value)) {
    if (isOver(walk)) break;
    const known = properties.get(name);
    const check = known ?? others;
    if (check !== undefined) {
      walk.path.push(name);
      matches += checkPart(check, walk, value[name], Object.hasOwn(old, name) ? old[name] : undefined);
      walk.path.pop();
    }
    if (known === undefined && isClosed) {
      report(walk, 'Invalid', name, (place) => `${place}.${name} in body is a forbidden property`);
    }
  }
  return matches;
}
