/** Layers: a clear error or a tree that stays below its root, whatever the stream; and what tar wrote, in any of its dialects. */
import { array, constantFrom, record, type Arbitrary } from 'fast-check';
import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  chownSync,
  existsSync,
  linkSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  renameSync,
  rmSync,
  symlinkSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect } from 'vitest';
import { digestOf } from '#agent/runtime/images/blob-store.ts';
import { unpackLayer } from '#agent/runtime/images/unpack/unpack-layer.ts';
import { errnoOf, isPodwrightError } from '#base/errors.ts';
import { scratchDirectory } from '#base/scratch-directory.fixture.ts';
import { fuzz } from './fuzz.ts';
import { layerStream } from './tar-stream.fixture.ts';

const root = scratchDirectory('podwright-fuzz-', existsSync('/dev/shm') ? '/dev/shm' : undefined);
const outside = join(root, 'outside');
const limits = { entriesMax: 50, bytesMax: 1_000_000 };
const deadlineMs = 60_000;
const told = new Map<string, number>();

beforeAll(() => {
  mkdirSync(join(outside, 'directory'), { recursive: true });
  writeFileSync(join(outside, 'canary'), 'untouched');
});
afterAll(() => {
  console.log(Object.fromEntries([...told].toSorted(([, a], [, b]) => b - a)));
});

/** Everything below a directory: kind, mode, owner, links, time and content of each. Names as their bytes. */
function snapshot(directory: Buffer, wholeSeconds = false): readonly string[] {
  return readdirSync(directory, { encoding: 'buffer' })
    .toSorted((a, b) => a.compare(b))
    .flatMap((name) => {
      const path = Buffer.concat([directory, Buffer.from('/'), name]);
      const { mode, uid, gid, nlink, mtimeMs, size, rdev } = lstatSync(path);
      const type = mode & 0o170000;
      const content =
        type === 0o100000
          ? readFileSync(path).toString('base64')
          : type === 0o120000
            ? readlinkSync(path, { encoding: 'latin1' })
            : '';
      const time = wholeSeconds ? Math.floor(mtimeMs / 1000) : mtimeMs;
      const own = `${path.subarray(directory.length).toString('latin1')} ${mode.toString(8)} ${uid}:${gid} ${type === 0o040000 ? '' : `${nlink} ${size} `}${rdev} ${time} ${content}`;
      return type === 0o040000
        ? [own, ...snapshot(path, wholeSeconds).map((line) => `${name.toString('latin1')}${line}`)]
        : [own];
    });
}

/** Why it was refused; undefined where it was unpacked. A minute without an answer is a fault. */
async function unpack(blob: Buffer, tar: Buffer): Promise<string | undefined> {
  const target = join(root, 'layer');
  rmSync(target, { recursive: true, force: true });
  mkdirSync(target);
  writeFileSync(join(root, 'blob'), blob);
  const { promise: late, reject } = Promise.withResolvers<never>();
  const timer = setTimeout(() => reject(new Error(`no end after ${deadlineMs} ms`)), deadlineMs);
  try {
    const work = unpackLayer({
      blob: join(root, 'blob'),
      target,
      below: [],
      digest: undefined,
      diffId: digestOf(tar),
      limits,
    });
    await Promise.race([work, late]);
    return undefined;
  } catch (error) {
    if (!isPodwrightError(error)) throw error;
    // A machine may refuse to make devices (E_PERMISSION).
    expect(['E_INVALID', 'E_UNSUPPORTED', 'E_LIMIT', 'E_KERNEL', 'E_PERMISSION']).toContain(error.code);
    // What a name or a number of the stream makes the kernel say, and nothing that tells of a fault of ours.
    if (error.code === 'E_KERNEL')
      expect(['ENAMETOOLONG', 'EINVAL', 'ENOTSUP', 'EOPNOTSUPP', 'ERANGE', 'ENOSPC']).toContain(
        errnoOf(error),
      );
    return error.message;
  } finally {
    clearTimeout(timer);
  }
}

const openFiles = (): number => readdirSync('/proc/self/fd').length;

describe.skipIf(process.getuid?.() !== 0)('layers (needs root)', () => {
  let open = 0;
  let cases = 0;

  fuzz('streams of layers: an error of ours, or a tree below the root', {
    arbitrary: layerStream(outside),
    seconds: 6,
    check: async ({ tar, blob, entries }) => {
      const before = snapshot(Buffer.from(outside));
      const refusal = await unpack(blob, tar);
      expect(snapshot(Buffer.from(outside)), entries.join('; ')).toEqual(before);
      expect(readdirSync(root).toSorted()).toEqual(['blob', 'layer', 'outside']);
      const kind = (refusal ?? 'unpacked')
        .replace(/sha256:[0-9a-f]+|\d+/g, '…')
        .replace(/entry .* is refused/s, 'entry … is refused')
        .slice(0, 90);
      if (told.size < 60) told.set(kind, (told.get(kind) ?? 0) + 1);
      if (++cases % 200 !== 0) return;
      await new Promise((resolve) => setTimeout(resolve, 5));
      if (open === 0) open = openFiles();
      expect(openFiles()).toBeLessThanOrEqual(open + 5);
    },
  });

  fuzz('layers as tar writes them, in each of its dialects', {
    arbitrary: record({
      files: array(fileDraft, { minLength: 1, maxLength: 8, size: 'max' }),
      format: constantFrom<readonly string[]>(
        ['--format=v7'],
        ['--format=oldgnu'],
        ['--format=gnu'],
        ['--format=ustar'],
        ['--format=posix'],
        ['--format=gnu', '-S'],
        ['--format=posix', '-S'],
      ),
    }),
    seconds: 4,
    check: async ({ files, format }) => {
      const source = join(root, 'source');
      rmSync(source, { recursive: true, force: true });
      mkdirSync(source);
      const hasLarge = format[0] === '--format=v7' || format[0] === '--format=ustar';
      for (const file of files) makeFile(source, hasLarge ? { ...file, uid: file.uid % 1000 } : file);
      // What the dialect has no room for (long names) is left out by tar itself, which says so.
      const made = tarOf(source, format);
      if (made === undefined) return;
      const refusal = await unpack(made, made);
      if (format.includes('-S') && refusal?.includes('sparse') === true) return;
      expect(refusal, format.join(' ')).toBeUndefined();
      const isWhole = !format[0]?.includes('posix');
      expect(snapshot(Buffer.from(join(root, 'layer')), isWhole)).toEqual(
        snapshot(Buffer.from(source), isWhole),
      );
      rmSync(source, { recursive: true, force: true });
    },
  });
});

interface FileDraft {
  readonly kind: 'file' | 'sparse' | 'directory' | 'symlink' | 'link' | 'fifo';
  readonly name: Buffer;
  readonly mode: number;
  readonly uid: number;
  readonly seconds: number;
  readonly size: number;
}

const fileDraft: Arbitrary<FileDraft> = record({
  kind: constantFrom('file', 'file', 'sparse', 'directory', 'symlink', 'link', 'fifo'),
  name: constantFrom(
    'a',
    'b',
    'sp ace',
    'é',
    '\xff\xfe',
    'new\nline',
    'n'.repeat(99),
    'n'.repeat(100),
    'n'.repeat(101),
    'n'.repeat(255),
    `d/${'n'.repeat(150)}`,
    `d/${'e'.repeat(98)}/f`,
    'd/f',
    '.wh',
    '-x',
    '..x',
  ).map((name) => Buffer.from(name, 'latin1')),
  mode: constantFrom(0o644, 0o600, 0o4755, 0o1777, 0),
  uid: constantFrom(0, 1000, 2_097_151, 2_097_152, 4_000_000_000),
  seconds: constantFrom(0, 1, 1_700_000_000.25, 4_000_000_000.5, 9_000_000_000),
  size: constantFrom(0, 1, 511, 512, 513, 10_000),
});

function makeFile(directory: string, { kind, name, mode, uid, seconds, size }: FileDraft): void {
  const path = Buffer.concat([Buffer.from(`${directory}/`), name]);
  const slash = path.lastIndexOf('/');
  mkdirSync(path.subarray(0, slash), { recursive: true });
  if (lstatSync(path, { throwIfNoEntry: false }) !== undefined) return;
  const first = readdirSync(directory, { encoding: 'buffer' }).find((each) =>
    lstatSync(Buffer.concat([Buffer.from(`${directory}/`), each])).isFile(),
  );
  if (kind === 'directory') mkdirSync(path);
  else if (kind === 'symlink')
    return symlinkSync(size > 1000 ? `/${'t'.repeat(300)}` : 'nowhere/\u{e9}', path);
  else if (kind === 'link' && first !== undefined)
    return linkSync(Buffer.concat([Buffer.from(`${directory}/`), first]), path);
  else if (kind === 'fifo') makeFifo(path);
  else writeFileSync(path, Buffer.alloc(size, 'x'));
  if (!existsSync(path)) return;
  if (kind === 'sparse') truncateSync(path, 60_000);
  chownSync(path, uid, uid);
  chmodSync(path, mode);
  utimesSync(path, seconds, seconds);
}

/** By a name of its own: an argument of a program is text, and not each of these names is. */
function makeFifo(path: Buffer): void {
  const plain = join(root, 'fifo');
  execFileSync('mkfifo', ['-m', '600', plain], { stdio: 'ignore' });
  renameSync(plain, path);
}

function tarOf(source: string, format: readonly string[]): Buffer | undefined {
  const args = [...format, '--numeric-owner', '--sort=name', '-cf', '-', '-C', source, '.'];
  try {
    return execFileSync('tar', args, { stdio: ['ignore', 'pipe', 'ignore'], maxBuffer: 64 * 1024 * 1024 });
  } catch {
    return undefined; // A name or a number that the dialect cannot have.
  }
}
