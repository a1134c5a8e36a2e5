import { isObject, listOf, objectOf, setOwn, type Draft } from '#api/wire/json.ts';
import { atomFor, type Atom, type ListAtom, type MapAtom } from './atom.ts';
import { itemElement } from './list-item.ts';

/**
 * A configuration merged into an object: scalars and wholes are those of the configuration where it names them, maps merge member by
 * member, keyed lists and sets item by item (structured-merge-diff, TypedValue.Merge). Neither is changed; the result shares with both.
 * undefined stands for absent, null for null.
 */
export function mergeValues(atom: Atom, live: unknown, config: unknown): unknown {
  const { map, list } = mergedAtom(atom, live, config);
  if (map !== undefined && !map.isAtomic && (hasMembers(live) || hasMembers(config)))
    return mergeMaps(map, live, config);
  const isMerged = map === undefined && list !== undefined && list.relation !== 'atomic';
  if (isMerged && (listOf(live).length > 0 || listOf(config).length > 0))
    return mergeLists(list, live, config);
  return config === undefined ? live : config;
}

/** Where one kind of value takes the place of another, the new one says what it is; null is of any. */
function mergedAtom(atom: Atom, live: unknown, config: unknown): Atom {
  return config === undefined || config === null ? atomFor(atom, live) : atomFor(atom, config);
}

function hasMembers(value: unknown): boolean {
  return isObject(value) && Object.keys(value).length > 0;
}

function mergeMaps(map: MapAtom, live: unknown, config: unknown): Draft | undefined {
  const [before, given] = [objectOf(live), objectOf(config)];
  const merged: Draft = {};
  let isAny = false;
  const add = (name: string, ofLive: unknown, ofConfig: unknown): void => {
    const atom = map.field(name) ?? map.rest;
    // What no schema knows stays as it is: nobody owns it.
    const value = atom === undefined ? (ofConfig ?? ofLive) : mergeValues(atom, ofLive, ofConfig);
    if (value === undefined) return;
    setOwn(merged, name, value);
    isAny = true;
  };
  for (const name of Object.keys(before)) {
    const ofConfig = Object.hasOwn(given, name) ? given[name] : undefined;
    add(name, before[name], ofConfig);
  }
  for (const name of Object.keys(given)) if (!Object.hasOwn(before, name)) add(name, undefined, given[name]);
  return isAny ? merged : undefined;
}

interface Item {
  readonly element: string;
  readonly value: unknown;
}

/**
 * Items of both. Those of the configuration stand in its order, each behind the items of the object that stood before it there; what is
 * there twice under one key gives way to one item of the configuration.
 */
function mergeLists(list: ListAtom, live: unknown, config: unknown): readonly unknown[] | undefined {
  const before = elementsOf(list, live);
  const given = elementsOf(list, config);
  const byElement = new Map<string, unknown>();
  for (const { element, value } of before) byElement.set(element, byElement.has(element) ? null : value);
  const ofConfig = new Map(given.map(({ element, value }) => [element, value]));
  const merged: unknown[] = [];
  const add = (ofLive: unknown, value: unknown): void => {
    const item = mergeValues(list.item, ofLive, value);
    if (item !== undefined) merged.push(item);
  };
  for (const step of mergeOrder(before, given, byElement, ofConfig)) {
    if (step.from === 'live') add(step.value, undefined);
    else add(byElement.get(step.element), ofConfig.get(step.element));
  }
  return merged.length > 0 ? merged : undefined;
}

type Step =
  | { readonly from: 'live'; readonly value: unknown }
  | { readonly from: 'config'; readonly element: string };

/** In which order items are taken (structured-merge-diff 6, mergingWalker.visitListItems). */
function mergeOrder(
  before: readonly Item[],
  given: readonly Item[],
  byElement: ReadonlyMap<string, unknown>,
  ofConfig: ReadonlyMap<string, unknown>,
): readonly Step[] {
  const steps: Step[] = [];
  const shared = given.filter(({ element }) => byElement.has(element)).map(({ element }) => element);
  const done = new Set<string>();
  let nextShared = 0;
  let [atLive, atConfig] = [0, 0];
  while (atLive < before.length || atConfig < given.length) {
    const ofLive = before[atLive];
    const next = given[atConfig];
    if (ofLive !== undefined && next !== undefined) {
      if (ofLive.element === next.element) {
        done.add(next.element);
        steps.push({ from: 'config', element: next.element });
        atLive++;
        atConfig++;
        nextShared++;
        continue;
      }
      const isShared = ofConfig.has(ofLive.element);
      if (isShared && shared[nextShared] !== undefined && shared[nextShared] !== ofLive.element) {
        atLive++; // It comes where the configuration has it.
        continue;
      }
    }
    if (ofLive !== undefined) {
      if (!ofConfig.has(ofLive.element)) {
        steps.push({ from: 'live', value: ofLive.value });
        atLive++;
        continue;
      }
      if (done.has(ofLive.element)) atLive++;
    }
    if (next !== undefined) {
      done.add(next.element);
      steps.push({ from: 'config', element: next.element });
      atConfig++;
      if (shared[nextShared] === next.element) nextShared++;
    } else if (ofLive !== undefined && !done.has(ofLive.element)) atLive++;
  }
  return steps;
}

function elementsOf(list: ListAtom, value: unknown): readonly Item[] {
  return listOf(value).flatMap((item) => {
    const { element } = itemElement(list, item);
    return element === undefined ? [] : [{ element, value: item }];
  });
}
