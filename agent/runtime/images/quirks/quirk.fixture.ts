/** How a quirk of a builder is written down. */
import { endOfTar, rawEntry, type RawEntry } from './raw-tar.fixture.ts';

export interface LayerQuirk {
  /** Whose quirk: what it is. */
  readonly name: string;
  /** Bottom first. */
  readonly layers: readonly (readonly RawEntry[])[];
  /** Of a layer's tar, in place of its two empty blocks. */
  readonly end?: Buffer;
  readonly compress?: (tar: Buffer) => Buffer;
  /** What GNU tar would not do, or not so; paths that must be as they are here (undefined: not there). */
  readonly want?: Readonly<Record<string, RegExp | undefined>>;
  /** GNU tar is not asked. */
  readonly isOwn?: boolean;
}

export const file = (name: string, content: string, more: Partial<RawEntry> = {}): RawEntry => ({
  name,
  content,
  ...more,
});
export const directory = (name: string, more: Partial<RawEntry> = {}): RawEntry => ({
  name: `${name}/`,
  type: '5',
  mode: 0o755,
  ...more,
});
export const symlink = (name: string, link: string, more: Partial<RawEntry> = {}): RawEntry => ({
  name,
  link,
  type: '2',
  mode: 0o777,
  ...more,
});
export const hardlink = (name: string, link: string, more: Partial<RawEntry> = {}): RawEntry => ({
  name,
  link,
  type: '1',
  ...more,
});

/** A directory with something in it. */
export const some: readonly RawEntry[] = [
  directory('a'),
  file('a/x', 'x'),
  file('a/y', 'y'),
  directory('a/z'),
  file('a/z/1', '1'),
];

/** The tar of a layer of a row. */
export function tarOfQuirk(entries: readonly RawEntry[], { end = endOfTar }: LayerQuirk): Buffer {
  return Buffer.concat([...entries.map(rawEntry), end]);
}
