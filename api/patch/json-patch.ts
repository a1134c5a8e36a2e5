import { cloneJson, equalJson, isObject, setOwn, type Draft } from '#api/wire/json.ts';
import { badRequest, patchRejected, statusError } from '#api/errors/status.ts';

/** More operations than this are refused, as kube-apiserver does. */
export const jsonPatchOperationCountMax = 10_000;

/**
 * What all copies of one patch may add, in bytes of JSON: a few dozen copies that double the object would else fill the memory.
 * kube-apiserver's bound: that of a request body.
 */
const copiedBytesMax = 3 * 1024 * 1024;

const operations = new Set(['add', 'remove', 'replace', 'move', 'copy', 'test']);

/**
 * RFC 6902. The base is not changed.
 * @throws {E_API} 400 when the patch is malformed, 413 when too long, 422 when it does not apply (a failing test, a path that is not there)
 */
export function applyJsonPatch(base: unknown, patch: unknown): unknown {
  if (!Array.isArray(patch)) {
    const found = isObject(patch) ? 'object' : typeof patch;
    throw badRequest(
      `error decoding patch: json: cannot unmarshal ${found} into Go value of type []handlers.jsonPatchOp`,
    );
  }
  if (patch.length > jsonPatchOperationCountMax) {
    const message = `The allowed maximum operations in a JSON patch is ${jsonPatchOperationCountMax}, got ${patch.length}`;
    throw statusError(413, 'RequestEntityTooLarge', message, {});
  }
  let document: Document = { root: cloneJson(base), copiedBytes: 0 };
  for (const operation of patch) document = applyOperation(document, operation);
  return document.root;
}

interface Document {
  root: unknown;
  copiedBytes: number;
}

/**
 * By hand: what a library does with members named `constructor` or `prototype`, which labels and data may have, is to pass them over, so
 * that a move comes to be one of the whole into itself.
 */
function applyOperation(document: Document, operation: unknown): Document {
  if (!isObject(operation)) throw badRequest('error decoding patch: an operation is no object');
  const { op, path, from, value } = operation;
  if (typeof op !== 'string' || !operations.has(op) || !isPointer(path)) throw patchRejected();
  if (op === 'test') {
    if (!equalJson(readPointer(document.root, path), value ?? null)) throw patchRejected();
    return document;
  }
  switch (op) {
    case 'remove':
      removeAt(document, path);
      return document;
    case 'replace':
      replaceAt(document, path, cloneJson(value ?? null));
      return document;
    case 'add':
      addAt(document, path, cloneJson(value ?? null));
      return document;
    default: {
      if (!isPointer(from) || !isThere(document.root, from)) throw patchRejected();
      const given = readPointer(document.root, from);
      if (op === 'copy') {
        countCopy(document, from);
        addAt(document, path, copyOf(given));
      } else if (path !== from) {
        removeAt(document, from); // Into itself it cannot be moved: its own place is gone then.
        addAt(document, path, given);
      }
      return document;
    }
  }
}

function copyOf(value: unknown): unknown {
  try {
    return cloneJson(value);
  } catch (thrown) {
    // Copies into themselves double the depth.
    if (thrown instanceof RangeError) throw badRequest('exceeded max depth');
    throw thrown;
  }
}

/** Sets a member, or puts an item before the one that is there (`-`: behind the last). @throws {E_API} 422 */
function addAt(document: Document, pointer: string, value: unknown): void {
  if (pointer === '') {
    document.root = value;
    return;
  }
  const { holder, key } = placeOf(document.root, pointer);
  if (!Array.isArray(holder)) {
    setOwn(holder, key, value);
    return;
  }
  const index = key === '-' ? holder.length : indexOf(key, holder.length + 1);
  if (index === undefined) throw patchRejected();
  holder.splice(index, 0, value);
}

/** @throws {E_API} 422 where nothing is there */
function replaceAt(document: Document, pointer: string, value: unknown): void {
  if (!isThere(document.root, pointer)) throw patchRejected();
  if (pointer === '') {
    document.root = value;
    return;
  }
  const { holder, key } = placeOf(document.root, pointer);
  if (Array.isArray(holder)) holder[indexOf(key, holder.length) ?? 0] = value;
  else setOwn(holder, key, value);
}

/** @throws {E_API} 422 where nothing is there */
function removeAt(document: Document, pointer: string): void {
  if (!isThere(document.root, pointer)) throw patchRejected();
  if (pointer === '') {
    document.root = null;
    return;
  }
  const { holder, key } = placeOf(document.root, pointer);
  if (Array.isArray(holder)) holder.splice(indexOf(key, holder.length) ?? 0, 1);
  else delete holder[key];
}

/** What holds, or would hold, what a pointer names. @throws {E_API} 422 where that is neither object nor list */
function placeOf(
  root: unknown,
  pointer: string,
): { readonly holder: Draft | unknown[]; readonly key: string } {
  const end = pointer.lastIndexOf('/');
  const holder = readPointer(root, pointer.slice(0, end));
  // A part of the document, which is a copy.
  if (Array.isArray(holder) || isObject(holder)) return { holder, key: unescape(pointer.slice(end + 1)) };
  throw patchRejected();
}

function isThere(root: unknown, pointer: string): boolean {
  if (pointer === '') return true;
  const end = pointer.lastIndexOf('/');
  const holder = readPointer(root, pointer.slice(0, end));
  const key = unescape(pointer.slice(end + 1));
  if (Array.isArray(holder)) return indexOf(key, holder.length) !== undefined;
  return isObject(holder) && Object.hasOwn(holder, key);
}

/**
 * Which of so many places a key names; undefined for none of them. As evanphx/json-patch has it, which kube-apiserver patches by: `-1` is the
 * last, and what strconv.Atoi reads is a number.
 */
function indexOf(key: string, count: number): number | undefined {
  if (!/^[+-]?\d{1,15}$/.test(key)) return undefined;
  const given = Number(key);
  const index = given < 0 ? given + count : given;
  return index >= 0 && index < count ? index : undefined;
}

function unescape(token: string): string {
  return token.replaceAll('~1', '/').replaceAll('~0', '~');
}

function countCopy(document: Document, from: string): void {
  document.copiedBytes += Buffer.byteLength(JSON.stringify(readPointer(document.root, from)));
  if (document.copiedBytes <= copiedBytesMax) return;
  const message = `Unable to complete the copy, the accumulated size increase of copy is ${document.copiedBytes}, exceeding the limit ${copiedBytesMax}`;
  throw statusError(413, 'RequestEntityTooLarge', message, {});
}

function isPointer(value: unknown): value is string {
  return typeof value === 'string' && (value === '' || value.startsWith('/')) && !value.includes('__proto__');
}

/** The value at a JSON pointer; null when there is none (Go's json-patch tests null against what is absent). */
function readPointer(root: unknown, pointer: string): unknown {
  let current = root;
  for (const token of pointer.split('/').slice(1)) {
    const key = unescape(token);
    if (Array.isArray(current)) current = current[indexOf(key, current.length) ?? -1];
    else current = isObject(current) && Object.hasOwn(current, key) ? current[key] : undefined;
  }
  return current ?? null;
}
