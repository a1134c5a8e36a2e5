import { assert, json, oneof, property, string } from 'fast-check';
import { describe, expect, it } from 'vitest';
import { isPodwrightError } from '#base/errors.ts';
import { parseConfigDocument, readConfigFile, type DocumentKind } from './config-document.ts';

const kind: DocumentKind = {
  kind: 'Things',
  apiVersions: ['example.com/v1', 'example.com/v1beta1'],
  fields: {
    name: 'string',
    wait: 'duration',
    count: 'integer',
    enabled: 'boolean',
    parts: [{ labels: 'stringMap' }],
  },
};
const head = 'apiVersion: example.com/v1\nkind: Things\n';

describe('parseConfigDocument()', () => {
  it('reads YAML and JSON', () => {
    const document = parseConfigDocument(`${head}wait: 1m30s\nparts:\n- labels: {a: b}\ncount:\n`, kind);
    expect(document).toMatchObject({ wait: '1m30s', parts: [{ labels: { a: 'b' } }] });
    const json = '{"apiVersion":"example.com/v1beta1","kind":"Things","name":"x"}';
    expect(parseConfigDocument(json, kind)['name']).toBe('x');
  });

  it.each([
    ['', 'not a YAML or JSON mapping'],
    ['- a', 'not a YAML or JSON mapping'],
    [
      'apiVersion: v1\nkind: Other\n',
      'kind: "Other", not "Things"; apiVersion: "v1", none of example.com/v1, example.com/v1beta1',
    ],
    [`${head}colour: red\n`, 'colour: unknown field'],
    [`${head}name: a\nname: b\n`, 'name: given twice'],
    [`${head}name: 1\nwait: soon\n`, 'name: not a string; wait: not a duration such as 30s'],
    [`${head}count: 1.5\nenabled: maybe\n`, 'count: not an integer; enabled: not true or false'],
    [`${head}parts: {}\n`, 'parts: not a list'],
    [
      `${head}parts: [{labels: {a: 1}, x: 1}]\n`,
      'parts[0].labels: not a mapping of strings; parts[0].x: unknown field',
    ],
    [`${head}__proto__: {a: 1}\n`, '__proto__: unknown field'],
  ])('refuses %j with all that is wrong', (text, message) => {
    expect(() => parseConfigDocument(text, kind)).toThrow(message);
  });

  it('answers rubbish with one error of its own', () => {
    const text = oneof(
      string(),
      json(),
      string().map((rest) => head + rest),
    );
    assert(
      property(text, (given) => {
        try {
          parseConfigDocument(given, kind);
        } catch (error) {
          expect(isPodwrightError(error)).toBe(true);
        }
      }),
    );
  });
});

describe('readConfigFile()', () => {
  it('names the file that is not there', () => {
    expect(() => readConfigFile('/nowhere/x.yaml', kind, (document) => document)).toThrow(
      /^read \/nowhere\/x\.yaml: ENOENT/,
    );
  });
});
