/** Files with holes, compression, ends of archives, and how many layers there are. */
import { gzipSync, zstdCompressSync } from 'node:zlib';
import { padded } from './raw-tar.fixture.ts';
import { directory, file, some, type LayerQuirk } from './quirk.fixture.ts';

/** 1 MiB with a byte at its start, two in its midst and none at its end. */
const holes = [
  [0, 512],
  [524_288, 1024],
  [1_048_576, 0],
] as const;
const dataOfHoles = Buffer.concat([Buffer.alloc(512, 'A'), Buffer.alloc(1024, 'B')]);
const gnuNumber = (value: number): string => `${value.toString(8).padStart(11, '0')}\0`;
const gnuMap = holes.map(([offset, bytes]) => gnuNumber(offset) + gnuNumber(bytes)).join('');
/** More parts than a header has: a block in each of 60 pages, and the end. */
const manyParts: readonly (readonly [number, number])[] = [
  ...Array.from({ length: 60 }, (_, at) => [at * 4096, 512] as const),
  [300_000, 0],
];
const extension = (parts: readonly (readonly [number, number])[], isExtended: boolean): Buffer => {
  const block = Buffer.alloc(512);
  block.write(parts.map(([offset, bytes]) => gnuNumber(offset) + gnuNumber(bytes)).join(''), 0, 'latin1');
  block.write(isExtended ? '\x01' : '\0', 504, 'latin1');
  return block;
};
const mapOf1_0 = padded(Buffer.from(`${[holes.length, ...holes.flat()].join('\n')}\n`));

export const sparse: readonly LayerQuirk[] = [
  {
    name: 'GNU tar --sparse: the old header',
    layers: [
      [
        {
          name: 's',
          type: 'S',
          content: dataOfHoles,
          format: 'gnu',
          raw: { 386: gnuMap, 483: gnuNumber(1_048_576) },
        },
        file('after', 'a'),
      ],
    ],
  },
  {
    name: 'GNU tar --sparse: the old header with blocks that go on',
    layers: [
      [
        {
          name: 's',
          type: 'S',
          content: Buffer.alloc(60 * 512, 'z'),
          format: 'gnu',
          raw: {
            386: manyParts
              .slice(0, 4)
              .map(([offset, bytes]) => gnuNumber(offset) + gnuNumber(bytes))
              .join(''),
            482: '\x01',
            483: gnuNumber(300_000),
          },
          blocks: Buffer.concat([
            extension(manyParts.slice(4, 25), true),
            extension(manyParts.slice(25, 46), true),
            extension(manyParts.slice(46), false),
          ]),
        },
        file('after', 'a'),
      ],
    ],
  },
  {
    name: 'GNU tar --sparse: pax 0.0',
    layers: [
      [
        file('GNUSparseFile.0/s', dataOfHoles.toString(), {
          pax: [
            ['GNU.sparse.size', '1048576'],
            ['GNU.sparse.numblocks', '3'],
            ...holes.flatMap(
              ([offset, bytes]) =>
                [
                  ['GNU.sparse.offset', String(offset)],
                  ['GNU.sparse.numbytes', String(bytes)],
                ] as const,
            ),
          ],
        }),
        file('after', 'a'),
      ],
    ],
  },
  {
    name: 'GNU tar --sparse: pax 0.1',
    layers: [
      [
        file('GNUSparseFile.0/s', dataOfHoles.toString(), {
          pax: [
            ['GNU.sparse.size', '1048576'],
            ['GNU.sparse.numblocks', '3'],
            ['GNU.sparse.name', 'real/s'],
            ['GNU.sparse.map', holes.flat().join(',')],
          ],
        }),
        file('after', 'a'),
      ],
    ],
  },
  {
    name: 'GNU tar --sparse: pax 1.0',
    layers: [
      [
        {
          name: 'GNUSparseFile.0/s',
          content: Buffer.concat([mapOf1_0, dataOfHoles]),
          pax: [
            ['GNU.sparse.major', '1'],
            ['GNU.sparse.minor', '0'],
            ['GNU.sparse.name', 'real/s'],
            ['GNU.sparse.realsize', '1048576'],
          ],
        },
        file('after', 'a'),
      ],
    ],
  },
  {
    name: 'GNU tar --sparse: nothing but a hole',
    layers: [
      [
        {
          name: 'GNUSparseFile.0/s',
          content: padded(Buffer.from('1\n1048576\n0\n')),
          pax: [
            ['GNU.sparse.major', '1'],
            ['GNU.sparse.minor', '0'],
            ['GNU.sparse.name', 'hole'],
            ['GNU.sparse.realsize', '1048576'],
          ],
        },
        file('after', 'a'),
      ],
    ],
  },
];

const halves = (bytes: Buffer): readonly [Buffer, Buffer] => [bytes.subarray(0, 700), bytes.subarray(700)];
const skippable = Buffer.concat([Buffer.from([0x50, 0x2a, 0x4d, 0x18, 5, 0, 0, 0]), Buffer.from('chunk')]);

export const streams: readonly LayerQuirk[] = [
  { name: 'Docker: no compression', layers: [some] },
  {
    name: 'eStargz: gzip in many members',
    layers: [some],
    compress: (tar) => Buffer.concat(halves(tar).map((each) => gzipSync(each))),
  },
  {
    name: 'GNU gzip: zeros behind the end',
    layers: [some],
    compress: (tar) => Buffer.concat([gzipSync(tar), Buffer.alloc(512)]),
  },
  { name: 'BuildKit: zstd', layers: [some], compress: (tar) => zstdCompressSync(tar) },
  {
    name: 'zstd:chunked: zstd in many frames, some of them to be skipped',
    layers: [some],
    compress: (tar) => Buffer.concat([...halves(tar).map((each) => zstdCompressSync(each)), skippable]),
  },
  {
    name: 'pzstd: a frame to be skipped first',
    layers: [some],
    compress: (tar) => Buffer.concat([skippable, zstdCompressSync(tar)]),
  },
  { name: 'Docker: an empty layer', layers: [some, []] },
  {
    name: 'Docker: an empty layer of 1024 zeros, twice, and one of no bytes',
    layers: [some, [], [], [directory('b')]],
  },
  { name: 'Jib: no empty blocks at the end', layers: [some], end: Buffer.alloc(0) },
  { name: 'pigz: one empty block at the end', layers: [some], end: Buffer.alloc(512) },
  {
    name: 'GNU tar: filled up to 20 blocks, and garbage behind',
    layers: [some],
    end: Buffer.concat([Buffer.alloc(10_240), Buffer.from('garbage')]),
  },
  {
    name: 'Docker: the same layer twice, with another between',
    layers: [some, [file('a/.wh.x', ''), file('a/y', 'other')], some],
  },
  {
    name: 'kaniko: the same layer twice, without parents',
    layers: [
      [directory('a', { mode: 0o700 })],
      [file('a/x', 'x')],
      [directory('a', { mode: 0o711 })],
      [file('a/x', 'x')],
    ],
  },
  {
    name: 'Docker: 127 layers',
    layers: Array.from({ length: 127 }, (_, at) => [file(`layer-${at}`, String(at))]),
    isOwn: true,
    want: { '/layer-0': /1 bytes/, '/layer-126': /3 bytes/ },
  },
  {
    name: 'Buildpacks: 200 layers',
    layers: Array.from({ length: 200 }, (_, at) => [file(`layer-${at % 150}`, String(at))]),
    isOwn: true,
    want: { '/layer-49': /3 bytes/, '/layer-50': /2 bytes/, '/layer-149': /3 bytes/ },
  },
];
