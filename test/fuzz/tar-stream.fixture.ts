/** Tar streams as no tool writes them: headers of any dialect, records, sizes and names that lie. */
import {
  array,
  boolean,
  constantFrom,
  integer,
  oneof,
  record,
  string,
  tuple,
  uint8Array,
  type Arbitrary,
} from 'fast-check';
import { gzipSync, zstdCompressSync } from 'node:zlib';

const blockBytes = 512;

interface HeaderFields {
  readonly name: string;
  readonly linkname: string;
  readonly type: string;
  readonly magic: string;
  readonly numbers: Readonly<Record<'mode' | 'uid' | 'gid' | 'size' | 'mtime' | 'major' | 'minor', Buffer>>;
  readonly prefix: string;
  /** What is written over the header, before its sum is made or after. */
  readonly damage:
    | { readonly at: number; readonly bytes: Uint8Array; readonly isSummed: boolean }
    | undefined;
}

function headerOf(fields: HeaderFields): Buffer {
  const { name, linkname, type, magic, numbers, prefix, damage } = fields;
  const header = Buffer.alloc(blockBytes);
  header.write(name.slice(0, 100), 0, 'latin1');
  numbers.mode.copy(header, 100, 0, 8);
  numbers.uid.copy(header, 108, 0, 8);
  numbers.gid.copy(header, 116, 0, 8);
  numbers.size.copy(header, 124, 0, 12);
  numbers.mtime.copy(header, 136, 0, 12);
  header.write(type, 156, 1, 'latin1');
  header.write(linkname.slice(0, 100), 157, 'latin1');
  header.write(magic, 257, 'latin1');
  numbers.major.copy(header, 329, 0, 8);
  numbers.minor.copy(header, 337, 0, 8);
  header.write(prefix.slice(0, 155), 345, 'latin1');
  if (damage?.isSummed === true) header.set(damage.bytes.subarray(0, blockBytes - damage.at), damage.at);
  header.fill(' ', 148, 156);
  const sum = header.reduce((total, byte) => total + byte, 0);
  header.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148, 'latin1');
  if (damage?.isSummed === false) header.set(damage.bytes.subarray(0, blockBytes - damage.at), damage.at);
  return header;
}

const octal = (value: number, width: number): Buffer =>
  Buffer.from(`${value.toString(8).padStart(width - 1, '0')}\0`, 'latin1');

/** A field of a number: as it should be, or in one of the ways in which it is not. */
const numberField = (value: Arbitrary<number>, width: number): Arbitrary<Buffer> =>
  oneof(
    { weight: 150, arbitrary: value.map((number) => octal(number, width)) },
    {
      weight: 1,
      arbitrary: constantFrom('', '        ', '-1', '9', '7777777777777', '0x1', '1 2', '\0\x007').map(
        (text) => Buffer.from(text.padEnd(width, '\0').slice(0, width), 'latin1'),
      ),
    },
    {
      weight: 1,
      arbitrary: tuple(
        constantFrom(0x80, 0xff, 0x81, 0xc0),
        uint8Array({ minLength: width - 1, maxLength: width - 1 }),
      ).map(([first, rest]) => Buffer.of(first, ...rest)),
    },
    {
      weight: 1,
      arbitrary: value.map((number) => {
        const field = Buffer.alloc(width);
        field[0] = 0x80;
        field.writeUInt32BE(number >>> 0, width - 4);
        return field;
      }),
    },
  );

const component = oneof(
  { weight: 8, arbitrary: constantFrom('a', 'b', 'c', 'link', 'up', 'out') },
  {
    weight: 2,
    arbitrary: constantFrom(
      '..',
      '.',
      '',
      '.wh.a',
      '.wh.b',
      '.wh..wh..opq',
      '.wh..',
      '.wh...',
      '.wh.',
      '.wh..wh.aufs',
    ),
  },
  {
    weight: 1,
    arbitrary: constantFrom('x'.repeat(90), 'y'.repeat(255), 'z'.repeat(256), '\xff\xfe', 'é', 'a\0b'),
  },
  { weight: 1, arbitrary: string({ unit: 'binary', maxLength: 3 }) },
);
/** Names, of which some lead out of the root; `outside` is where the canary is. */
const nameOf = (outside: string): Arbitrary<string> =>
  oneof(
    {
      weight: 12,
      arbitrary: array(component, { minLength: 1, maxLength: 4 }).map((parts) => parts.join('/')),
    },
    {
      weight: 1,
      arbitrary: array(component, { minLength: 1, maxLength: 4 }).map((parts) => `${parts.join('/')}/`),
    },
    {
      weight: 3,
      arbitrary: constantFrom(
        `${outside}/canary`,
        `${outside}/directory`,
        outside,
        '../outside/canary',
        '../../outside/canary',
        'up/outside/canary',
        'out/canary',
        'out/new',
        'link',
        '/',
        '.',
        '',
        './',
        '..',
        '/..',
        `a/${'b/'.repeat(300)}c`,
        'w/'.repeat(3000),
      ),
    },
  );

export interface TarEntryDraft {
  readonly fields: HeaderFields;
  readonly body: Uint8Array;
  /** Records before the entry: of PAX, global ones, or GNU's long names. */
  readonly before: readonly { readonly type: string; readonly body: Buffer }[];
}

const record1 = (key: string, value: string): Buffer => {
  const rest = Buffer.from(` ${key}=${value}\n`, 'latin1');
  let length = rest.length + 1;
  while (String(length).length + rest.length !== length) length = String(length).length + rest.length;
  return Buffer.concat([Buffer.from(String(length)), rest]);
};

const paxKey = constantFrom(
  'path',
  'linkpath',
  'size',
  'uid',
  'gid',
  'mtime',
  'SCHILY.xattr.user.a',
  'SCHILY.xattr.security.capability',
  'SCHILY.xattr.trusted.overlay.opaque',
  'SCHILY.xattr.user.overlay.whiteout',
  'SCHILY.xattr.',
  'GNU.sparse.major',
  'GNU.sparse.name',
  'GNU.sparse.map',
  'hdrcharset',
  '__proto__',
  'comment',
  '',
);
const paxValue = (outside: string): Arbitrary<string> =>
  oneof(
    nameOf(outside),
    constantFrom(
      '0',
      '1',
      '5',
      '512',
      '-1',
      '1e9',
      '99999999999999999999',
      '0x10',
      '1.5',
      '-1.5',
      `1.${'9'.repeat(200)}`,
      '9'.repeat(30),
      'NaN',
      '',
      '\0',
      'BINARY',
    ),
  );
const pax = (outside: string): Arbitrary<Buffer> =>
  array(
    oneof(
      { weight: 8, arbitrary: tuple(paxKey, paxValue(outside)).map(([key, value]) => record1(key, value)) },
      {
        weight: 1,
        arbitrary: constantFrom(
          '5 a=\n',
          '0 a=b\n',
          '-3 a=b\n',
          '9999 path=x\n',
          '3 a',
          'x',
          '10 path=abc',
          '8 path=x\n',
          ' \n',
          '18446744073709551616 a=b\n',
        ).map((text) => Buffer.from(text, 'latin1')),
      },
    ),
    { maxLength: 4 },
  ).map((records) => Buffer.concat(records));

function entryOf(outside: string): Arbitrary<TarEntryDraft> {
  const name = nameOf(outside);
  return record({
    fields: record({
      name,
      linkname: oneof(name, constantFrom('..', '../outside', outside, '/', 'a', 'a/b', 'link')),
      type: oneof(
        {
          weight: 12,
          arbitrary: constantFrom('0', '0', '\0', '1', '1', '2', '2', '5', '5', '3', '4', '6', '7'),
        },
        {
          weight: 1,
          arbitrary: constantFrom('S', 'V', 'M', 'D', 'N', 'L', 'K', 'x', 'g', 'X', 'A', '8', '\xff', ' '),
        },
      ),
      magic: oneof(
        { weight: 10, arbitrary: constantFrom('ustar\x0000', 'ustar  \0') },
        { weight: 1, arbitrary: constantFrom('', 'ustar', 'USTAR\x0000') },
      ),
      numbers: record({
        mode: numberField(constantFrom(0, 0o644, 0o755, 0o4755, 0o7777, 0o40755), 8),
        uid: numberField(constantFrom(0, 1000, 0o7777777), 8),
        gid: numberField(constantFrom(0, 1000, 0o7777777), 8),
        size: numberField(
          oneof(
            { weight: 5, arbitrary: constantFrom(-1) },
            { weight: 1, arbitrary: constantFrom(0, 1, 511, 512, 513, 4096, 0o77777777777) },
          ),
          12,
        ),
        mtime: numberField(constantFrom(0, 1_700_000_000, 0o77777777777), 12),
        major: numberField(constantFrom(0, 1, 8, 4095, 4096, 0o7777777), 8),
        minor: numberField(constantFrom(0, 3, 0xfffff, 0o7777777), 8),
      }),
      prefix: oneof({ weight: 10, arbitrary: constantFrom('') }, { weight: 1, arbitrary: name }),
      damage: oneof(
        { weight: 12, arbitrary: constantFrom(undefined) },
        {
          weight: 1,
          arbitrary: record({
            at: integer({ min: 0, max: 511 }),
            bytes: uint8Array({ minLength: 1, maxLength: 8 }),
            isSummed: boolean(),
          }),
        },
      ),
    }),
    body: uint8Array({ maxLength: 600, size: 'max' }),
    before: array(
      oneof(
        pax(outside).map((body) => ({ type: 'x', body })),
        pax(outside).map((body) => ({ type: 'g', body })),
        tuple(constantFrom('L', 'K', 'N'), name).map(([type, text]) => ({
          type,
          body: Buffer.from(`${text}\0`, 'latin1'),
        })),
      ),
      { maxLength: 2, size: 'small' },
    ),
  });
}

const padded = (bytes: Uint8Array): Buffer =>
  Buffer.concat([bytes, Buffer.alloc(-bytes.length & (blockBytes - 1))]);

function encodeEntry({ fields, body, before }: TarEntryDraft): Buffer {
  const records = before.map((each) =>
    Buffer.concat([
      headerOf({
        ...fields,
        name: '././@LongLink',
        type: each.type,
        damage: undefined,
        prefix: '',
        numbers: { ...fields.numbers, size: octal(each.body.length, 12) },
      }),
      padded(each.body),
    ]),
  );
  const hasBody = '0\x007SM'.includes(fields.type);
  // A size that was drawn as -1 is the true one.
  const isTrue = fields.numbers.size.equals(octal(-1, 12));
  const size = isTrue ? octal(hasBody ? body.length : 0, 12) : fields.numbers.size;
  return Buffer.concat([
    ...records,
    headerOf({ ...fields, numbers: { ...fields.numbers, size } }),
    ...(hasBody ? [padded(body)] : []),
  ]);
}

export interface LayerStream {
  /** The tar itself, before what compressed or cut it. */
  readonly tar: Buffer;
  readonly blob: Buffer;
  readonly entries: readonly string[];
}

/** Streams of layers, plain or compressed, whole or cut; some of their names lead to `outside`. */
export function layerStream(outside: string): Arbitrary<LayerStream> {
  return record({
    entries: array(entryOf(outside), { maxLength: 8, size: 'max' }),
    end: constantFrom(0, 512, 1024, 1024, 1024, 10_240),
    tail: oneof(
      { weight: 8, arbitrary: constantFrom(new Uint8Array()) },
      { weight: 1, arbitrary: uint8Array({ maxLength: 600, size: 'max' }) },
    ),
    compression: constantFrom('none', 'none', 'gzip', 'zstd', 'twice'),
    cut: oneof(
      { weight: 6, arbitrary: constantFrom(1) },
      { weight: 1, arbitrary: integer({ min: 0, max: 1000 }).map((part) => part / 1000) },
    ),
    flip: oneof(
      { weight: 8, arbitrary: constantFrom(-1) },
      { weight: 1, arbitrary: integer({ min: 0, max: 9999 }) },
    ),
  }).map(({ entries, end, tail, compression, cut, flip }) => {
    const tar = Buffer.concat([...entries.map(encodeEntry), Buffer.alloc(end), tail]);
    const whole = compressed(tar, compression);
    const blob = Buffer.from(whole.subarray(0, Math.floor(whole.length * cut)));
    if (flip >= 0 && blob.length > 0) {
      const at = flip % blob.length;
      blob[at] = (blob[at] ?? 0) ^ (1 << (flip % 8));
    }
    return {
      tar,
      blob,
      entries: entries.map(({ fields }) => `${fields.type} ${fields.name} -> ${fields.linkname}`),
    };
  });
}

function compressed(tar: Buffer, compression: string): Buffer {
  if (compression === 'gzip') return gzipSync(tar, { level: 1 });
  if (compression === 'zstd') return zstdCompressSync(tar);
  return compression === 'twice'
    ? Buffer.concat([gzipSync(tar.subarray(0, 512)), gzipSync(tar.subarray(512))])
    : tar;
}
