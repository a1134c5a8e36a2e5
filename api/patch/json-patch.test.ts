import { isPodwrightError } from '#base/errors.ts';
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { applyJsonPatch } from './json-patch.ts';

const base = { a: { b: 1 }, l: [1, 2, 3], 'x/y': 1 };

function codeOf(run: () => unknown): unknown {
  try {
    run();
    return 'no error';
  } catch (error) {
    return isPodwrightError(error, 'E_API') ? error.detail['httpCode'] : error;
  }
}

describe('applyJsonPatch()', () => {
  it.each([
    ['add a member', [{ op: 'add', path: '/c', value: 2 }], { ...base, c: 2 }],
    ['add null', [{ op: 'add', path: '/c', value: null }], { ...base, c: null }],
    ['insert into a list', [{ op: 'add', path: '/l/1', value: 9 }], { ...base, l: [1, 9, 2, 3] }],
    ['append to a list', [{ op: 'add', path: '/l/-', value: 9 }], { ...base, l: [1, 2, 3, 9] }],
    ['append by -1', [{ op: 'add', path: '/l/-1', value: 9 }], { ...base, l: [1, 2, 3, 9] }],
    ['insert before the last', [{ op: 'add', path: '/l/-2', value: 9 }], { ...base, l: [1, 2, 9, 3] }],
    ['remove the last', [{ op: 'remove', path: '/l/-1' }], { ...base, l: [1, 2] }],
    [
      'replace the first from behind',
      [{ op: 'replace', path: '/l/-3', value: 9 }],
      { ...base, l: [9, 2, 3] },
    ],
    ['move the last', [{ op: 'move', from: '/l/-1', path: '/l/0' }], { ...base, l: [3, 1, 2] }],
    ['a test of the last', [{ op: 'test', path: '/l/-1', value: 3 }], base],
    ['remove', [{ op: 'remove', path: '/a/b' }], { ...base, a: {} }],
    ['replace', [{ op: 'replace', path: '/a', value: 5 }], { ...base, a: 5 }],
    ['replace the whole', [{ op: 'replace', path: '', value: { z: 1 } }], { z: 1 }],
    ['move', [{ op: 'move', from: '/a/b', path: '/l/0' }], { ...base, a: {}, l: [1, 1, 2, 3] }],
    ['copy', [{ op: 'copy', from: '/a', path: '/c' }], { ...base, c: { b: 1 } }],
    ['escapes', [{ op: 'replace', path: '/x~1y', value: 2 }], { ...base, 'x/y': 2 }],
    ['a test that holds', [{ op: 'test', path: '/a', value: { b: 1 } }], base],
    ['a test of what is absent against null', [{ op: 'test', path: '/nope', value: null }], base],
    [
      'members named as those of prototypes, as any other',
      [
        { op: 'add', path: '/a/constructor', value: 'c' },
        { op: 'add', path: '/prototype', value: {} },
        { op: 'move', from: '/a/constructor', path: '/prototype/toString' },
        { op: 'copy', from: '/prototype', path: '/a/valueOf' },
      ],
      { ...base, a: { b: 1, valueOf: { toString: 'c' } }, prototype: { toString: 'c' } },
    ],
    ['a move to where it is', [{ op: 'move', from: '/a', path: '/a' }], base],
    ['nothing', [], base],
  ])('%s', (_name, patch, want) => {
    expect(applyJsonPatch(base, patch)).toEqual(want);
  });

  it.each([
    ['a test that fails', [{ op: 'test', path: '/a/b', value: 2 }], 422],
    ['a removal of what is not there', [{ op: 'remove', path: '/z' }], 422],
    ['a replacement of what is not there', [{ op: 'replace', path: '/z', value: 1 }], 422],
    ['a parent that is not there', [{ op: 'add', path: '/z/y', value: 1 }], 422],
    ['a member of a number', [{ op: 'add', path: '/a/b/c', value: 1 }], 422],
    ['a move out of a number', [{ op: 'move', from: '/a/b/c', path: '/d' }], 422],
    ['an index beyond the list', [{ op: 'add', path: '/l/9', value: 1 }], 422],
    ['an operation that is none', [{ op: 'mix', path: '/a' }], 422],
    ['a path that is none', [{ op: 'add', path: 'a', value: 1 }], 422],
    ['a constructor that is not there', [{ op: 'move', from: '/constructor', path: '/c' }], 422],
    ['a move into itself', [{ op: 'move', from: '/a', path: '/a/b' }], 422],
    ['an index before the list', [{ op: 'add', path: '/l/-5', value: 1 }], 422],
    ['a removal before the list', [{ op: 'remove', path: '/l/-4' }], 422],
    ['an index that is none', [{ op: 'add', path: '/l/x', value: 1 }], 422],
    ['a removal behind the last', [{ op: 'remove', path: '/l/-' }], 422],
    ['a prototype', [{ op: 'add', path: '/__proto__/x', value: 1 }], 422],
    ['an object', {}, 400],
    ['a list of no objects', [1], 400],
  ])('refuses %s', (_name, patch, code) => {
    expect(codeOf(() => applyJsonPatch(base, patch))).toBe(code);
  });

  it('changes nothing when one operation fails', () => {
    const before = structuredClone(base);
    codeOf(() =>
      applyJsonPatch(base, [
        { op: 'remove', path: '/a' },
        { op: 'remove', path: '/z' },
      ]),
    );
    expect(base).toEqual(before);
  });

  it('refuses copies that double the object again and again', () => {
    const copies = Array.from({ length: 40 }, (_, i) => ({ op: 'copy', from: '/a', path: `/a/copy${i}` }));
    const patch = [{ op: 'add', path: '/a/long', value: 'x'.repeat(1000) }, ...copies];
    expect(codeOf(() => applyJsonPatch(base, patch))).toBe(413);
    expect(codeOf(() => applyJsonPatch(base, patch.slice(0, 5)))).toBe('no error');
  });

  it('takes any operations, or refuses them', () => {
    const operation = fc.record(
      {
        op: fc.constantFrom('add', 'remove', 'replace', 'move', 'copy', 'test', 'x'),
        path: fc.constantFrom('', '/', '/a', '/a/b', '/l/0', '/l/-', '/l/x', '/z/z', '/constructor', 'x'),
        from: fc.constantFrom('', '/a', '/l/1', '/z'),
        value: fc.jsonValue(),
      },
      { requiredKeys: ['op', 'path'] },
    );
    fc.assert(
      fc.property(fc.array(operation, { maxLength: 6 }), (patch) =>
        ['no error', 400, 422].includes(codeOf(() => applyJsonPatch(base, patch)) as number),
      ),
      { numRuns: 500 },
    );
  });
});
