import { applyJsonPatch } from '#api/patch/json-patch.ts';
import type { JsonObject } from '#api/meta/object.ts';
import { isObject, stringOf } from '#api/wire/json.ts';
import { parseJsonStrict } from '#api/wire/parse-json.ts';
import { describeError, isPodwrightError } from '#base/errors.ts';

/** The operations of a patch, or what is wrong with its text. */
export type PatchText =
  | { readonly operations: readonly unknown[] }
  | { readonly operations: undefined; readonly reason: string };

export function parsePatchText(bytes: Buffer): PatchText {
  let value: unknown;
  try {
    ({ value } = parseJsonStrict(bytes.toString('utf8')));
  } catch (error) {
    return { operations: undefined, reason: describeError(error) };
  }
  if (Array.isArray(value) && value.every(isObject)) return { operations: value };
  const found = Array.isArray(value)
    ? typeof value.find((each) => !isObject(each))
    : isObject(value)
      ? 'object'
      : typeof value;
  const into = Array.isArray(value) ? 'jsonpatch.Operation' : 'jsonpatch.Patch';
  return { operations: undefined, reason: `json: cannot unmarshal ${found} into Go value of type ${into}` };
}

/** What the operations make of an object, or why they do not apply to it. */
export function applyPatch(
  object: JsonObject,
  operations: readonly unknown[],
): { readonly value: unknown } | { readonly reason: string } {
  try {
    return { value: applyJsonPatch(object, operations) };
  } catch (error) {
    if (!isPodwrightError(error, 'E_API')) throw error;
    return { reason: reasonOf(object, operations) ?? error.message };
  }
}

/** In the words of the library of kube-apiserver (evanphx/json-patch v4), of the first operation that fails. */
function reasonOf(object: JsonObject, operations: readonly unknown[]): string | undefined {
  let [works, fails] = [0, operations.length];
  while (fails - works > 1) {
    const middle = Math.floor((works + fails) / 2);
    if (applies(object, operations.slice(0, middle))) works = middle;
    else fails = middle;
  }
  const operation = operations[works];
  if (!isObject(operation)) return undefined;
  const before = applyJsonPatch(object, operations.slice(0, works));
  return reasonOfOne(before, operation);
}

function applies(object: JsonObject, operations: readonly unknown[]): boolean {
  try {
    applyJsonPatch(object, operations);
    return true;
  } catch {
    return false;
  }
}

function reasonOfOne(document: unknown, operation: JsonObject): string | undefined {
  const path = stringOf(operation['path']);
  const key = path.slice(path.lastIndexOf('/') + 1);
  const hasParent = applies(document as JsonObject, [{ op: 'add', path, value: null }]);
  const missingPath = (op: string): string =>
    `${op} operation does not apply: doc is missing path: ${JSON.stringify(path)}: missing value`;
  switch (operation['op']) {
    case 'remove':
      return hasParent
        ? `error in remove for path: '${path}': Unable to remove nonexistent key: ${key}: missing value`
        : `remove operation does not apply: doc is missing path: ${JSON.stringify(path)}: missing value`;
    case 'replace':
      return hasParent
        ? `replace operation does not apply: doc is missing key: ${path}: missing value`
        : missingPath('replace');
    case 'add':
      return missingPath('add');
    case 'test':
      return `testing value ${path} failed: test failed`;
    case 'move':
    case 'copy':
      return `${operation['op']} operation does not apply: doc is missing ${operation['op'] === 'move' ? 'from path' : 'from path'}: ${stringOf(operation['from'])}: missing value`;
    default:
      return `Unexpected kind: ${stringOf(operation['op'])}`;
  }
}
