/**
 * Reading image documents at the edge: unknown JSON in, checked values out. Each reader names the place of what is wrong,
 * so that a person can find it: `image manifest: layers[2].digest: not a string`.
 */
import { clip } from '#api/errors/field-error.ts';
import { PodwrightError } from '#base/errors.ts';
import { digestForm, isDigest } from './digest.ts';

/** Largest document of the registry protocol that we read, in bytes (distribution implementations bound manifests at 4 MiB). */
export const documentBytesMax: number = 4 * 1024 * 1024;

/** Characters of a text of a document that an error shows. */
const shownLengthMax = 256;

/** A value and where it was found. */
export interface Place {
  readonly value: unknown;
  readonly path: string;
}

/** Text of a document in an error. */
export function shortened(text: string): string {
  return clip(text, shownLengthMax);
}

/** @throws E_INVALID */
export function parseDocument(what: string, bytes: Uint8Array | string): Place {
  if (bytes.length > documentBytesMax) throw invalid(what, `larger than ${documentBytesMax} bytes`);
  const text = typeof bytes === 'string' ? bytes : Buffer.from(bytes).toString('utf8');
  try {
    const value: unknown = JSON.parse(text);
    return { value, path: what };
  } catch (cause) {
    throw new PodwrightError('E_INVALID', `parse ${what}: not JSON`, { cause });
  }
}

/** The field of an object; its value is undefined when absent or null (Go writes null for an empty slice). */
export function field(of: Place, name: string): Place {
  const { value } = of;
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw invalid(of.path, 'not an object');
  const found: unknown = Object.hasOwn(value, name) ? (value as Record<string, unknown>)[name] : undefined;
  return { value: found ?? undefined, path: `${of.path}: ${name}` };
}

export function string(of: Place): string {
  if (typeof of.value !== 'string') throw invalid(of.path, 'not a string');
  return of.value;
}

export function optionalString(of: Place): string | undefined {
  return of.value === undefined ? undefined : string(of);
}

/** A count of bytes: a safe integer that is not negative. */
export function size(of: Place): number {
  if (!Number.isSafeInteger(of.value) || Number(of.value) < 0) throw invalid(of.path, 'not a size');
  return Number(of.value);
}

/** The items of an array; none when it is absent. */
export function items(of: Place): readonly Place[] {
  if (of.value === undefined) return [];
  if (!Array.isArray(of.value)) throw invalid(of.path, 'not an array');
  return of.value.map((value: unknown, at) => ({ value, path: `${of.path}[${at}]` }));
}

export function strings(of: Place): readonly string[] {
  return items(of).map(string);
}

/** A map from string to string; empty when absent. */
export function stringMap(of: Place): Readonly<Record<string, string>> {
  return Object.fromEntries(keys(of).map((key) => [key, string(field(of, key))]));
}

/** The keys of an object (a Go set is an object of empty objects); none when it is absent. */
export function keys(of: Place): readonly string[] {
  if (of.value === undefined) return [];
  if (typeof of.value !== 'object' || of.value === null || Array.isArray(of.value)) {
    throw invalid(of.path, 'not an object');
  }
  return Object.keys(of.value);
}

export function digest(of: Place): string {
  const text = string(of);
  if (!isDigest(text)) throw invalid(of.path, `${JSON.stringify(text)} is no digest: ${digestForm}`);
  return text;
}

/** Both may be made of what the document says: they are shown as far as a person reads. */
export function invalid(path: string, why: string): PodwrightError {
  return new PodwrightError('E_INVALID', `read ${shortened(path)}: ${shortened(why)}`);
}
