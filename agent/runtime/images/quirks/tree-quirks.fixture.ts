/** Whiteouts, parents that no entry is for, and what is replaced. */
import { directory, file, hardlink, some, symlink, type LayerQuirk } from './quirk.fixture.ts';

export const whiteouts: readonly LayerQuirk[] = [
  { name: 'Docker: a file is gone', layers: [some, [directory('a'), file('a/.wh.x', '')]] },
  { name: 'Docker: a directory is gone', layers: [some, [file('.wh.a', '')]] },
  {
    name: 'Docker: a directory is gone and there again',
    layers: [some, [file('.wh.a', ''), directory('a'), file('a/new', 'n')]],
  },
  {
    name: 'kaniko: what comes instead stands before its whiteout',
    layers: [some, [directory('a'), file('a/new', 'n'), file('.wh.a', '')]],
  },
  {
    name: 'BuildKit: an opaque directory, its mark first',
    layers: [some, [directory('a'), file('a/.wh..wh..opq', ''), file('a/new', 'n')]],
  },
  {
    name: 'aufs: an opaque directory, its mark last',
    layers: [some, [directory('a'), file('a/new', 'n'), file('a/.wh..wh..opq', '')]],
  },
  {
    name: 'buildah: an opaque mark of a directory without an entry',
    layers: [some, [file('a/.wh..wh..opq', '')]],
  },
  {
    name: 'umoci: an opaque mark in a directory with whiteouts',
    layers: [some, [directory('a'), file('a/.wh.x', ''), file('a/.wh..wh..opq', ''), file('a/y', 'new')]],
  },
  {
    name: 'umoci: the root is opaque',
    layers: [some, [directory('b')], [file('.wh..wh..opq', ''), file('only', '1')]],
  },
  { name: 'kaniko: a whiteout below one', layers: [some, [file('.wh.a', ''), file('a/.wh.x', '')]] },
  {
    name: 'kaniko: a whiteout, and then one above it',
    layers: [some, [file('a/z/.wh.1', ''), file('a/.wh.z', ''), file('.wh.a', '')]],
  },
  {
    name: 'buildah: a whiteout of what no layer has',
    layers: [some, [file('.wh.nothing', ''), file('a/.wh.nothing', '')]],
  },
  { name: 'kaniko: the same whiteout twice', layers: [some, [file('a/.wh.x', ''), file('a/.wh.x', '')]] },
  {
    name: 'Docker: a whiteout that a later layer fills',
    layers: [some, [file('.wh.a', '')], [directory('a'), file('a/y', 'again')]],
  },
  {
    name: 'BuildKit: a whiteout of a link, not of where it leads',
    layers: [[...some, symlink('l', 'a')], [file('.wh.l', '')]],
  },
  {
    name: 'aufs: its own records and where it kept hard links',
    layers: [
      [
        file('.wh..wh.aufs', ''),
        directory('.wh..wh.orph', { mode: 0o700 }),
        directory('.wh..wh.plnk', { mode: 0o700 }),
        file('.wh..wh.plnk/1.2', 'both'),
        hardlink('p', '.wh..wh.plnk/1.2'),
        hardlink('q', '.wh..wh.plnk/1.2'),
      ],
    ],
    isOwn: true,
    want: {
      '/p': /4 bytes/,
      '/q': /is \/p/,
      '/.wh..wh.plnk': undefined,
      '/.wh..wh.plnk/1.2': undefined,
      '/.wh..wh.orph': undefined,
    },
  },
  {
    name: 'kaniko: a directory is replaced by a link, and has whiteouts below it',
    layers: [
      [directory('d'), file('d/x', 'x'), directory('e'), file('e/x', 'kept')],
      [symlink('d', 'e'), file('d/.wh.x', '')],
    ],
  },
  {
    name: 'kaniko: a directory is replaced by a file, and has whiteouts below it',
    layers: [some, [file('a', 'file'), file('a/.wh.x', ''), file('a/z/.wh..wh..opq', '')]],
  },
  {
    name: 'CMS: a whiteout that is a hard link',
    layers: [
      [...some, file('b', 'b')],
      [directory('a'), hardlink('a/.wh.x', 'b')],
    ],
  },
  {
    name: 'go-containerregistry: the target of a hard link is gone in a later layer',
    layers: [[file('a', 'one'), hardlink('b', 'a')], [file('.wh.a', '')]],
  },
  {
    name: 'Domino: an opaque directory with a link and whiteouts, which a later layer has again',
    layers: [
      [directory('doc'), directory('doc/curl'), file('doc/curl/old', 'o')],
      [
        directory('doc/curl'),
        file('doc/curl/.wh..wh..opq', ''),
        symlink('doc/curl/NEWS', 'x'),
        file('doc/curl/.wh.old', ''),
      ],
      [directory('doc/curl'), file('doc/curl/.wh..wh..opq', ''), symlink('doc/curl/NEWS', 'y')],
    ],
  },
];

export const parents: readonly LayerQuirk[] = [
  {
    name: 'kaniko: parents without entries',
    layers: [
      [
        directory('tmp', { mode: 0o1777 }),
        directory('home'),
        directory('home/alice', { mode: 0o700, uid: 1001, gid: 1002 }),
      ],
      [file('tmp/stamp', ''), file('home/alice/app', 'app', { uid: 1001 })],
    ],
  },
  {
    name: 'Bazel: parents without entries at the bottom',
    layers: [[file('usr/share/doc/x', 'x')], [file('usr/share/doc/y', 'y')]],
  },
  {
    name: 'ko: parents without entries over three layers',
    layers: [
      [directory('ko', { mode: 0o750, gid: 50 })],
      [file('ko/app', 'a')],
      [file('ko/data/file', 'd')],
      [file('ko/data/other', 'o')],
    ],
  },
  {
    name: 'Jib: a parent without an entry that a layer had made anew',
    layers: [
      [directory('app', { mode: 0o700 })],
      [directory('app', { mode: 0o711, uid: 5 })],
      [file('app/main', 'm')],
    ],
  },
  {
    name: 'Bazel: a parent whose entry comes after what is in it',
    layers: [some, [file('a/new', 'n'), directory('a', { mode: 0o710, uid: 9 })]],
  },
  {
    name: 'kaniko: a parent that is gone and has no entry',
    layers: [
      [directory('a', { mode: 0o700, uid: 7 }), file('a/old', '')],
      [file('.wh.a', '')],
      [file('a/new', 'n')],
    ],
  },
  {
    name: 'buildah: a parent with attributes',
    layers: [[directory('a', { pax: [['SCHILY.xattr.user.kept', 'yes']] })], [file('a/b', 'b')]],
  },
  {
    name: 'usrmerge: below a link of the same layer',
    layers: [[directory('usr'), directory('usr/lib'), symlink('lib', 'usr/lib'), file('lib/foo', 'foo')]],
  },
  {
    name: 'usrmerge: below a link to a directory that comes later',
    layers: [[symlink('lib', 'usr/lib'), file('lib/foo', 'foo'), file('usr/lib/bar', 'bar')]],
    isOwn: true,
    want: { '/lib': /usr\/lib$/, '/usr/lib/foo': /3 bytes/, '/usr/lib/bar': /3 bytes/ },
  },
  {
    name: 'Clear Linux: below an absolute link, and one that would lead out',
    layers: [
      [
        directory('usr'),
        symlink('lib', '/usr/lib64'),
        symlink('up', '../../../usr'),
        file('lib/foo', 'foo'),
        file('up/bar', 'bar'),
      ],
    ],
    isOwn: true,
    want: { '/usr/lib64/foo': /3 bytes/, '/usr/bar': /3 bytes/, '/up': /^120777/ },
  },
  {
    name: 'Nix: a link to a link',
    layers: [[directory('nix'), symlink('one', 'two'), symlink('two', 'nix'), file('one/f', 'f')]],
  },
  {
    name: 'Bazel: a whiteout and a hard link below a link',
    layers: [
      [directory('usr'), file('usr/gone', 'g'), file('usr/f', 'f')],
      [
        directory('usr'),
        symlink('l', 'usr'),
        file('usr/g', 'g'),
        hardlink('h', 'l/g'),
        file('l/.wh.gone', ''),
      ],
    ],
    isOwn: true,
    want: { '/h': /1 bytes/, '/usr/g': /is \/h/, '/usr/gone': undefined, '/usr/f': /1 bytes/ },
  },
  {
    name: 'Debian: a directory instead of a link of a layer below',
    layers: [
      [directory('usr'), directory('usr/lib'), symlink('lib', 'usr/lib')],
      [directory('lib'), file('lib/own', 'o')],
    ],
  },
  {
    name: 'rules_img: a hard link whose parents have no entries',
    layers: [
      [file('bin/app', 'app'), file('bin/files/main.go', 'm'), hardlink('bin/files/app_/app', 'bin/app')],
    ],
  },
  {
    name: 'kaniko: an entry for / and absolute targets of hard links',
    layers: [some, [{ ...directory('x'), name: '/' }, file('/a/new', 'n'), hardlink('/a/hard', '/a/new')]],
  },
  {
    name: 'kaniko: a link to a directory whose files come by the way of the link',
    layers: [
      [
        directory('jvm'),
        symlink('jvm/default', 'java-9'),
        directory('jvm/java-9'),
        file('jvm/default/bin', 'b'),
      ],
    ],
  },
];

export const replaced: readonly LayerQuirk[] = [
  { name: 'Docker: a directory is replaced by a file', layers: [some, [file('a', 'now a file')]] },
  {
    name: 'Docker: a file is replaced by a directory',
    layers: [[file('a', 'f')], [directory('a'), file('a/in', 'i')]],
  },
  {
    name: 'Docker: a link is replaced by a directory, and the reverse',
    layers: [
      [directory('r'), symlink('l', 'r'), directory('d'), file('d/x', 'x')],
      [directory('l'), file('l/in', 'i'), symlink('d', 'r')],
    ],
  },
  {
    name: 'GNU tar -r: entries again in one layer, of other types',
    layers: [
      [
        file('a', 'f'),
        directory('a'),
        file('a/in', 'i'),
        file('b', '1'),
        file('b', '22'),
        symlink('c', 'a'),
        file('c', 'c'),
      ],
    ],
  },
  {
    name: 'GNU tar -r: a directory is replaced by a file in one layer',
    layers: [[directory('a'), directory('a/b'), file('a/b/\xff', 'x'), file('a', 'f')]],
  },
  {
    name: 'Docker: a directory gets other attributes only',
    layers: [some, [directory('a', { mode: 0o2770, uid: 10, gid: 11, mtime: 1_600_000_000 })]],
  },
  {
    name: 'Docker: a device is replaced by a file',
    layers: [[{ name: 'n', type: '3', device: [1, 3] }], [file('n', 'n')]],
  },
];
