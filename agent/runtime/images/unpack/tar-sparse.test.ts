import { Readable } from 'node:stream';
import { describe, expect, it } from 'vitest';
import { rawTar, type RawEntry } from '#agent/runtime/images/quirks/raw-tar.fixture.ts';
import { readTar } from './tar-reader.ts';

type Records = NonNullable<RawEntry['pax']>;
const version1: Records = [
  ['GNU.sparse.major', '1'],
  ['GNU.sparse.minor', '0'],
  ['GNU.sparse.name', 's'],
  ['GNU.sparse.realsize', '1000'],
];
const map0 = (map: string, size = '1000'): Records => [
  ['GNU.sparse.size', size],
  ['GNU.sparse.map', map],
];
const block = (text: string): Buffer => Buffer.from(text.padEnd(512, '\0'));

describe('sparse files of tar', () => {
  it.each([
    { name: 'no map', entry: { pax: [['GNU.sparse.size', '5']] } },
    {
      name: 'another version',
      entry: {
        pax: [
          ['GNU.sparse.major', '2'],
          ['GNU.sparse.minor', '0'],
        ],
      },
    },
    { name: 'a map cut short', entry: { pax: map0('0') } },
    { name: 'parts that overlap', entry: { pax: map0('0,5,4,5'), content: 'x'.repeat(10) } },
    { name: 'parts out of order', entry: { pax: map0('100,5,0,5'), content: 'x'.repeat(10) } },
    { name: 'a part behind the end', entry: { pax: map0('999,5'), content: 'xxxxx' } },
    {
      name: 'a part beyond all numbers',
      entry: { pax: map0('9007199254740991,9007199254740991'), content: 'x' },
    },
    { name: 'more bytes than its parts', entry: { pax: map0('0,5'), content: 'x'.repeat(10) } },
    { name: 'fewer bytes than its parts', entry: { pax: map0('0,5'), content: 'x' } },
    { name: 'sizes that are none', entry: { pax: map0('0,-5') } },
    { name: 'offsets without sizes', entry: { pax: [['GNU.sparse.numbytes', '5']] } },
    { name: 'a map in the body that holds no numbers', entry: { pax: version1, content: block('x\n') } },
    {
      name: 'a map in the body without line ends',
      entry: { pax: version1, content: block('1'.repeat(512)) },
    },
    { name: 'a map in the body that is larger than it', entry: { pax: version1, content: block('9\n1\n') } },
    { name: 'parts without number', entry: { pax: version1, content: block('99999999\n') } },
    {
      name: 'an old header with parts that overlap',
      entry: {
        type: 'S',
        format: 'gnu',
        content: 'xx',
        raw: { 386: '00000000000\x0000000000002\x0000000000001\x0000000000001\0', 483: '00000001000\0' },
      },
    },
  ] as const)('refuses $name', async ({ entry }) => {
    const tar = rawTar({ name: 'a', ...entry });
    const read = Array.fromAsync(readTar(Readable.from([tar])));
    await expect(read).rejects.toThrow(/invalid tar header|unexpected end/);
  });

  it('holds no more than a bound of a map', async () => {
    const endless = Readable.from(
      (function* () {
        const size = 2 ** 30;
        yield rawTar({ name: 'a', pax: version1, size }).subarray(0, -1024);
        yield Buffer.from(`1000000\n${'1\n'.repeat(252)}`);
        for (;;) yield block('1\n'.repeat(256));
      })(),
    );
    await expect(Array.fromAsync(readTar(endless))).rejects.toThrow(/too many parts|overlap/);
  });
});
