/** Bodies and patches of requests: a value, or an answer that is no fault of the server's. */
import {
  array,
  constantFrom,
  integer,
  letrec,
  oneof,
  record,
  tuple,
  uint8Array,
  type Arbitrary,
} from 'fast-check';
import { readFileSync } from 'node:fs';
import { expect } from 'vitest';
import { decodeBodyOf } from '#api/wire/body.ts';
import { cloneJson, isObject } from '#api/wire/json.ts';
import { applyJsonPatch } from '#api/patch/json-patch.ts';
import { applyMergePatch } from '#api/patch/merge-patch.ts';
import { applyStrategicPatch } from '#api/patch/strategic-patch.ts';
import { builtInTypes } from '#api/schema/built-in-types.ts';
import { statusOf } from '#api/errors/status.ts';
import { isPodwrightError } from '#base/errors.ts';
import { fuzz } from './fuzz.ts';

function answered<T>(work: () => T, codeMax = 499): T | undefined {
  try {
    return work();
  } catch (error) {
    if (!isPodwrightError(error, 'E_API')) throw error;
    expect(statusOf(error).httpCode).toBeLessThanOrEqual(codeMax);
    return undefined;
  }
}

const key = constantFrom<string>(
  'a',
  'b',
  'spec',
  'containers',
  'name',
  'env',
  '$patch',
  '$retainKeys',
  '$setElementOrder/containers',
  '$deleteFromPrimitiveList/finalizers',
  'metadata',
  'finalizers',
  'constructor',
  '__proto__',
  '',
);
const { value } = letrec<{ value: unknown }>((tie) => ({
  value: oneof(
    { maxDepth: 3 },
    constantFrom<unknown>(null, 1, 'x', 'replace', 'delete', 'merge', true),
    array(tie('value'), { maxLength: 3 }),
    array(tuple(key, tie('value')), { maxLength: 4 }).map((entries) => Object.fromEntries(entries)),
  ),
}));
const object = array(tuple(key, value), { maxLength: 5 }).map((entries) => Object.fromEntries(entries));

/** RFC 7386, section 2, as it is written there. */
function merged(target: unknown, patch: unknown): unknown {
  if (!isObject(patch)) return patch;
  const result = new Map(isObject(target) ? Object.entries(target) : []);
  for (const [name, given] of Object.entries(patch)) {
    if (given === null) result.delete(name);
    else result.set(name, merged(result.get(name), given));
  }
  return Object.fromEntries(result);
}

const pointer = array(oneof(key, constantFrom('0', '1', '-', '~0', '~1', '~2', '00')), { maxLength: 4 }).map(
  (parts) => parts.map((part) => `/${part}`).join(''),
);
const operation = record({
  op: constantFrom('add', 'remove', 'replace', 'move', 'copy', 'test', 'x'),
  path: pointer,
  from: pointer,
  value,
});

fuzz('patches: the base stays, and the answer is no fault', {
  arbitrary: record({ base: object, patch: object, operations: array(operation, { maxLength: 8 }) }),
  seconds: 2,
  check: ({ base, patch, operations }) => {
    const before = cloneJson(base);
    expect(applyMergePatch(base, patch)).toEqual(merged(base, patch));
    answered(() => applyJsonPatch(base, operations));
    // 500 is what kube-apiserver answers to a list item without its merge key.
    answered(() => applyStrategicPatch({ schema: builtInTypes, typeName: 'core.v1.Pod' }, base, patch), 500);
    expect(base).toEqual(before);
  },
});

const fixtures = JSON.parse(
  readFileSync(new URL('../../api/fixtures/protobuf-0.36.4.json', import.meta.url), 'utf8'),
) as {
  readonly objects: Readonly<Record<string, { readonly pb: string; readonly json: unknown }>>;
};
const seeds = Object.values(fixtures.objects).flatMap(
  ({ pb, json }): readonly (readonly [string, Buffer])[] => [
    ['application/vnd.kubernetes.protobuf', Buffer.from(pb, 'base64')],
    ['application/json', Buffer.from(JSON.stringify(json))],
    ['application/yaml', Buffer.from(JSON.stringify(json, undefined, 1))],
  ],
);
const change: Arbitrary<readonly [number, number, Uint8Array]> = tuple(
  integer({ min: 0, max: 99_999 }),
  integer({ min: 0, max: 12 }),
  oneof(
    uint8Array({ maxLength: 6 }),
    constantFrom('{', '}', '[', '&a ', '*a', '<<: ', '"', '\\u', '\n', '1e999').map((text) =>
      Buffer.from(text),
    ),
  ),
);

fuzz('bodies with bytes changed', {
  arbitrary: tuple(constantFrom(...seeds), array(change, { maxLength: 6 })),
  seconds: 2,
  check: ([[contentType, seed], changes]) => {
    let bytes = seed;
    for (const [place, removed, added] of changes) {
      const at = place % (bytes.length + 1);
      bytes = Buffer.concat([bytes.subarray(0, at), added, bytes.subarray(at + removed)]);
    }
    answered(() => decodeBodyOf('Pod', bytes, contentType));
  },
});
