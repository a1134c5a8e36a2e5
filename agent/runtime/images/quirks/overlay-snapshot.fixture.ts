/**
 * What a tree looks like: run as a program in a mount namespace of its own (`unshare --mount`), it reads lines of JSON, each a list of
 * layers (topmost first) to mount as an overlay, or one directory, and answers each with a line.
 */
import {
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  symlinkSync,
} from 'node:fs';
import { createHash } from 'node:crypto';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { createMounts } from '#native/mount/mount.linux.ts';
import { getXattr, listXattrs } from '#native/sys/file.ts';

/** By path (bytes as latin1): kind, mode, owner, device, time, links that are one file, attributes, content. */
export type Snapshot = Readonly<Record<string, string>>;

function snapshot(root: string): Snapshot {
  const seen: Record<string, string> = {};
  const names = new Map<bigint, string>();
  const visit = (path: Buffer, relative: string): void => {
    for (const name of readdirSync(path, { encoding: 'buffer' }).toSorted((a, b) => a.compare(b))) {
      const each = Buffer.concat([path, Buffer.from('/'), name]);
      const place = `${relative}/${name.toString('latin1')}`;
      const stats = lstatSync(each, { bigint: true });
      const first = names.get(stats.ino) ?? place;
      if (!stats.isDirectory()) names.set(stats.ino, first);
      const content = stats.isFile()
        ? createHash('sha256').update(readFileSync(each)).digest('hex').slice(0, 16)
        : stats.isSymbolicLink()
          ? readlinkSync(each, 'latin1')
          : stats.isDirectory()
            ? ''
            : String(stats.rdev);
      const xattrs = listXattrs(each)
        .filter((key) => key === 'security.capability' || /^(user|system)\./.test(key))
        .toSorted()
        .map((key) => `${key}=${getXattr(each, key)?.toString('hex')}`);
      const { mode, uid, gid, mtimeNs, size } = stats;
      const time = stats.isDirectory() && mtimeNs > startedNs ? 'new' : String(mtimeNs);
      const bytes = stats.isFile() ? `${size} bytes` : '';
      seen[place] = [
        mode.toString(8),
        `${uid}:${gid}`,
        time,
        bytes,
        first === place ? '' : `is ${first}`,
        content,
        ...xattrs,
      ]
        .filter((part) => part !== '')
        .join(' ');
      if (stats.isDirectory()) visit(each, place);
    }
  };
  visit(Buffer.from(root), '');
  return seen;
}

/** Of a directory whose time is later than this nothing says it. */
const startedNs = BigInt(Date.now() - 3_600_000) * 1_000_000n;

async function overlaid(lower: readonly string[]): Promise<Snapshot> {
  const place = mkdtempSync(join(process.argv[2] ?? '', 'overlay-'));
  for (const name of ['merged', 'empty']) mkdirSync(join(place, name));
  // Short names: mount(2) takes a page.
  lower.forEach((directory, at) => symlinkSync(directory, join(place, String(at))));
  process.chdir(place);
  const mounts = createMounts();
  const merged = join(place, 'merged');
  // One lower directory is refused where there is no upper one.
  const names = ['empty', ...lower.map((_, at) => String(at))];
  mounts.mount(merged, { kind: 'overlay', lower: names });
  try {
    return snapshot(merged);
  } finally {
    mounts.unmount(merged);
    rmSync(place, { recursive: true });
  }
}

for await (const line of createInterface({ input: process.stdin })) {
  const asked = JSON.parse(line) as { readonly lower: readonly string[] } | { readonly directory: string };
  const answer = 'lower' in asked ? await overlaid(asked.lower) : snapshot(asked.directory);
  process.stdout.write(`${JSON.stringify(answer)}\n`);
}
