import { describe, expect, it } from 'vitest';
import { decodeContinue, encodeContinue } from '#control-plane/apiserver/verbs/continue-token.ts';
import { negotiate } from './negotiate.ts';
import { parseWriteOptions, warningHeaders } from '#control-plane/apiserver/verbs/write-options.ts';

describe('negotiate()', () => {
  const table = 'application/json;as=Table;v=v1;g=meta.k8s.io';

  it.each([
    [undefined, 'json', undefined],
    ['*/*', 'json', undefined],
    ['application/yaml', 'yaml', undefined],
    ['application/yaml;q=0.5, application/json', 'json', undefined],
    ['application/vnd.kubernetes.protobuf', 'json', undefined],
    ['application/vnd.kubernetes.protobuf, */*', 'json', undefined],
    [`${table},application/json`, 'json', 'Table'],
    [`application/vnd.kubernetes.protobuf;as=Table;v=v1;g=meta.k8s.io,${table}`, 'json', 'Table'],
    ['text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8', 'json', undefined],
  ])('reads %s', (accept, format, as) => {
    expect(negotiate(accept, ['Table.v1.meta.k8s.io'])).toMatchObject({ format, as });
  });

  it.each([
    'text/csv',
    'application/vnd.kubernetes.protobuf;as=Table;v=v1;g=meta.k8s.io',
    'application/json;as=Nope',
  ])('refuses %s', (accept) => {
    expect(() => negotiate(accept, ['Table.v1.meta.k8s.io'])).toThrow('406: Not Acceptable');
  });
});

describe('encodeContinue()', () => {
  it('writes the token of kube-apiserver', () => {
    const token = 'eyJ2IjoibWV0YS5rOHMuaW8vdjEiLCJydiI6MzM0LCJzdGFydCI6Ii9wMlx1MDAwMCJ9';
    expect(encodeContinue({ revision: 334, start: 'p2\0' })).toBe(token);
    expect(decodeContinue(token)).toEqual({ revision: 334, start: 'p2\0' });
  });

  it.each(['', 'zzz', 'bnVsbA', Buffer.from('{"v":"x","rv":1,"start":"/a"}').toString('base64url')])(
    'refuses %j',
    (token) => {
      expect(() => decodeContinue(token)).toThrow('continue key is not valid');
    },
  );
});

describe('parseWriteOptions()', () => {
  it('reads what a write asks for', () => {
    const read = (query: string): unknown => parseWriteOptions('CreateOptions', new URLSearchParams(query));
    const plain = { dryRun: false, fieldValidation: 'Warn', fieldManager: '', force: false };
    expect(read('')).toEqual(plain);
    expect(read('dryRun=All&fieldValidation=Strict&fieldManager=k')).toEqual({
      ...plain,
      dryRun: true,
      fieldValidation: 'Strict',
      fieldManager: 'k',
    });
    expect(() => read('fieldValidation=x')).toThrow('fieldValidation: Unsupported value: "x"');
    expect(() => read(`fieldManager=${'x'.repeat(129)}`)).toThrow('may not be more than 128 bytes');
  });
});

describe('warningHeaders()', () => {
  it('quotes, and stops where there is no more room', () => {
    expect(warningHeaders(['unknown field "a"'])).toEqual({ warning: ['299 - "unknown field \\"a\\""'] });
    expect(warningHeaders([])).toEqual({});
    const long = warningHeaders(['x'.repeat(3000), 'y'.repeat(3000), 'short'])['warning'] ?? [];
    expect(long.map(({ length }) => length)).toEqual([264, 264, 13]);
    const many = Array.from({ length: 100 }, (_, index) => `${index}`.padEnd(300, 'x'));
    expect(warningHeaders(many)['warning']).toHaveLength(16);
    expect(warningHeaders(['ü\n\\'])).toEqual({ warning: ['299 - "\u00c3\u00bc \\\\"'] });
  });
});
