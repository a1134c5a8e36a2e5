import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';

import { PodwrightError } from '#base/errors.ts';
import { archiveOf, writeArchive } from './image-export.ts';
import type { NodeHere } from './nodes-here.ts';
import {
  importInto,
  removeImages,
  renderImage,
  renderImported,
  renderPruned,
  renderRemoved,
} from './image.ts';

const image = {
  id: `sha256:${'0123456789ab'.repeat(5)}0123`,
  names: ['docker.io/t/x:1', 'docker.io/foo/bar:2'],
  digests: ['docker.io/t/x@sha256:aa'],
  sizeBytes: 2 * 1_048_576,
};
const rowOf = (name: string): string => `node-1     ${name.padEnd(56)} 0123456789ab      2.0 MiB`;

it.each([
  { name: 'a row for each name', given: image, want: image.names },
  { name: 'its digest where it has no name', given: { ...image, names: [] }, want: image.digests },
  { name: 'a row where it has neither', given: { ...image, names: [], digests: [] }, want: ['<none>'] },
])('renderImage() gives an image $name', ({ given, want }) => {
  expect(renderImage('node-1', given)).toEqual(want.map(rowOf));
});

it.each([
  { name: 'the names it has', records: [image], want: image.names.join(', ') },
  {
    name: 'its digest, and how to name it, where it has none',
    records: [image, { ...image, names: [] }],
    want: `${image.names.join(', ')}, ${image.id}; no name that a pod could use: podwright image import --name REPOSITORY:TAG a.tar`,
  },
])('renderImported() says of an image $name', ({ records, want }) => {
  expect(renderImported('node-1', 'a.tar', records)).toBe(`node-1: ${want}`);
});

const nodeWith = (control: Partial<NodeHere['control']>): NodeHere => {
  const refuse = (): never => {
    throw new TypeError('not asked in this test');
  };
  return {
    name: 'node-1',
    control: {
      images: refuse,
      importArchive: refuse,
      removeImage: refuse,
      pruneImages: refuse,
      exportArchive: refuse,
      pull: refuse,
      status: refuse,
      ...control,
    },
  };
};

it('importInto() says which archive a node refused', async () => {
  const node = nodeWith({
    importArchive: async () => {
      throw new PodwrightError('E_INVALID', 'read image archive: it is cut short');
    },
  });
  const importing = importInto(node, import.meta.filename, undefined);
  await expect(importing).rejects.toMatchObject({
    code: 'E_INVALID',
    message: `import ${import.meta.filename} into node-1: read image archive: it is cut short`,
  });
});

it('removeImages() removes what it can, says what is gone and all that is not there', async () => {
  const node = nodeWith({
    removeImage: async (reference) => {
      if (reference !== 'there') throw new PodwrightError('E_NOT_FOUND', `remove image ${reference}: none`);
      return { containers: 0 };
    },
  });
  const gone: string[] = [];
  const removing = removeImages([node], ['a', 'there', 'b'], (reference) => gone.push(reference));
  await expect(removing).rejects.toMatchObject({
    code: 'E_NOT_FOUND',
    message: 'remove image a: none; remove image b: none',
  });
  expect(gone).toEqual(['there']);
});

it('removeImages() removes an image from the nodes that have it, and is content', async () => {
  const having = (name: string, error?: PodwrightError): NodeHere => ({
    ...nodeWith({
      removeImage: async () => {
        if (error !== undefined) throw error;
        return { containers: name === 'node-4' ? 2 : 0 };
      },
    }),
    name,
  });
  const none = new PodwrightError('E_NOT_FOUND', 'remove image a: none');
  const broken = new PodwrightError('E_CONNECTION', 'node-3: gone');
  const remove = async (nodes: readonly NodeHere[]): Promise<readonly string[]> => {
    const gone: string[] = [];
    const say = (...said: Parameters<typeof renderRemoved>): void => void gone.push(renderRemoved(...said));
    await removeImages(nodes, ['a'], say).catch((error: unknown) => gone.push(String(error)));
    return gone;
  };
  expect(await remove([having('node-1', none), having('node-2')])).toEqual(['removed a']);
  expect(await remove([having('node-1', none), having('node-4')])).toEqual([
    'removed a; in use by containers (2 on node-4), which keep its layers until they are gone',
  ]);
  expect(await remove([having('node-1', none), having('node-2', none)])).toEqual([String(none)]);
  expect(await remove([having('node-1'), having('node-2', none), having('node-3', broken)])).toEqual([
    'removed a',
    String(broken),
  ]);
});

it('renderPruned() says what went, and that nothing did', () => {
  expect(renderPruned('node-1', [])).toBe('node-1: no unused images');
  expect(renderPruned('node-1', [image, { ...image, names: [] }])).toBe(
    `node-1: removed ${image.names.join(', ')}, ${image.id}; 4.0 MiB of images`,
  );
});

it('archiveOf() takes the first node that has all images, and says what the first lacked where none has', async () => {
  const missing = nodeWith({
    exportArchive: async ([reference]) => {
      throw new PodwrightError('E_NOT_FOUND', `export image ${reference}: no such image`);
    },
  });
  const archive = (async function* () {
    yield Buffer.from('tar');
  })();
  const has = nodeWith({ exportArchive: async () => archive });
  expect(await archiveOf([missing, has], ['x:1'])).toBe(archive);
  await expect(archiveOf([missing, missing], ['x:1'])).rejects.toThrow('export image x:1: no such image');
});

it('writeArchive() leaves the whole file, or the one that was there', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'export-'));
  const path = join(directory, 'a.tar');
  const archive = async function* (failure?: string) {
    yield Buffer.from('whole');
    if (failure !== undefined) throw new PodwrightError('E_INTERNAL', failure);
  };
  await writeArchive(archive(), path);
  await expect(writeArchive(archive('layer gone'), path)).rejects.toThrow('layer gone');
  expect(readdirSync(directory)).toEqual(['a.tar']);
  expect(readFileSync(path, 'utf8')).toBe('whole');
  await expect(writeArchive(archive(), join(directory, 'no', 'a.tar'))).rejects.toThrow('a.tar: ENOENT');
  rmSync(directory, { recursive: true });
});
