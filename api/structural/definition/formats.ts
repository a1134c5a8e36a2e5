import type { JsonObject } from '#api/meta/object.ts';
import { isKnownFormat } from '#api/structural/formats.ts';
import { stringOf } from '#api/wire/json.ts';
import { schemasWithin } from './json-schema.ts';

/** Formats that nobody checks, each once, in the order in which they come. */
export function unknownFormats(json: JsonObject): readonly string[] {
  const found = new Set<string>();
  const left = [json];
  for (let next = left.pop(); next !== undefined; next = left.pop()) {
    const format = stringOf(next['format']);
    if (format !== '' && !isKnownFormat(format, stringOf(next['type']))) found.add(format);
    left.push(...schemasWithin(next).toReversed());
  }
  return [...found];
}
