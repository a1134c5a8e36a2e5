import { describe, expect, it } from 'vitest';

import { importProblem, tidyFile } from './tidy.ts';

describe('importProblem()', () => {
  it.each([
    { file: 'agent/a.ts', from: '#control-plane/store/store.ts', problem: /agent may import/ },
    { file: 'control-plane/a.ts', from: '#native/sys/libc.ts', problem: /control-plane may import/ },
    { file: 'cni-plugins/a.ts', from: '#agent/network/fabric.ts', problem: /cni-plugins may import/ },
    { file: 'base/a.ts', from: 'pino', problem: /not a package of base/ },
    { file: 'agent/a.ts', from: 'koffi', problem: /only native\/sys/ },
    { file: 'native/netlink/a.ts', from: 'koffi', problem: /only native\/sys/ },
    { file: 'agent/a.ts', from: './b', problem: /extension/ },
    { file: 'agent/x/a.ts', from: '../b.ts', problem: /#agent\/b\.ts/ },
  ])('$file may not import $from', ({ file, from, problem }) =>
    expect(importProblem(file, from)).toMatch(problem),
  );

  it.each([
    { file: 'agent/a.ts', from: '#native/netlink/netlink.ts' },
    { file: 'bin/a.ts', from: '#control-plane/store/store.ts' },
    { file: 'native/sys/libc.ts', from: 'koffi' },
    { file: 'base/a.ts', from: 'node:fs' },
    { file: 'api/a.test.ts', from: 'fast-check' },
  ])('$file may import $from', ({ file, from }) => expect(importProblem(file, from)).toBeUndefined());
});

describe('tidyFile()', () => {
  it.each([
    { name: 'base/utils.ts', text: '', problem: /says nothing/ },
    { name: 'base/CamelCase.ts', text: '', problem: /kebab-case/ },
    { name: 'base/a.ts', text: ['// TO', 'DO later'].join(''), problem: /name-of-issue/ },
    { name: 'base/a.ts', text: 'export default 1;', problem: /named exports/ },
    { name: 'base/a.ts', text: 'setTimeout(f, 1)', problem: /base\/clock/ },
    { name: 'base/a.ts', text: 'x = setInterval(f, 1)', problem: /base\/clock/ },
    { name: 'base/a.ts', text: 'AbortSignal.timeout(1)', problem: /base\/clock/ },
    {
      name: 'base/a.ts',
      text: "import { setTimeout as sleep } from 'node:timers/promises';",
      problem: /base\/clock/,
    },
    { name: 'api/a.ts', text: "import { isIP } from 'node:net';", problem: /base\/ip\.ts/ },
    { name: 'agent/a.ts', text: 'const list = new BlockList();', problem: /base\/ip\.ts/ },
    { name: 'agent/a.ts', text: 'await rm(path, { recursive: true });', problem: /removeTree/ },
    { name: 'bin/a.ts', text: 'rmSync(a, { force: true, recursive: true });', problem: /removeOwned/ },
    { name: 'base/a.ts', text: '\n'.repeat(600), problem: /at most 500/ },
  ])('finds in $name: $problem', ({ name, text, problem }) => {
    expect(tidyFile(name, text).map((finding) => finding.text)).toEqual([expect.stringMatching(problem)]);
  });
});
