import type { CustomForm } from '#api/custom/custom-form.ts';
import { sortedObject } from '#api/custom/sorted-json.ts';
import { structJson } from '#api/wire/json.ts';
import { formatGroupVersion, type Kind } from '#api/schema/kinds.ts';
import type { JsonObject } from '#api/meta/object.ts';
import type { Status } from '#api/generated/objects.ts';
import type { StoredValue, StoreEvent } from '#control-plane/store/store.ts';
import {
  eventBytes,
  partialShape,
  Shown,
  typedShape,
  type Shape,
} from '#control-plane/apiserver/objects/object-bytes.ts';
import type { Registry } from '#control-plane/apiserver/objects/registry.ts';
import type { Selection } from './selection.ts';
import { renderPartial, renderRow, renderTable, type Transform } from './transform.ts';

export type WatchEventType = 'ADDED' | 'MODIFIED' | 'DELETED';

/** Writes the lines of one watch. */
export interface EventEncoder {
  /** A value as it is, of an object that is there. */
  encode(type: WatchEventType, value: StoredValue): Uint8Array;
  /** A change; DELETED of an object that is there still shows it as it was when it was last seen. */
  encodeEvent(type: WatchEventType, event: StoreEvent): Uint8Array;
  /** Changes, for a watch that sees all. */
  encodeAll(events: readonly StoreEvent[]): Uint8Array;
  /** Changes, for a watch that sees some; empty where these are none of them. */
  encodeSelected(events: readonly StoreEvent[], selection: Selection): Uint8Array;
  bookmark(revision: number, isInitialEnd: boolean): Uint8Array;
  error(status: Status): Uint8Array;
}

export interface EventEncoderOptions {
  readonly registry: Registry;
  readonly kind: Kind;
  readonly transform: Transform | undefined;
  readonly now: () => number;
}

export function createEventEncoder(options: EventEncoderOptions): EventEncoder {
  const { kind, transform } = options;
  if (transform?.kind === 'table') return tableEncoder(options, transform);
  const apiVersion = formatGroupVersion(kind);
  if (transform === undefined) {
    const id = kind.custom === undefined ? apiVersion : `${apiVersion} ${idOf(kind.custom)}`;
    return shapeEncoder(options, { id, shape: typedShape(kind), show: (object) => object });
  }
  return shapeEncoder(options, {
    id: `partial ${transform.apiVersion}`,
    shape: partialShape(transform.apiVersion),
    show: (object) => renderPartial(transform, object),
  });
}

const ids = new WeakMap<CustomForm, number>();
let lastId = 0;

/** Of what events look like, as long as the definition of their kind is the same. */
function idOf(form: CustomForm): number {
  let id = ids.get(form);
  if (id === undefined) ids.set(form, (id = ++lastId));
  return id;
}

/*
 * Lines that any watcher of the kind gets alike, kept by the event (or batch) they tell of: what a thousand watchers see is
 * serialised once. The store hands the same event and batch to all live watchers of a prefix.
 */
const linesOfEvent = new WeakMap<StoreEvent, Map<string, Uint8Array>>();
const linesOfBatch = new WeakMap<readonly StoreEvent[], Map<string, Uint8Array>>();

function once<K extends object>(
  cache: WeakMap<K, Map<string, Uint8Array>>,
  key: K,
  form: string,
  make: () => Uint8Array,
): Uint8Array {
  let forms = cache.get(key);
  if (forms === undefined) cache.set(key, (forms = new Map()));
  let bytes = forms.get(form);
  if (bytes === undefined) forms.set(form, (bytes = make()));
  return bytes;
}

/** What is shown is cut out of the stored bytes. `id` names the shape among those of the kind; `show` does the same to a bookmark. */
function shapeEncoder(
  { registry, kind }: EventEncoderOptions,
  shown: {
    readonly id: string;
    readonly shape: Shape;
    readonly show: (object: JsonObject) => JsonObject;
  },
): EventEncoder {
  const { id, shape, show } = shown;
  const forms = { ADDED: `ADDED ${id}`, MODIFIED: `MODIFIED ${id}`, DELETED: `DELETED ${id}` };
  const encode = (type: WatchEventType, value: StoredValue): Uint8Array =>
    eventBytes(type, new Shown(shape, registry.storedOf(kind, value, shape.isPartial)));
  const encodeEvent = (type: WatchEventType, event: StoreEvent): Uint8Array =>
    once(linesOfEvent, event, forms[type], () => encode(type, shownValue(type, event)));
  return {
    encode,
    encodeEvent,
    encodeAll: (events) => {
      const [only] = events;
      if (events.length === 1 && only !== undefined) return encodeEvent(typeOf(only), only);
      return once(linesOfBatch, events, id, () =>
        Buffer.concat(events.map((event) => encodeEvent(typeOf(event), event))),
      );
    },
    // Those who ask the same are found together, and told of the same batch.
    encodeSelected: (events, selection) =>
      once(linesOfBatch, events, `${id} ${selection.id}`, () => encodeSeen(events, selection, encodeEvent)),
    bookmark: (revision, isInitialEnd) =>
      line('BOOKMARK', show(bookmarkObject(kind, revision, isInitialEnd))),
    error: (status) => line('ERROR', status),
  };
}

function tableEncoder(
  options: EventEncoderOptions,
  transform: Extract<Transform, { kind: 'table' }>,
): EventEncoder {
  const { registry, kind, now } = options;
  let withColumns = true;
  const show = (object: JsonObject, resourceVersion: string): JsonObject => {
    const table = { kind, transform, nowMs: now() };
    const shown = renderTable(table, { resourceVersion }, [renderRow(table, object)], withColumns);
    withColumns = false; // Only the first event of a watch says what the columns are.
    return shown;
  };
  const encode = (type: WatchEventType, value: StoredValue): Uint8Array =>
    line(type, show(registry.objectOf(kind, value), String(value.modRevision)));
  const encodeEvent = (type: WatchEventType, event: StoreEvent): Uint8Array =>
    encode(type, shownValue(type, event));
  return {
    encode,
    encodeEvent,
    encodeAll: (events) => Buffer.concat(events.map((event) => encodeEvent(typeOf(event), event))),
    encodeSelected: (events, selection) => encodeSeen(events, selection, encodeEvent),
    bookmark: (revision, isInitialEnd) =>
      line('BOOKMARK', show(bookmarkObject(kind, revision, isInitialEnd), String(revision))),
    error: (status) => line('ERROR', status),
  };
}

function encodeSeen(
  events: readonly StoreEvent[],
  selection: Selection,
  encodeEvent: EventEncoder['encodeEvent'],
): Uint8Array {
  const lines = events.flatMap((event) => {
    const type = seenAs(selection, event);
    return type === undefined ? [] : [encodeEvent(type, event)];
  });
  const [only] = lines;
  return only !== undefined && lines.length === 1 ? only : Buffer.concat(lines);
}

/** An object that comes to match is new to the watcher, one that no longer does is gone. */
function seenAs({ selects }: Selection, { type, current, previous }: StoreEvent): WatchEventType | undefined {
  const was = previous !== undefined && selects(previous);
  const is = type === 'put' && selects(current);
  if (!was) return is ? 'ADDED' : undefined;
  return is ? 'MODIFIED' : 'DELETED';
}

function typeOf(event: StoreEvent): WatchEventType {
  if (event.type === 'delete') return 'DELETED';
  return event.previous === undefined ? 'ADDED' : 'MODIFIED';
}

/** What the event shows. A DELETED object carries the revision of its going, and for the rest looks as it last did. */
function shownValue(type: WatchEventType, { current, previous }: StoreEvent): StoredValue {
  return type === 'DELETED' && previous !== undefined ? { ...current, value: previous.value } : current;
}

function bookmarkObject(kind: Kind, revision: number, isInitialEnd: boolean): JsonObject {
  const annotations = isInitialEnd ? { annotations: { 'k8s.io/initial-events-end': 'true' } } : {};
  const typed = { kind: kind.kind, apiVersion: formatGroupVersion(kind) };
  const resourceVersion = String(revision);
  if (kind.custom === undefined) return { ...typed, metadata: { resourceVersion, ...annotations } };
  return sortedObject({ ...typed, metadata: { resourceVersion, ...annotations } });
}

function line(type: string, object: unknown): Uint8Array {
  return Buffer.from(`${structJson({ type, object })}\n`);
}
