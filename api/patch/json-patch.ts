import { applyPatch } from 'rfc6902';
import { cloneJson, equalJson, isObject } from '#api/json.ts';
import { badRequest, patchRejected, statusError } from '#api/status.ts';

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

function applyOperation(document: Document, operation: unknown): Document {
  if (!isObject(operation)) throw badRequest('error decoding patch: an operation is no object');
  const { op, path, from, value } = operation;
  if (typeof op !== 'string' || !operations.has(op) || !isPointer(path)) throw patchRejected();
  const hasSource = op === 'move' || op === 'copy';
  if (hasSource && !isPointer(from)) throw patchRejected();
  if (op === 'test') {
    if (!equalJson(readPointer(document.root, path), value ?? null)) throw patchRejected();
    return document;
  }
  // The library throws a TypeError of its own for a member of a number or text.
  const places = hasSource && isPointer(from) ? [path, from] : [path];
  if (!places.every((place) => hasHolder(document.root, place))) throw patchRejected();
  if (op === 'copy' && isPointer(from)) countCopy(document, from);
  // The document is wrapped, so that an operation on the whole of it ('') is one on a member.
  const wrapped = {
    op,
    path: `/root${path}`,
    ...(isPointer(from) ? { from: `/root${from}` } : {}),
    value: cloneJson(value ?? null),
  };
  let error: unknown;
  try {
    [error] = applyPatch(document, [wrapped as Parameters<typeof applyPatch>[1][number]]);
  } catch (thrown) {
    // Copies into themselves double the depth, and the library goes down it by recursion.
    if (thrown instanceof RangeError) throw badRequest('exceeded max depth');
    throw thrown;
  }
  if (error !== null && error !== undefined) throw patchRejected();
  return document;
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

/** Whether what the pointer names would be a member of an object or list; the whole document always may be named. */
function hasHolder(root: unknown, pointer: string): boolean {
  if (pointer === '') return true;
  const holder = readPointer(root, pointer.slice(0, pointer.lastIndexOf('/')));
  return Array.isArray(holder) || isObject(holder);
}

/** The value at a JSON pointer; null when there is none (Go's json-patch tests null against what is absent). */
function readPointer(root: unknown, pointer: string): unknown {
  let current = root;
  for (const token of pointer.split('/').slice(1)) {
    const key = token.replaceAll('~1', '/').replaceAll('~0', '~');
    if (Array.isArray(current)) current = /^\d+$/.test(key) ? current[Number(key)] : undefined;
    else current = isObject(current) && Object.hasOwn(current, key) ? current[key] : undefined;
  }
  return current ?? null;
}
