/** What an agent loads it holds: 500 modules, where those of an API server would be 450 more (25 MB, and half a second of its start). */
import { readFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';

import { expect, it } from 'vitest';
import { repositoryRoot } from '#bin/paths.ts';

/** Where another file's values are taken from, as sources here write it. */
const importPattern = /^(?:import|export) (?!type\b)(?:[^;']*? from )?'([^']+)'/gm;

function importsOf(file: string): readonly string[] {
  const text = readFileSync(join(repositoryRoot, file), 'utf8');
  return [...text.matchAll(importPattern)].flatMap(([, name = '']) => {
    if (name.startsWith('#')) return [name.slice(1)];
    return name.startsWith('.') ? [relative(repositoryRoot, join(repositoryRoot, dirname(file), name))] : [];
  });
}

/** Each file that is loaded with this one, by who loads it first. */
function loadedWith(start: string): ReadonlyMap<string, string> {
  const loaded = new Map([[start, '']]);
  for (const file of loaded.keys())
    for (const next of importsOf(file)) if (!loaded.has(next)) loaded.set(next, file);
  return loaded;
}

it('an agent loads nothing of admission, of rules of kinds, of CEL', () => {
  const loaded = loadedWith('bin/agent.ts');
  expect(loaded.size).toBeGreaterThan(300);
  const unwanted = /^(?:control-plane\/apiserver\/(?:chain|verbs|objects)|api\/cel|api\/kinds\/rules-of\.ts)/;
  const found = [...loaded].filter(([file]) => unwanted.test(file));
  expect(found.map(([file, by]) => `${by} loads ${file}`)).toEqual([]);
});
