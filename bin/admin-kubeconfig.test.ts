import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';

import { adminKubeconfigProblems, holdsOnlyOurCluster } from './admin-kubeconfig.ts';

const ours =
  'apiVersion: v1\nkind: Config\nclusters:\n- name: podwright\n  cluster: {server: "https://x:1"}\n';
const merged = `${ours}- name: production\n  cluster: {server: "https://y:1"}\n`;

let directory: string;
beforeEach(() => void (directory = mkdtempSync(join(tmpdir(), 'admin-kubeconfig-'))));
afterEach(() => rmSync(directory, { recursive: true }));

it.each([
  { name: 'as it is written', text: ours, want: true },
  {
    name: 'as kubectl rewrites it',
    text: 'clusters:\n- cluster: {}\n  name: podwright\nkind: Config\n',
    want: true,
  },
  { name: "with somebody else's cluster", text: merged, want: false },
  { name: 'without clusters', text: 'kind: Config\nclusters: []\n', want: false },
  { name: 'that is no YAML', text: '{[', want: false },
  { name: 'that is something else', text: '- name: podwright\n', want: false },
  { name: 'that is empty', text: '', want: false },
])('holdsOnlyOurCluster() of a file $name', ({ text, want }) => {
  expect(holdsOnlyOurCluster(text)).toBe(want);
});

it('adminKubeconfigProblems() refuses to replace what podwright did not write', () => {
  const write = (name: string, text: string): string => {
    writeFileSync(join(directory, name), text);
    return join(directory, name);
  };
  mkdirSync(join(directory, 'sub'));
  symlinkSync(write('production', merged), join(directory, 'link'));
  for (const path of [join(directory, 'none'), write('empty', ''), write('ours', ours), undefined])
    expect(adminKubeconfigProblems(path)).toEqual([]);
  for (const path of ['production', 'sub', 'link'].map((name) => join(directory, name)))
    expect(adminKubeconfigProblems(path)).toEqual([
      `--admin-kubeconfig ${path}: it holds what podwright did not write; name another file`,
    ]);
});

it('adminKubeconfigProblems() lets up write its own anew, whatever was merged into it', () => {
  const path = join(directory, 'kubeconfig');
  writeFileSync(path, merged);
  expect(adminKubeconfigProblems(path)).toHaveLength(1);
  writeFileSync(join(directory, '.podwright-up'), '{}');
  expect(adminKubeconfigProblems(path)).toEqual([]);
});
