import { describe, expect, it } from 'vitest';

import { importProblem, tidyFile, tidyFolders } from './tidy.ts';

describe('importProblem()', () => {
  it.each([
    { file: 'agent/a.ts', from: '#control-plane/store/store.ts', problem: /agent may import/ },
    { file: 'control-plane/a.ts', from: '#native/sys/libc.ts', problem: /control-plane may import/ },
    { file: 'cni-plugins/a.ts', from: '#agent/network/fabric/fabric.ts', problem: /cni-plugins may import/ },
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
    { name: 'api/a.ts', text: "if (kind.kind === 'Pod') {", problem: /bare name/ },
    {
      name: 'agent/a.test.ts',
      text: "import { unshare } from '#native/sys/libc.ts';",
      problem: /namespaces/,
    },
    { name: 'api/a.ts', text: "return route.kind.resource !== 'bindings';", problem: /bare name/ },
    { name: 'client/a.ts', text: "const is = 'events' === kind.resource;", problem: /bare name/ },
    { name: 'agent/a.ts', text: 'switch (kind.kind) {', problem: /bare name/ },
    {
      name: 'control-plane/a.ts',
      text: 'const answer = answers[route.kind.resource];',
      problem: /bare name/,
    },
    { name: 'control-plane/a.ts', text: 'if (known.has(kind.kind)) {', problem: /bare name/ },
    { name: 'api/a.ts', text: "  '/Service': validateService,", problem: /its file in api\/kinds/ },
    { name: 'bin/a.ts', text: "if (key === 'apps/DaemonSet') {", problem: /its file in api\/kinds/ },
    { name: 'api/a.ts', text: "const one = 'rbac.authorization.k8s.io/Role';", problem: /in api\/kinds/ },
    {
      name: 'control-plane/a.ts',
      text: "import { findKind, type Kind } from '#api/schema/kinds.ts';",
      problem: /those of the catalogue/,
    },
    {
      name: 'api/a.ts',
      text: "import {\n  kinds,\n  storedKind,\n} from './kinds.ts';",
      problem: /those of the catalogue/,
    },
    { name: 'bin/a.test.ts', text: "const d = mkdtempSync('/tmp/a-');", problem: /scratchDirectory/ },
    { name: 'api/a.ts', text: 'const type = schemaFacts().types[name];', problem: /TypeSource/ },
  ])('finds in $name: $problem', ({ name, text, problem }) => {
    expect(tidyFile(name, text).map((finding) => finding.text)).toEqual([expect.stringMatching(problem)]);
  });

  it.each([
    { name: 'api/kinds/rules-of.ts', text: "  ['/Pod', podRules]," },
    { name: 'api/a.test.ts', text: "if (kind.kind === 'Pod') {" },
    { name: 'control-plane/apiserver/verbs/virtual.ts', text: "['/Binding', bind]," },
    {
      name: 'api/a.ts',
      text: 'return reference.kind === kind.kind && kinds.get(kindKey(kind)) !== undefined;',
    },
    {
      name: 'control-plane/a.ts',
      text: "import { findSubresource, type Kind } from '#api/schema/kinds.ts';",
    },
    { name: 'control-plane/a.ts', text: "import { kinds } from './claim-kinds.ts';" },
    { name: 'client/a.ts', text: "import { findKind } from '#api/schema/kinds.ts';" },
    { name: 'agent/a.ts', text: "if (view.kind === 'init') {" },
    { name: 'api/a.ts', text: "accept === 'application/json' || path === '/healthz'" },
  ])('has nothing against $text in $name', ({ name, text }) => expect(tidyFile(name, text)).toEqual([]));
});

it('tidyFolders() finds a folder of more than 25 source files; tests do not count', () => {
  const named = (count: number, ending: string): readonly string[] =>
    Array.from({ length: count }, (_, index) => `api/x/f${index}${ending}`);
  expect(tidyFolders([...named(25, '.ts'), ...named(9, '.test.ts')])).toEqual([]);
  expect(tidyFolders(named(26, '.ts'))).toMatchObject([
    { file: 'api/x', text: expect.stringContaining('26') },
  ]);
});
