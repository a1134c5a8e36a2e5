import { readFileSync } from 'node:fs';
import { isPodwrightError } from '#base/errors.ts';
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ProtobufReader } from './protobuf-reader.ts';
import { ProtobufWriter } from './protobuf-writer.ts';
import { decodeProtobufBody, decodeProtobufMessage } from './protobuf.ts';

const fixtures: {
  readonly objects: Readonly<Record<string, { readonly pb: string; readonly json: unknown }>>;
} = JSON.parse(readFileSync(new URL('../fixtures/protobuf-0.36.4.json', import.meta.url), 'utf8'));
const pod = Buffer.from(fixtures.objects['core.v1.Pod']?.pb ?? '', 'base64');

/** Decoding either gives a value or says E_INVALID; anything else is a bug. */
function decodesOrRefuses(bytes: Uint8Array): boolean {
  try {
    decodeProtobufBody(bytes);
    return true;
  } catch (error) {
    return isPodwrightError(error, 'E_INVALID');
  }
}

describe('decodeProtobufBody()', () => {
  it.each(Object.entries(fixtures.objects))(
    'gives the JSON of the upstream fixture: %s',
    (_name, { pb, json }) => {
      expect(decodeProtobufBody(Buffer.from(pb, 'base64'))).toEqual(json);
    },
  );

  it('refuses or reads every truncation of a pod', () => {
    for (let length = 0; length < pod.length; length++) {
      expect(decodesOrRefuses(pod.subarray(0, length)), `length ${length}`).toBe(true);
    }
  });

  it('survives a pod with any bytes changed', () => {
    const change = fc.tuple(fc.nat(pod.length - 1), fc.nat(255));
    fc.assert(
      fc.property(fc.array(change, { minLength: 1, maxLength: 8 }), (changes) => {
        const bytes = Uint8Array.from(pod);
        for (const [index, value] of changes) bytes[index] = value;
        return decodesOrRefuses(bytes);
      }),
      { numRuns: 300 },
    );
  });

  it('skips unknown fields, and keeps explicit zeros of pointers', () => {
    const spec = new ProtobufWriter().bytes(99, new Uint8Array([1, 2])).finish();
    const withReplicas = new Uint8Array([...spec, 0x08, 0x00]);
    expect(decodeProtobufMessage('apps.v1.DeploymentSpec', withReplicas)).toEqual({ replicas: 0 });
  });

  it('names a kind that it does not know', () => {
    const meta = new ProtobufWriter().string(1, 'x.io/v1').string(2, 'Foo').finish();
    const body = new Uint8Array([0x6b, 0x38, 0x73, 0, ...new ProtobufWriter().bytes(1, meta).finish()]);
    expect(() => decodeProtobufBody(body)).toThrow('no kind "Foo" is registered for version "x.io/v1"');
  });

  it('refuses what has no envelope', () => {
    expect(() => decodeProtobufBody(Buffer.from('{}'))).toThrow('expected prefix [107 56 115 0]');
  });
});

describe('ProtobufReader.readVarint()', () => {
  it.each([
    { bytes: [0x00], want: 0 },
    { bytes: [0x7f], want: 127 },
    { bytes: [0x80, 0x01], want: 128 },
    { bytes: [0xff, 0xff, 0xff, 0xff, 0x0f], want: 4_294_967_295 },
    { bytes: [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01], want: -1 },
    { bytes: [0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01], want: -2 },
    { bytes: [0x80, 0x80, 0x80, 0x80, 0xf8, 0xff, 0xff, 0xff, 0xff, 0x01], want: -(2 ** 31) },
  ])('reads $want', ({ bytes, want }) => {
    expect(new ProtobufReader(new Uint8Array(bytes)).readVarint()).toBe(want);
  });

  it('refuses eleven bytes', () => {
    expect(() => new ProtobufReader(new Uint8Array(11).fill(0x80)).readVarint()).toThrow('integer overflow');
  });
});
