import { existsSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { beforeEach, describe, expect, it } from 'vitest';
import { PodwrightError } from '#base/errors.ts';
import { scratchDirectory } from '#base/scratch-directory.fixture.ts';
import type { OwnImage } from '#agent/runtime/runtime.ts';
import { openImageStore, type LocalImageStore } from './image-store.ts';
import { ociArchive, tarOf } from './test-archive.ts';

const name = 'example.com/own:1';
const { signal } = new AbortController();

const scratch = scratchDirectory('podwright-own-image-');
let directory = '';
let made = 0;
let told: string[] = [];

beforeEach(() => {
  directory = mkdtempSync(join(scratch, 'each-'));
  [made, told] = [0, []];
});

const open = (node: string): Promise<LocalImageStore> =>
  openImageStore({ directory: join(directory, node), tell: (text) => void told.push(text) });

const archive = async (text: string): Promise<Buffer> =>
  ociArchive({ layers: [{ tar: await tarOf([{ name: 'motd', content: text }]) }], name });

const own = (key: string, text = key): OwnImage => ({
  key,
  noteFile: join(directory, 'note.json'),
  make: async () => {
    made += 1;
    return Readable.from([await archive(text)]);
  },
});

/** Of an image that is in use on node `first`, which makes it. */
async function noted(): Promise<LocalImageStore> {
  const store = await open('first');
  await store.importWhenUsed(own('a'), signal);
  expect(made).toBe(1);
  made = 0;
  return store;
}

const idOf = (store: LocalImageStore): string => store.resolve(name)?.id ?? 'none';

async function motdOf(store: LocalImageStore, id = idOf(store)): Promise<string> {
  const { lower } = await store.content(id);
  return readFileSync(join(lower[0] ?? '', 'motd'), 'utf8');
}

const layersOf = (node: string): number => readdirSync(join(directory, node, 'layers')).length;

describe.skipIf(process.getuid?.() !== 0)('importWhenUsed() (needs root: owners)', () => {
  it('lists on a second node what the first made, and makes it when it is used', async () => {
    const first = await noted();
    const second = await open('second');
    await second.importWhenUsed(own('a'), signal);
    expect(second.list()).toEqual(first.list());
    expect([made, layersOf('second')]).toEqual([0, 0]);

    expect(await Promise.all([motdOf(second), motdOf(second)])).toEqual(['a', 'a']);
    expect(await motdOf(second)).toBe('a');
    expect([made, layersOf('second')]).toEqual([1, 1]);
    expect(second.list()).toEqual(first.list());
    expect((await open('second')).list()).toEqual(first.list());
  });

  it('has an image that was not used by the next start, again', async () => {
    await noted();
    const second = await open('second');
    await second.importWhenUsed(own('a'), signal);
    await second.importArchive(
      Readable.from([await ociArchive({ layers: [{ tar: await tarOf([]) }], name: 'example.com/b:1' })]),
      { isOurs: true },
      signal,
    );
    const again = await open('second');
    expect(again.list().flatMap(({ names }) => names)).toEqual(['example.com/b:1']);
    await again.importWhenUsed(own('a'), signal);
    expect(await motdOf(again)).toBe('a');
  });

  it('makes it to export it', async () => {
    await noted();
    const second = await open('second');
    await second.importWhenUsed(own('a'), signal);
    const bytes = await Array.fromAsync(second.exportArchive([name], signal));
    expect([made, bytes.length > 0]).toEqual([1, true]);
  });

  it.each([
    ['another key', () => undefined, 'b'],
    ['a note that is cut short', (note: string) => writeFileSync(note, '{ "key": "a"'), 'a'],
    ['a note of nothing', (note: string) => writeFileSync(note, 'null'), 'a'],
    ['a note of something else', (note: string) => writeFileSync(note, '{ "key": "a", "image": {} }'), 'a'],
    ['no note', (note: string) => rmSync(note), 'a'],
  ])('makes it at once with %s', async (_what, spoil, key) => {
    await noted();
    const image = own(key);
    spoil(image.noteFile);
    const second = await open('second');
    await second.importWhenUsed(image, signal);
    expect([made, layersOf('second')]).toEqual([1, 1]);
    const third = await open('third');
    await third.importWhenUsed(image, signal);
    expect([made, layersOf('third')]).toEqual([1, 0]);
  });

  it('has another image in its place where the note was wrong', async () => {
    await noted();
    const second = await open('second');
    await second.importWhenUsed(own('a', 'changed'), signal);
    const promised = idOf(second);
    await expect(second.content(promised)).rejects.toMatchObject({ code: 'E_NOT_FOUND' });
    expect(idOf(second)).not.toBe(promised);
    expect(second.list()).toHaveLength(1);
    expect(await motdOf(second)).toBe('changed');
    const third = await open('third');
    await third.importWhenUsed(own('a', 'changed'), signal);
    expect(idOf(third)).toBe(idOf(second));
  });

  it('tries again after it could not be made', async () => {
    await noted();
    const second = await open('second');
    let isFull = true;
    const full = new PodwrightError('E_NO_SPACE', 'no space');
    const image = own('a');
    const make = (): Promise<Readable> => (isFull ? Promise.reject(full) : image.make());
    await second.importWhenUsed({ ...image, make }, signal);
    await expect(motdOf(second)).rejects.toBe(full);
    expect(second.list()).toHaveLength(1);
    isFull = false;
    expect(await motdOf(second)).toBe('a');
  });

  it('is not made where it was removed, or came by itself', async () => {
    await noted();
    const second = await open('second');
    await second.importWhenUsed(own('a'), signal);
    const id = idOf(second);
    await second.remove(name);
    await expect(second.content(id)).rejects.toMatchObject({ code: 'E_NOT_FOUND' });
    await second.importWhenUsed(own('a'), signal);
    await second.importArchive(Readable.from([await archive('a')]), { isOurs: true }, signal);
    expect(await motdOf(second)).toBe('a');
    expect([idOf(second), made]).toEqual([id, 0]);
  });

  it('says so where no note can be left', async () => {
    const image = { ...own('a'), noteFile: join(directory, 'none', 'note.json') };
    const store = await open('first');
    await store.importWhenUsed(image, signal);
    expect(await motdOf(store)).toBe('a');
    expect(existsSync(image.noteFile)).toBe(false);
    expect(told).toEqual([expect.stringContaining('each node makes example.com/own:1 at its start')]);
  });
});
