import type { CustomForm } from '#api/custom/custom-form.ts';
import { bareError } from '#api/errors/status.ts';
import type { JsonObject } from '#api/meta/object.ts';
import { formatGroupVersion, parseGroupVersion, type Kind } from '#api/schema/kinds.ts';
import { equalJson, objectOf, stringOf } from '#api/wire/json.ts';
import { ConversionsAhead } from './conversions-ahead.ts';
import { parseCustom, type StoredBytes } from './object-bytes.ts';

/** Converts objects of one kind to a version, all in one question. @throws {E_API} 500 in upstream's words */
export type ConvertObjects = (
  kind: Kind,
  objects: readonly JsonObject[],
  apiVersion: string,
) => Promise<readonly JsonObject[]>;

/**
 * Custom objects between the version that is stored and those that are asked for. Where a webhook converts them that is done ahead
 * (`prepare`, `prepareToStore`), so that reading and writing need not wait; what came of it is kept with the bytes, or the object.
 */
export class CustomObjects {
  /** Set where there are servers to ask; without, what would have to be converted cannot be read. */
  convert: ConvertObjects | undefined;
  readonly #converted = new WeakMap<Uint8Array, WeakMap<CustomForm, JsonObject>>();
  readonly #toStore = new WeakMap<JsonObject, JsonObject>();
  readonly #ahead = new ConversionsAhead();

  /** Of objects that are not stored: for owners of fields, in the versions in which they own them. Only within `settle`. */
  readonly findConverted = (from: Kind, object: JsonObject, to: Kind): JsonObject | undefined =>
    this.#ahead.of(from, object, to);

  /** Does work that needs objects in other versions, and asks webhooks for those. @throws what the work throws */
  settle<T>(work: () => T): Promise<T> {
    return this.#ahead.settle(async (from, object, to) => {
      const [converted = {}] = await this.#ask(from, [object], formatGroupVersion(to));
      return to.custom?.receive(converted) ?? converted;
    }, work);
  }

  /** Converts what of the values a webhook has to convert. */
  async prepare(kind: Kind, values: readonly StoredBytes[]): Promise<void> {
    const { custom } = kind;
    if (custom?.conversion.kind !== 'webhook') return;
    const wanted = formatGroupVersion(kind);
    const missing = values.flatMap((value) => {
      if (this.#converted.get(value.value)?.has(custom) === true) return [];
      const stored = parseCustom(value);
      return stored['apiVersion'] === wanted ? [] : [{ value, stored }];
    });
    const byVersion = Map.groupBy(missing, ({ stored }) => stringOf(stored['apiVersion']));
    for (const each of byVersion.values()) {
      const objects = each.map(({ stored }) => typed(kind, custom.revive(stored), stored));
      const converted = await this.#ask(kind, objects, wanted);
      for (const [index, { value }] of each.entries()) {
        let forms = this.#converted.get(value.value);
        if (forms === undefined) this.#converted.set(value.value, (forms = new WeakMap()));
        forms.set(custom, custom.receive(converted[index] ?? {}));
      }
    }
  }

  /**
   * Converts the value again where a webhook converted it before, which may have been mended since. Whether it is another object now.
   * @throws {E_API} 500 where it is not converted any more
   */
  async prepareAnew(kind: Kind, value: StoredBytes): Promise<boolean> {
    const { custom } = kind;
    const forms = this.#converted.get(value.value);
    const before = custom === undefined ? undefined : forms?.get(custom);
    if (custom === undefined || before === undefined) {
      await this.prepare(kind, [value]);
      return false;
    }
    const stored = parseCustom(value);
    const object = typed(kind, custom.revive(stored), stored);
    const [converted = {}] = await this.#ask(kind, [object], formatGroupVersion(kind));
    const received = custom.receive(converted);
    if (equalJson(withoutRevision(received), withoutRevision(before))) return false;
    forms?.set(custom, received);
    return true;
  }

  /** Converts an object that is about to be stored. */
  async prepareToStore(kind: Kind, object: JsonObject): Promise<void> {
    const { custom } = kind;
    if (custom?.conversion.kind !== 'webhook' || kind.version === custom.storageVersion) return;
    const wanted = formatGroupVersion({ group: kind.group, version: custom.storageVersion });
    const [converted = {}] = await this.#ask(kind, [object], wanted);
    this.#toStore.set(object, custom.receiveStored(converted));
  }

  /**
   * An object that is not stored, or as it is stored, in the version of `to`: for who is shown it there. Its version is the one that it says,
   * or that of `from`. @throws {E_API} 500 where a webhook does not convert it
   */
  async convertTo(from: Kind, object: JsonObject, to: Kind): Promise<JsonObject> {
    const { custom } = to;
    const said = stringOf(object['apiVersion']) || formatGroupVersion(from);
    const wanted = formatGroupVersion(to);
    if (custom?.conversion.kind !== 'webhook' || said === wanted) return object;
    const given = said === formatGroupVersion(from) ? object : custom.revive(object);
    const [converted = {}] = await this.#ask(to, [typed(to, given, { apiVersion: said })], wanted);
    return custom.receive(converted);
  }

  /** The object of stored bytes. */
  readonly parse = (kind: Kind, value: StoredBytes): JsonObject => {
    const { custom } = kind;
    const stored = parseCustom(value);
    if (custom === undefined) return stored;
    const { kind: conversion } = custom.conversion;
    const apiVersion = conversion === 'asStored' ? stringOf(stored['apiVersion']) : formatGroupVersion(kind);
    return { ...this.#shown(kind, custom, { value, stored }), apiVersion, kind: kind.kind };
  };

  #shown(
    kind: Kind,
    custom: CustomForm,
    { value, stored }: { readonly value: StoredBytes; readonly stored: JsonObject },
  ): JsonObject {
    const { version } = parseGroupVersion(stringOf(stored['apiVersion']));
    if (version === kind.version || custom.conversion.kind === 'asStored') return custom.revive(stored);
    if (custom.conversion.kind === 'none') return custom.receive(custom.revive(stored));
    const converted = this.#converted.get(value.value)?.get(custom);
    if (converted === undefined) throw bareError('a custom object was not converted ahead');
    const { resourceVersion } = objectOf(stored['metadata']);
    return { ...converted, metadata: { ...objectOf(converted['metadata']), resourceVersion } };
  }

  /** The object as it is stored. */
  toStored(kind: Kind, object: JsonObject): JsonObject {
    const { custom } = kind;
    if (custom === undefined || custom.conversion.kind === 'asStored') return object;
    if (kind.version === custom.storageVersion) return object;
    if (custom.conversion.kind === 'none') return custom.receiveStored(object);
    const converted = this.#toStore.get(object);
    if (converted === undefined) throw bareError('a custom object was not converted ahead');
    return converted;
  }

  /**
   * Whether a write of the object would store what is stored: not where that is of a version in which nothing is stored any more, or lacks
   * defaults. Whoever moves objects to a new version writes each as it is.
   */
  isStored(kind: Kind, value: StoredBytes, object: JsonObject): boolean {
    if (kind.custom === undefined) return true;
    const { kind: _kind, ...wanted } = this.toStored(kind, object);
    return equalJson(withoutRevision(parseCustom(value)), withoutRevision(wanted));
  }

  async #ask(kind: Kind, objects: readonly JsonObject[], apiVersion: string): Promise<readonly JsonObject[]> {
    if (this.convert === undefined) throw bareError('custom objects cannot be converted by this server');
    return this.convert(kind, objects, apiVersion);
  }
}

function withoutRevision(object: JsonObject): JsonObject {
  const { resourceVersion: _resourceVersion, ...metadata } = objectOf(object['metadata']);
  return { ...object, metadata };
}

function typed(kind: Kind, object: JsonObject, { apiVersion }: JsonObject): JsonObject {
  return { apiVersion, kind: kind.kind, ...object };
}
