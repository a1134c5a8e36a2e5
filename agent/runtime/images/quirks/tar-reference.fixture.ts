/** What GNU tar makes of the layers of an image, one over the other, with whiteouts by the words of the OCI specification (layer.md). */
import { spawnSync } from 'node:child_process';
import { lstatSync, readdirSync, rmSync } from 'node:fs';
import { layerPath } from '#agent/runtime/images/unpack/layer-path.ts';
import { endOfTar, rawEntry, type RawEntry } from './raw-tar.fixture.ts';

/** Unpacks the entries of a layer over what is in `root`. @throws Error with tar's words */
export function unpackByTar(root: string, entries: readonly RawEntry[]): void {
  for (const entry of entries) applyWhiteout(root, nameOf(entry));
  let run: RawEntry[] = [];
  const flush = (): void => {
    if (run.length > 0) untar(root, run);
    run = [];
  };
  for (const entry of entries) {
    const name = nameOf(entry);
    if (isWhiteout(name)) continue;
    // tar itself takes away no directory that holds something, and what it left to the end would be done on something else.
    const isAgain = run.some((other) => isSameOrBelow(nameOf(other), name));
    if (isAgain) flush();
    clear(root, entry, name);
    run.push(entry);
  }
  flush();
}

function nameOf(entry: RawEntry): string {
  const pax = entry.pax?.find(([key]) => key === 'path')?.[1].toString('latin1');
  const long = entry.long !== undefined && 'L' in entry.long ? entry.long.L : undefined;
  const parts = (pax ?? long ?? entry.name).split('/');
  return parts.filter((part) => part !== '' && part !== '.').join('/');
}

const isSameOrBelow = (path: string, name: string): boolean => path === name || path.startsWith(`${name}/`);
const isWhiteout = (name: string): boolean => /(^|\/)\.wh\./.test(name);

function applyWhiteout(root: string, name: string): void {
  const match = /^(.*\/)?\.wh\.(\.wh\.\.opq)?(.*)$/s.exec(name);
  if (match === null) return;
  const [, parent = '', isOpaque, gone = ''] = match;
  if (isOpaque === undefined) rmSync(layerPath(root, parent + gone), { recursive: true, force: true });
  else if (lstatSync(layerPath(root, parent), { throwIfNoEntry: false })?.isDirectory() === true) {
    for (const each of readdirSync(layerPath(root, parent), { encoding: 'latin1' }))
      rmSync(layerPath(root, `${parent}${each}`), { recursive: true });
  }
}

function clear(root: string, { type = '0', name: given }: RawEntry, name: string): void {
  const path = layerPath(root, name);
  const existing = name === '' ? undefined : lstatSync(path, { throwIfNoEntry: false });
  const isDirectory = type === '5' || given.endsWith('/');
  if (existing === undefined || /[A-Zgx]/.test(type) || (existing.isDirectory() && isDirectory)) return;
  if (type !== '1') rmSync(path, { recursive: true });
}

function untar(root: string, entries: readonly RawEntry[]): void {
  const { status, stderr } = spawnSync(
    'tar',
    ['-xpf', '-', '-C', root, '--numeric-owner', '--xattrs', '--xattrs-include=*', '--warning=no-timestamp'],
    { input: Buffer.concat([...entries.map(rawEntry), endOfTar]), env: { ...process.env, LC_ALL: 'C' } },
  );
  if (status !== 0) throw new Error(`tar: ${stderr.toString()}`);
}
