import { readFileSync } from 'node:fs';
import { isPodwrightError } from '#base/errors.ts';
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { decodeBody, decodeBodyOf, encodeYaml } from './body.ts';
import { decodeRequest, type FieldValidation } from './decode-request.ts';
import { findKind, findSubresource, kindOfSubresource, type Kind } from '#api/schema/kinds.ts';
import { parseYaml } from './yaml.ts';

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);
const deployments = findKind('apps', 'v1', 'deployments') as Kind;
const configMaps = findKind('', 'v1', 'configmaps') as Kind;

describe('decodeBody()', () => {
  it.each([undefined, '', 'application/json', 'Application/JSON; charset=utf-8', '*/*'])(
    'reads JSON as %s',
    (type) => {
      expect(decodeBody(bytes('{"apiVersion":"v1","kind":"Pod","a":1}'), type)).toEqual({
        value: { apiVersion: 'v1', kind: 'Pod', a: 1 },
        duplicateFields: [],
        apiVersion: 'v1',
        kind: 'Pod',
      });
    },
  );

  it('reads YAML', () => {
    expect(decodeBody(bytes('kind: Pod\nspec: {hostNetwork: yes}\n'), 'application/yaml')).toEqual({
      value: { kind: 'Pod', spec: { hostNetwork: true } },
      duplicateFields: [],
      kind: 'Pod',
    });
  });

  it('reads protobuf', () => {
    const fixtures = JSON.parse(
      readFileSync(new URL('../fixtures/protobuf-0.36.4.json', import.meta.url), 'utf8'),
    );
    const { pb, json } = fixtures.objects['apps.v1.Deployment'];
    const body = decodeBody(Buffer.from(pb, 'base64'), 'application/vnd.kubernetes.protobuf');
    expect(body).toMatchObject({ value: json, apiVersion: 'apps/v1', kind: 'Deployment' });
  });

  it('answers another content type with 415', () => {
    expect(() => decodeBody(bytes(''), 'text/plain')).toThrow(/unknown format/);
  });
});

describe('decodeBodyOf()', () => {
  it('says what kube-apiserver says of a body that does not parse', () => {
    expect(() => decodeBodyOf('ConfigMap', bytes('{bad'), undefined)).toThrow(
      "the object provided is unrecognized (must be of type ConfigMap): couldn't get version/kind; json parse error: invalid character 'b' looking for beginning of object key string ({bad)",
    );
  });

  it.each([
    ['\ufeff{}', 'ï'],
    ['é', 'Ã'],
    ['😀', 'ð'],
  ])('tells of the first byte of %j, as Go does', (text, char) => {
    expect(() => decodeBodyOf('ConfigMap', bytes(text), undefined)).toThrow(
      `json parse error: invalid character '${char}' looking for beginning of value`,
    );
  });

  it('reads YAML with a byte order mark', () => {
    expect(decodeBodyOf('ConfigMap', bytes('\ufeffkind: ConfigMap'), 'application/yaml').kind).toBe(
      'ConfigMap',
    );
  });
});

describe('decodeRequest()', () => {
  const decode = (kind: Kind, text: string, validation: FieldValidation): ReturnType<typeof decodeRequest> =>
    decodeRequest(kind, decodeBody(bytes(text), undefined), validation);
  const sloppy = '{"metadata":{"bogus":1},"spec":{"bogus":1,"replicas":1,"replicas":2}}';

  it('refuses unknown and duplicate fields when strict', () => {
    expect(() => decode(deployments, sloppy, 'Strict')).toThrow(
      'Deployment in version "v1" cannot be handled as a Deployment: strict decoding error: unknown field "metadata.bogus", unknown field "spec.bogus", duplicate field "spec.replicas"',
    );
  });

  it('warns of them by default, and says nothing when told so', () => {
    expect(decode(deployments, sloppy, 'Warn').warnings).toEqual([
      'unknown field "metadata.bogus"',
      'unknown field "spec.bogus"',
      'duplicate field "spec.replicas"',
    ]);
    expect(decode(deployments, sloppy, 'Ignore').warnings).toEqual([]);
  });

  it('reads the Eviction of kubectl 1.20', () => {
    const pods = findKind('', 'v1', 'pods') as Kind;
    const sub = findSubresource(pods, 'eviction');
    const eviction = sub === undefined ? pods : kindOfSubresource(pods, sub);
    const { object } = decode(
      eviction,
      '{"apiVersion":"policy/v1beta1","kind":"Eviction","metadata":{"name":"p"}}',
      'Strict',
    );
    expect(object).toMatchObject({ apiVersion: 'policy/v1', kind: 'Eviction', metadata: { name: 'p' } });
  });

  it('fills kind and apiVersion in', () => {
    expect(decode(deployments, '{}', 'Strict').object).toMatchObject({
      apiVersion: 'apps/v1',
      kind: 'Deployment',
    });
  });

  it.each(['1e2', '1.0', '-0.0', '2E+0'])('takes %s for no integer', (number) => {
    expect(() => decode(deployments, `{"spec":{"replicas":${number}}}`, 'Strict')).toThrow(
      `Deployment in version "v1" cannot be handled as a Deployment: json: cannot unmarshal number ${number} into Go struct field DeploymentSpec.spec.replicas of type int32`,
    );
  });

  it.each([
    [
      deployments,
      '{"spec":{"replicas":"2"}}',
      'Deployment in version "v1" cannot be handled as a Deployment: json: cannot unmarshal string into Go struct field DeploymentSpec.spec.replicas of type int32',
    ],
    [
      configMaps,
      '{"apiVersion":"v1","kind":"Pod"}',
      'Pod in version "v1" cannot be handled as a ConfigMap: converting (v1.Pod) to (core.ConfigMap): unknown conversion',
    ],
    [
      deployments,
      '{"apiVersion":"v1","kind":"Deployment"}',
      'Deployment in version "v1" cannot be handled as a Deployment: no kind "Deployment" is registered for version "v1" in scheme "pkg/api/legacyscheme/scheme.go:30"',
    ],
  ])('answers a wrong body with 400', (kind, text, message) => {
    expect(() => decode(kind, text, 'Warn')).toThrow(message);
  });
});

describe('parseYaml()', () => {
  it.each([
    ['a: yes\nb: off\nc: y', { a: true, b: false, c: true }],
    ['a: "yes"', { a: 'yes' }],
    ['mode: 0644', { mode: 420 }],
    ['mode: 0o644', { mode: 420 }],
    ['a: 1_000', { a: 1000 }],
    ['a: 0x1F', { a: 31 }],
    ['a: 1e3', { a: 1000 }],
    ['a: 1:30', { a: '1:30' }],
    ['a: 2026-01-01', { a: '2026-01-01' }],
    ['a: ~\nb: null\nc:', { a: null, b: null, c: null }],
    ['a: &x {b: 1}\nc: {<<: *x, d: 2}', { a: { b: 1 }, c: { b: 1, d: 2 } }],
    ['8080: a', { 8080: 'a' }],
    ['', null],
    ['{"a": [1, "b"]}', { a: [1, 'b'] }],
  ])('%j', (text, want) => {
    expect(parseYaml(text).value).toEqual(want);
  });

  it('names a key that was given twice, and keeps the last', () => {
    expect(parseYaml('a:\n  b: 1\n  b: 2')).toEqual({
      value: { a: { b: 2 } },
      duplicateFields: ['b'],
      duplicateLine: 3,
    });
  });

  it('refuses documents that grow without bound', () => {
    const bomb = ['a0: &a0 [x,x,x,x,x,x,x,x,x]'];
    for (let level = 1; level < 10; level++)
      bomb.push(`a${level}: &a${level} [${`*a${level - 1},`.repeat(9)}]`);
    expect(() => parseYaml(bomb.join('\n'))).toThrow('excessive aliasing');
    expect(() => parseYaml('a: &a [*a]')).toThrow('anchor contains itself');
  });

  it('reads any text or says E_INVALID', () => {
    const piece = fc.constantFrom(
      'a',
      ': ',
      '\n',
      '  ',
      '- ',
      '[',
      ']',
      '{',
      '}',
      '&x ',
      '*x',
      '"',
      "'",
      '|',
      '#',
      '!',
      '%',
      '?',
    );
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 15 }), (pieces) => {
        try {
          parseYaml(pieces.join(''));
          return true;
        } catch (error) {
          return isPodwrightError(error, 'E_INVALID');
        }
      }),
      { numRuns: 2000 },
    );
  });
});

describe('encodeYaml()', () => {
  it('writes what kubectl -o yaml shows', () => {
    const text = encodeYaml({
      kind: 'ConfigMap',
      apiVersion: 'v1',
      metadata: { name: 'x' },
      data: { a: 'yes', n: 'l1\nl2\n' },
      l: [{ b: 1 }],
    });
    expect(text).toBe(
      'apiVersion: v1\ndata:\n  a: "yes"\n  "n": |\n    l1\n    l2\nkind: ConfigMap\nl:\n- b: 1\nmetadata:\n  name: x\n',
    );
  });

  it.each(['+0o7', '-0o0', '0o1', '+0x1', '0b1', '1_0', '08'])('quotes %s, a number to go-yaml', (text) => {
    expect(encodeYaml({ [text]: text })).toBe(`"${text}": "${text}"\n`);
  });

  it('is read back as it was', () => {
    const numberLike = fc.array(fc.constantFrom(...'01789_.:-+xobeEyYnN~=<'), { minLength: 1, maxLength: 5 });
    const text = fc.oneof(
      fc.string(),
      numberLike.map((chars) => chars.join('')),
    );
    fc.assert(
      fc.property(fc.dictionary(fc.string({ minLength: 1 }), fc.oneof(fc.jsonValue(), text)), (value) => {
        const plain: unknown = JSON.parse(JSON.stringify(value)); // Without -0.
        expect(parseYaml(encodeYaml(plain)).value).toEqual(plain);
      }),
      { numRuns: 500 },
    );
  });
});
