import type { Kind } from '#api/schema/kinds.ts';
import type { StoreEvent, WatchInterest } from '#control-plane/store/store.ts';
import { labelsOf } from './selectable.ts';
import type { Registry } from './registry.ts';
import { nameInKey } from './storage-key.ts';

type TopicsOf = WatchInterest['topicsOf'];

/** Watches of one name. */
export function nameInterest(name: string): WatchInterest {
  return { topicsOf: nameTopics, topic: name };
}

const nameTopics: TopicsOf = ({ key }) => [nameInKey(key)];

/** Watches of objects with this label. */
export function labelInterest(key: string, value: string): WatchInterest {
  return { topicsOf: labelTopics, topic: labelTopic(key, value) };
}

/** A label's key has no such sign. */
function labelTopic(key: string, value: string): string {
  return `${key}=${value}`;
}

const labelTopics: TopicsOf = (event) => {
  const [is, was] = [labelsOf(event.current.value), event.previous && labelsOf(event.previous.value)];
  const topics = new Set<string>();
  for (const key of Object.keys(is)) topics.add(labelTopic(key, is[key] ?? ''));
  if (was !== undefined && was !== is)
    for (const key of Object.keys(was)) topics.add(labelTopic(key, was[key] ?? ''));
  return [...topics];
};

const fieldTopicsOf = new WeakMap<Registry, WeakMap<Kind, TopicsOf>>();

/** Watches of objects of a kind with this value in one of its fields, by its place in `ownFieldsOf(kind)`. */
export function fieldInterest(registry: Registry, kind: Kind, place: number, value: string): WatchInterest {
  let byKind = fieldTopicsOf.get(registry);
  if (byKind === undefined) fieldTopicsOf.set(registry, (byKind = new WeakMap()));
  let topicsOf = byKind.get(kind);
  if (topicsOf === undefined) byKind.set(kind, (topicsOf = (event) => fieldTopics(registry, kind, event)));
  return { topicsOf, topic: fieldTopic(place, value) };
}

function fieldTopic(place: number, value: string): string {
  return `${place}=${value}`;
}

function fieldTopics(registry: Registry, kind: Kind, { current, previous }: StoreEvent): readonly string[] {
  const is = registry.fieldsOf(kind, current);
  const topics = is.map((value, place) => fieldTopic(place, value));
  if (previous === undefined) return topics;
  const was = registry.fieldsOf(kind, previous);
  for (const [place, value] of was.entries()) if (is[place] !== value) topics.push(fieldTopic(place, value));
  return topics;
}
