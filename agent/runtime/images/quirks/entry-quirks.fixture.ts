/** Links, attributes and names. */
import { directory, file, hardlink, symlink, type LayerQuirk } from './quirk.fixture.ts';

const capability = Buffer.from('0100000200f4ffff80ff00000000000000000000', 'hex');
/** rw for the owner, r for user 7 and the group, nothing for others, at most r (linux/posix_acl_xattr.h). */
const accessList = Buffer.from(
  [
    '02000000',
    '01000600ffffffff',
    '0200040007000000',
    '04000400ffffffff',
    '10000400ffffffff',
    '20000000ffffffff',
  ].join(''),
  'hex',
);
const long = (count: number, end = 'file'): string => `${'directory-of-a-long-name/'.repeat(count)}${end}`;

export const links: readonly LayerQuirk[] = [
  {
    name: 'Docker: hard links of one layer',
    layers: [[file('a', 'one'), hardlink('b', 'a'), hardlink('c', './b'), hardlink('d', '/a')]],
  },
  {
    name: 'kaniko: a hard link to a file of a layer below',
    layers: [
      [
        directory('a'),
        file('a/x', 'x', {
          mode: 0o4755,
          uid: 3,
          gid: 4,
          pax: [['SCHILY.xattr.security.capability', capability]],
        }),
      ],
      [hardlink('b', 'a/x'), hardlink('c', 'a/x')],
    ],
  },
  {
    name: 'GNU tar: a hard link to a file that is replaced later',
    layers: [[file('a', 'old'), hardlink('b', 'a'), file('a', 'new!')]],
  },
  {
    name: 'Docker: a file of a hard link is replaced by a layer',
    layers: [[file('a', 'old'), hardlink('b', 'a')], [file('a', 'new!')]],
  },
  {
    name: 'BSD tar: a hard link to a symbolic link',
    layers: [[symlink('s', 'nowhere'), hardlink('t', 's')]],
  },
  {
    name: 'GNU tar -r: a file and its hard link twice',
    layers: [[file('a', 'one'), hardlink('b', 'a'), file('a', 'two!'), hardlink('b', 'a')]],
  },
  {
    name: 'kaniko: a hard link to itself',
    layers: [[file('a', 'one'), hardlink('a', './a')]],
    isOwn: true,
    want: { '/a': /3 bytes/ },
  },
  {
    name: 'cpio: a hard link with a size, which is none',
    layers: [[file('a', 'one'), { ...hardlink('b', 'a'), size: 3 }, file('c', 'c')]],
  },
  {
    name: 'Nix: thousands of links to one file',
    layers: [[file('f', 'f'), ...Array.from({ length: 300 }, (_, at) => hardlink(`l${at}`, 'f'))]],
  },
  {
    name: 'Docker: a hard link to a device and a FIFO of a layer below',
    layers: [
      [
        directory('dev'),
        { name: 'dev/loop', type: '4', mode: 0o660, gid: 6, device: [7, 300] },
        { name: 'dev/fifo', type: '6', mode: 0o622 },
      ],
      [hardlink('loop', 'dev/loop'), hardlink('fifo', 'dev/fifo')],
    ],
  },
  {
    name: 'apko: links to nowhere, to itself and out of the root',
    layers: [
      [
        symlink('nowhere', 'not/there'),
        symlink('self', 'self'),
        symlink('out', '../../etc'),
        symlink('abs', '/etc/passwd'),
        symlink('long', 'x'.repeat(99)),
      ],
    ],
  },
];

export const attributes: readonly LayerQuirk[] = [
  {
    name: 'Docker: devices and a FIFO',
    layers: [
      [
        directory('dev'),
        { name: 'dev/null', type: '3', mode: 0o666, device: [1, 3] },
        { name: 'dev/loop', type: '4', mode: 0o660, gid: 6, device: [7, 300] },
        { name: 'dev/fifo', type: '6', mode: 0o622 },
      ],
    ],
  },
  {
    name: 'Docker: set-id and sticky bits',
    layers: [
      [
        file('u', 'u', { mode: 0o4755 }),
        file('g', 'g', { mode: 0o2755, gid: 12 }),
        directory('t', { mode: 0o1777 }),
        directory('s', { mode: 0o2755, gid: 8 }),
        file('none', '', { mode: 0 }),
      ],
    ],
  },
  {
    name: 'BuildKit: capabilities and attributes of users, with zero bytes',
    layers: [
      [
        file('ping', 'p', {
          mode: 0o755,
          pax: [
            ['SCHILY.xattr.security.capability', capability],
            ['SCHILY.xattr.user.a', Buffer.from('a\0b\n=c')],
          ],
        }),
      ],
    ],
  },
  {
    name: "podman: what overlayfs noted on the builder's host",
    layers: [
      [
        directory('etc', {
          mode: 0o750,
          pax: [
            ['SCHILY.xattr.user.overlay.impure', 'y'],
            ['SCHILY.xattr.user.overlay.origin', ''],
            ['SCHILY.xattr.trusted.overlay.opaque', 'y'],
          ],
        }),
        file('etc/f', 'f', { pax: [['SCHILY.xattr.trusted.overlay.redirect', '/etc']] }),
        file('below', 'b'),
      ],
      [
        directory('etc', {
          pax: [
            ['SCHILY.xattr.trusted.overlay.opaque', 'y'],
            ['SCHILY.xattr.user.kept', 'k'],
          ],
        }),
        file('etc/g', 'g'),
      ],
    ],
    isOwn: true,
    want: { '/etc': /^40755 .*user\.kept=6b/, '/etc/f': /^100644 \S+ \S+ 1 bytes \w+$/, '/etc/g': /1 bytes/ },
  },
  {
    name: 'Fedora: lists of who has access',
    layers: [
      [
        directory('d', { pax: [['SCHILY.xattr.system.posix_acl_default', accessList]] }),
        file('d/f', 'f', { mode: 0o640, pax: [['SCHILY.xattr.system.posix_acl_access', accessList]] }),
      ],
      [hardlink('h', 'd/f')],
    ],
    isOwn: true,
    want: {
      '/d': new RegExp(`system\\.posix_acl_default=${accessList.toString('hex')}`),
      '/h': new RegExp(`^100640 .*system\\.posix_acl_access=${accessList.toString('hex')}`),
    },
  },
  {
    name: 'GNU tar: owners of base 256',
    layers: [
      [
        file('u', 'u', { uid: 2_097_152, gid: 4_000_000_000, format: 'gnu' }),
        directory('d', { uid: 4_294_967_294, gid: 2_097_151, format: 'gnu' }),
      ],
    ],
  },
  {
    name: 'Go: owners and sizes in pax records',
    layers: [
      [
        file('u', 'u', {
          pax: [
            ['uid', '3000000000'],
            ['gid', '3000000001'],
          ],
        }),
        file('s', 'content', { size: 7, pax: [['size', '7']] }),
      ],
    ],
  },
  {
    name: 'Go: times with fractions, before 1970 and far ahead',
    layers: [
      [
        file('f', '', { pax: [['mtime', '1700000000.123456789']] }),
        file('before', '', { pax: [['mtime', '-1.5']] }),
        file('gnu', '', { mtime: -100, format: 'gnu' }),
        file('far', '', { mtime: 8_589_934_592, format: 'gnu' }),
        symlink('l', 'f', { pax: [['mtime', '1000000000.5']] }),
      ],
    ],
  },
  { name: 'Bazel: all times are 0', layers: [[directory('d', { mtime: 0 }), file('d/f', '', { mtime: 0 })]] },
  {
    name: 'apko: names of owners that nobody has here',
    layers: [[file('f', 'f', { uid: 65532, raw: { 265: 'nonroot', 297: 'nogroup' } })]],
  },
];

export const names: readonly LayerQuirk[] = [
  {
    name: 'GNU tar: long names and links (L, K)',
    layers: [
      [
        { name: 'cut', content: 'long', format: 'gnu', long: { L: long(8) } },
        { name: 'short', type: '2', link: 'cut', format: 'gnu', long: { K: long(6, 'target') } },
        { name: 'cut', type: '1', link: 'cut', format: 'gnu', long: { L: long(7, 'hard'), K: long(8) } },
      ],
    ],
  },
  {
    name: 'Go: long names and links (pax)',
    layers: [
      [
        file('cut', 'long', { pax: [['path', long(9)]] }),
        symlink('s', 'cut', { pax: [['linkpath', long(5, 'target')]] }),
        hardlink('h', 'cut', { pax: [['linkpath', long(9)]] }),
      ],
    ],
  },
  { name: 'POSIX: a prefix', layers: [[file('in/prefix', 'p', { raw: { 345: 'some/directory' } })]] },
  {
    name: 'GNU tar: names that are no UTF-8',
    layers: [
      [
        directory('caf\xe9'),
        file('caf\xe9/\xff\xfe', 'bytes'),
        symlink('l\xe9', 'caf\xe9/\xff\xfe'),
        hardlink('h\x80', 'caf\xe9/\xff\xfe'),
        file('gr\xc3\xbc\xc3\x9fe', 'utf-8'),
      ],
      [file('caf\xe9/.wh.\xff\xfe', ''), file('caf\xe9/new', '')],
    ],
  },
  {
    name: 'GNU tar: names with spaces, quotes, backslashes, line ends',
    layers: [
      [
        file('a b', '1'),
        file('"q\'', '2'),
        file('back\\slash', '3'),
        file('line\nend', '4'),
        file(' ', '5'),
        file('-rf', '6'),
        file('a:b,c', '7'),
      ],
    ],
  },
  {
    name: 'Docker: ./ before names, and the root itself',
    layers: [
      [
        { ...directory('.', { mode: 0o711 }), name: './' },
        { ...directory('a'), name: './a/' },
        file('./a/f', 'f'),
        hardlink('./h', './a/f'),
      ],
    ],
  },
  {
    name: 'Docker: absolute names',
    layers: [[{ ...directory('abs'), name: '/abs/' }, file('/abs/f', 'f'), hardlink('/h', '/abs/f')]],
  },
  { name: 'Bazel: doubled slashes and dots within', layers: [[file('a//b/./c', 'c')]] },
  {
    name: 'Python: steps back within a name',
    layers: [
      [directory('a'), file('a/../b', 'b'), hardlink('a/x/../c', 'a/../b'), file('a/../.wh.gone', '')],
    ],
    isOwn: true,
    want: { '/b': /1 bytes/, '/a/c': /1 bytes/, '/a/x': undefined },
  },
  {
    name: 'v7: no magic, directories by a slash',
    layers: [
      [
        { name: 'old/', format: 'v7' },
        file('old/f', 'f', { format: 'v7' }),
        { name: 'old/l', type: '2', link: 'f', format: 'v7' },
      ],
    ],
  },
  {
    name: 'Python: file type NUL',
    layers: [[file('f', 'f', { type: '\0' }), { name: 'd/', type: '\0', mode: 0o755 }]],
    isOwn: true,
    want: { '/f': /1 bytes/, '/d': /^40755/ },
  },
  {
    name: 'Solaris: pax records of type X',
    layers: [[{ name: 'x', type: 'X', content: '16 path=renamed\n' }, file('f', 'f')]],
  },
  {
    name: 'git archive: a global header',
    layers: [[{ name: 'pax_global_header', type: 'g', content: '19 comment=0123456\n' }, file('f', 'f')]],
  },
  {
    name: 'GNU tar --label: a volume label',
    layers: [[{ name: 'label', type: 'V', format: 'gnu' }, file('f', 'f')]],
  },
  {
    name: 'GNU tar --listed-incremental: directories with lists',
    layers: [[{ name: 'd/', type: 'D', mode: 0o750, content: 'Yf\0\0', format: 'gnu' }, file('d/f', 'f')]],
    isOwn: true,
    want: { '/d': /^40750/, '/d/f': /1 bytes/ },
  },
  { name: 'GNU tar: a file that is contiguous', layers: [[file('c', 'contiguous', { type: '7' })]] },
];
