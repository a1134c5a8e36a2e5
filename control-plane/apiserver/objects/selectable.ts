import { readOwnFields } from '#api/meta/field-selector.ts';
import type { JsonObject } from '#api/meta/object.ts';
import type { Kind } from '#api/schema/kinds.ts';
import { at, stringMapOf } from '#api/wire/json.ts';
import { metadataMember } from './object-bytes.ts';

/*
 * What selectors ask of an object, kept with its bytes and gone with them: its labels, and the fields that its kind can be selected
 * by. It is taken from the object as it is written, or found when it is first asked for: labels without parsing. Objects that have
 * the same share it, so that of most an object has two pointers.
 */

/** Labels of an object; not to be changed. */
export type Labels = Readonly<Record<string, string>>;

/** The fields of a kind, beyond those that all have. */
interface OwnFields {
  readonly kind: Kind;
  readonly values: readonly string[];
}

const labels: unique symbol = Symbol('its labels');
const fields: unique symbol = Symbol('fields that it can be selected by');

/** Bytes as they are stored, which never change. */
type Marked = Uint8Array & { [labels]?: Labels; [fields]?: OwnFields };

/** How many different ones are remembered for others to share, and how long each may be as text. */
export const sharedCountMax = 4096;
const sharedLengthMax = 1024;

/** Values that are made of a text, one for all who have the same text; the oldest are forgotten, and then made again. */
export class Shared<T> {
  readonly #byText = new Map<string, T>();

  get size(): number {
    return this.#byText.size;
  }

  get(text: string, make: () => T): T {
    const known = this.#byText.get(text);
    if (known !== undefined) return known;
    const made = make();
    if (text.length > sharedLengthMax) return made;
    if (this.#byText.size >= sharedCountMax) {
      for (const oldest of this.#byText.keys()) {
        this.#byText.delete(oldest);
        break;
      }
    }
    this.#byText.set(text, made);
    return made;
  }
}

const noLabels: Labels = {};
const sharedLabels = new Shared<Labels>();
const sharedFields = new WeakMap<Kind, Shared<OwnFields>>();

/** The labels of a stored object. */
export function labelsOf(stored: Marked): Labels {
  return (stored[labels] ??= findLabels(stored));
}

function findLabels(stored: Uint8Array): Labels {
  const place = metadataMember(stored, 'labels');
  if (place === undefined) return noLabels;
  const bytes = Buffer.from(stored.buffer, stored.byteOffset + place.start, place.end - place.start);
  const text = bytes.toString();
  return sharedLabels.get(text, () => stringMapOf(JSON.parse(text)));
}

/** Of kinds that are stored as another, beside the bytes: these have the fields of the kind that is stored. */
const fieldsOfViews = new WeakMap<Kind, WeakMap<Uint8Array, OwnFields>>();

/** The values of a stored object in the fields of `ownFieldsOf(kind)`; `objectOf` parses it where they are not known. */
export function fieldsOf(kind: Kind, stored: Marked, objectOf: () => JsonObject): readonly string[] {
  if (kind.storedAs !== undefined) return fieldsOfView(kind, stored, objectOf);
  const known = stored[fields];
  if (known?.kind === kind) return known.values;
  const found = shareFields(kind, readOwnFields(kind, objectOf()));
  stored[fields] = found;
  return found.values;
}

function fieldsOfView(kind: Kind, stored: Uint8Array, objectOf: () => JsonObject): readonly string[] {
  let known = fieldsOfViews.get(kind);
  if (known === undefined) fieldsOfViews.set(kind, (known = new WeakMap()));
  let found = known.get(stored);
  if (found === undefined) known.set(stored, (found = shareFields(kind, readOwnFields(kind, objectOf()))));
  return found.values;
}

/** Keeps what is asked of it with the bytes of an object that is at hand. */
export function rememberSelectable(kind: Kind, stored: Marked, object: JsonObject): void {
  const own = at(object, 'metadata.labels');
  const map = stringMapOf(own);
  stored[labels] =
    own === undefined || own === null ? noLabels : sharedLabels.get(JSON.stringify(map), () => map);
  stored[fields] = shareFields(kind, readOwnFields(kind, object));
}

function shareFields(kind: Kind, values: readonly string[]): OwnFields {
  let shared = sharedFields.get(kind);
  if (shared === undefined) sharedFields.set(kind, (shared = new Shared()));
  return shared.get(values.join('\0'), () => ({ kind, values }));
}
