import { describe, expect, it, vi } from 'vitest';
import type { JsonObject } from '#api/meta/object.ts';
import { builtIn } from '#control-plane/apiserver/built-in.ts';
import { encodeStored } from './object-bytes.ts';
import { fieldsOf, labelsOf, rememberSelectable, Shared, sharedCountMax } from './selectable.ts';

const pods = builtIn('', 'v1', 'pods');

describe('labelsOf()', () => {
  const labels = { app: 'web', 'a.b/c': '', 'quote"': 'back\\slash', __proto__x: '}' };
  const rows: readonly { readonly name: string; readonly metadata: JsonObject; readonly want: object }[] = [
    { name: 'none', metadata: {}, want: {} },
    { name: 'an empty map', metadata: { labels: {} }, want: {} },
    { name: 'last', metadata: { uid: 'u', creationTimestamp: 't', labels }, want: labels },
    { name: 'first', metadata: { labels, annotations: { a: 'b' } }, want: labels },
    {
      name: 'behind values of each kind',
      metadata: {
        generation: 7,
        flag: true,
        nothing: null,
        list: [{ a: '[' }, ']'],
        map: { labels: {} },
        labels,
      },
      want: labels,
    },
    { name: 'only in others', metadata: { annotations: { labels: '"labels":{"a":"b"}' } }, want: {} },
    { name: 'a member that begins alike', metadata: { labelsToo: { a: 'b' }, generation: 1 }, want: {} },
    {
      name: 'beyond ASCII',
      metadata: { annotations: { 'ü"': '→' }, labels: { é: '🙂' } },
      want: { é: '🙂' },
    },
  ];
  it.each(rows)('finds in stored bytes: $name', ({ metadata, want }) => {
    const object = { metadata: { name: 'n', namespace: 's', ...metadata }, data: { labels: { no: 'no' } } };
    expect(labelsOf(encodeStored(object))).toEqual(want);
    const written = encodeStored(object);
    rememberSelectable(pods, written, object);
    expect(labelsOf(written)).toEqual(want);
  });

  it('shares what many have, however they came to it', () => {
    const object = { metadata: { name: 'n', labels } };
    const written = encodeStored(object);
    rememberSelectable(pods, written, object);
    expect(labelsOf(encodeStored(object))).toBe(labelsOf(written));
  });

  it('ends with bytes that are no object', () => {
    for (const text of [
      '',
      '{',
      '{"metadata":{"name":"n","labels":{"a":"b',
      '{"metadata":{"name":"n",',
      'xxx',
    ]) {
      const bytes = Buffer.from(text);
      expect(() => {
        try {
          labelsOf(bytes);
        } catch (error) {
          if (!(error instanceof SyntaxError)) throw error;
        }
      }).not.toThrow();
    }
  });
});

describe('fieldsOf()', () => {
  const pod = { metadata: { name: 'n' }, spec: { nodeName: 'n1' }, status: { phase: 'Running' } };

  it('parses an object once, and one that was written here never', () => {
    const parse = vi.fn(() => pod);
    const stored = encodeStored(pod);
    const first = fieldsOf(pods, stored, parse);
    expect(first).toContain('n1');
    expect(fieldsOf(pods, stored, parse)).toBe(first);
    expect(parse).toHaveBeenCalledTimes(1);
    const written = encodeStored(pod);
    rememberSelectable(pods, written, pod);
    expect(fieldsOf(pods, written, parse)).toBe(first);
    expect(parse).toHaveBeenCalledTimes(1);
  });

  it('are those of the kind that is asked for', () => {
    const stored = encodeStored(pod);
    const services = builtIn('', 'v1', 'services');
    expect(fieldsOf(services, stored, () => pod)).not.toEqual(fieldsOf(pods, stored, () => pod));
    expect(fieldsOf(pods, stored, () => pod)).toContain('Running');
  });
});

describe('Shared', () => {
  it('is bounded', () => {
    const shared = new Shared<number>();
    for (let at = 0; at < 3 * sharedCountMax; at++) shared.get(String(at), () => at);
    expect(shared.size).toBe(sharedCountMax);
    expect(shared.get('x'.repeat(5000), () => 1)).toBe(1);
    expect(shared.size).toBe(sharedCountMax);
  });
});
