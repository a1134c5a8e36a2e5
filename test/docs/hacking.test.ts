import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';

const root = path.resolve(import.meta.dirname, '../..');
const text = readFileSync(path.join(root, 'docs/hacking.md'), 'utf8');
/** Paragraphs, items and rows. */
const paragraphs = text.split(/\n(?=\n|- |\| )/);

/** What a paragraph names in backticks that looks like a file or a folder of the repository; what is in build/, runs leave there. */
function namesIn(paragraph: string): readonly string[] {
  return [...paragraph.matchAll(/`([^`\n]+)`/g)]
    .map(([, name = '']) => name)
    .filter((name) => /^[a-z][\w./-]*$/.test(name) && !name.startsWith('build/'))
    .filter((name) => name.endsWith('/') || /\.(ts|md|json|txt|c|h|nft)$/.test(name));
}

/** The names that are neither paths nor beside or below what was named before, as a reader would look for them. */
function lostIn(paragraph: string): readonly string[] {
  const folders = new Set(['', 'docs']);
  return namesIn(paragraph).filter((name) => {
    const isFile = !name.endsWith('/');
    // Of a new file (`admission/NAME.ts`) the folder is there.
    const [, fixed = name] = /^([^A-Z]*)\/[^/]*[A-Z]/.exec(name) ?? [];
    const found = [...folders]
      .map((folder) => path.join(folder, fixed))
      .find((known) => existsSync(path.join(root, known)));
    if (found !== undefined) folders.add(isFile && fixed === name ? path.dirname(found) : found);
    return found === undefined;
  });
}

describe('docs/hacking.md', () => {
  it('names each file by its path, or beside one that has its path', () => {
    expect(paragraphs.flatMap(lostIn)).toEqual([]);
  });
});
