/**
 * Fails `npm run check` when the tree breaks a rule that no other tool knows: import direction between folders, who may
 * load koffi, names and sizes of files, sizes of folders, leftovers. `node tidy.ts`; each finding is one line with its remedy. Sizes of
 * functions, numbers of parameters and circles, by type imports too, are in .oxlintrc.json.
 */
import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { dirname, join, normalize } from 'node:path';

/** folder → folders it may import (itself always). '*' is anything. docs/design.md section 1. */
const direction: Readonly<Record<string, readonly string[]>> = {
  base: [],
  api: ['base'],
  native: ['base'],
  proto: ['base'],
  client: ['base', 'api'],
  agent: ['base', 'api', 'native', 'client', 'proto'],
  'cni-plugins': ['base', 'api', 'native'],
  'oci-runtime': ['base', 'api', 'native'],
  'control-plane': ['base', 'api', 'client', 'proto'],
  addons: ['base', 'api', 'client'],
  bin: ['*'],
  test: ['*'],
};

/** Folders that may import packages from npm, and which; base has node:* only. */
const packages: Readonly<Record<string, readonly string[]>> = {
  base: [],
  api: ['js-yaml', 're2js'],
  native: ['koffi'],
  proto: ['@grpc/grpc-js', '@grpc/proto-loader'],
  client: ['js-yaml', 'ws'],
  agent: ['dns-packet', 'prom-client', 'smol-toml', 'tar-stream', 'ws'],
  'cni-plugins': [],
  'oci-runtime': [],
  'control-plane': [
    '@grpc/grpc-js',
    '@noble/ciphers',
    '@peculiar/x509',
    'jose',
    'js-yaml',
    'prom-client',
    'reflect-metadata',
    'ws',
  ],
};

const bannedNames = new Set([
  'util',
  'utils',
  'helper',
  'helpers',
  'common',
  'misc',
  'models',
  'types',
  'index',
]);
/**
 * Who may remove trees by path: what only they write, that no container sees. Everybody else has native/fs/remove-tree.ts (trees that
 * others write into) or bin/ownership (what a user named).
 */
const removers = new Set([
  'agent/runtime/images/unpack/layer-writer.ts', // The layer that this thread is unpacking.
  'agent/volume/mounter.fake.ts',
  'bin/bundle/write-bundle.ts', // What it has written.
  'bin/package/emit.ts', // The same.
  'bin/setup/bring-busybox.ts',
  'control-plane/store/salvage.ts',
  'native/launch/prebuild.ts',
  'native/sys/header-check.ts',
]);
const removesTree = /\brm(Sync)?\([^;]*recursive: true/;

/** A kind known by its bare name, which a kind of another group may have too: compared, switched on, looked up. */
const bareKind = new RegExp(
  [
    String.raw`\bkind\.(?:kind|resource)\s*[!=]==\s*['"]`,
    String.raw`['"]\s*[!=]==\s*(?:\w+\.)*kind\.(?:kind|resource)\b`,
    String.raw`\bswitch \((?:\w+\.)*kind\.(?:kind|resource)\)`,
    String.raw`\b\w*(?:\[|\.(?:has|get)\()(?:\w+\.)*kind\.(?:kind|resource)[\])]`,
  ].join('|'),
);
/** A kind by group and name: `'/Pod'`, `'apps/Deployment'`. */
const namedKind = /'(?:apps|autoscaling|batch|policy|[a-z.]+\.k8s\.io)?\/[A-Z][A-Za-z]+'/;
/** What is particular about a kind is in its file in api/kinds; who may name kinds elsewhere, and why. */
const kindNamers: ReadonlyMap<string, string> = new Map([
  ['bin/plan/read-pods.ts', 'of a file it takes what a node makes something of'],
  ['control-plane/apiserver/nodes/target.ts', 'a proxy leads to nodes, pods and Services'],
  ['control-plane/apiserver/verbs/virtual.ts', 'answers need the server'],
]);

/** What the facts say of types: whoever asks for it any other way knows nothing of the types of custom kinds. */
const typeFacts = /\b(schema|merge)Facts\b/;
const typeFactReaders: ReadonlySet<string> = new Set([
  'api/facts/facts.ts',
  'api/facts/generate-texts.ts',
  'api/schema/built-in-types.ts',
]);

/** The kinds of Kubernetes, from the module: not those of a server, to which others come and go. */
const moduleKinds =
  /import \{[^}]*\b(kinds|groupVersions|findKind|findKindByName)\b[^}]*\} from '[^']*\/kinds\.ts'/;
/** Who may know no others, and why. */
const moduleKindReaders: ReadonlyMap<string, string> = new Map([
  ['api/schema/served-version.ts', 'what every catalogue begins with'],
  ['control-plane/apiserver/built-in.ts', 'kinds that the server itself works with'],
  [
    'control-plane/apiserver/objects/storage-key.ts',
    'a real cluster has these, and only these, under their bare plural',
  ],
  [
    'control-plane/controllers/disruption/scale-finder.ts',
    'what else has a scale is told apart by nobody yet',
  ],
  ['control-plane/controllers/quota/kind-finder.ts', 'others it asks the server for'],
  ['control-plane/controllers/policy-types/checked-kinds.ts', 'others it knows by their definitions'],
]);

const linesMax = 500;
/** Source files of one folder: past that nobody finds the door. Tests stand beside what they test and do not count. */
const filesMax = 25;
/** What overflows at 2^31 ms: base/clock.ts waits in pieces. A socket's own setTimeout is another matter. */
const bareTimers =
  /(?<![.\w])set(?:Timeout|Interval)\(|AbortSignal\.timeout\(|\bset(?:Timeout|Interval)\b.*'node:timer[s]/;
/** Readers of addresses that are not base/ip.ts, and differ from it. Written so that it does not find itself. */
const otherIpReaders = /\b(isI[P](v[46])?|BlockLis[t]|SocketAddres[s])\b/;
/** Written so that it does not find itself. */
const leftovers = /\b(FIXM[E]|XX[X])\b/;

interface Finding {
  readonly file: string;
  readonly line: number;
  readonly text: string;
}

function importsOf(text: string): readonly { readonly line: number; readonly from: string }[] {
  const found: { line: number; from: string }[] = [];
  text.split('\n').forEach((source, index) => {
    if (/^\s*(\*|\/\/)/.test(source)) return;
    for (const match of source.matchAll(/(?:\bfrom\s+|^import\s+|\bimport\()'([^']+)'/g)) {
      found.push({ line: index + 1, from: match[1] ?? '' });
    }
  });
  return found;
}

function isTestFile(file: string): boolean {
  // An example is a project of its own, of the packed package.
  return /\.(test|conformance|fixture)\.ts$/.test(file) || /^(test|examples)\//.test(file);
}

/** Written by a script, as long as it comes to. */
function isMade(file: string): boolean {
  return file === 'api/generated/objects.ts' || /^proto\/[^/]+\/[^/]+\.ts$/.test(file);
}

/** Why `file` may not import `from`, or undefined. */
export function importProblem(file: string, from: string): string | undefined {
  const folder = file.split('/')[0] ?? '';
  const allowed = direction[folder];
  if (allowed === undefined || from.startsWith('node:')) return undefined;
  if (from.startsWith('#') || from.startsWith('.')) {
    if (!from.endsWith('.ts') && !from.endsWith('.json')) return `${from}: import with its extension`;
    const target = from.startsWith('#') ? from.slice(1) : normalize(join(dirname(file), from));
    const top = target.split('/')[0] ?? '';
    if (from.startsWith('../')) return `${from}: another folder is imported as #${target}`;
    if (top === folder || allowed.includes('*') || allowed.includes(top)) return undefined;
    return `${from}: ${folder} may import ${['itself', ...allowed].join(', ')} only`;
  }
  return packageProblem(file, from);
}

function packageProblem(file: string, from: string): string | undefined {
  const folder = file.split('/')[0] ?? '';
  const name = from.startsWith('@') ? from.split('/').slice(0, 2).join('/') : (from.split('/')[0] ?? '');
  if (isTestFile(file) && name !== 'koffi') return undefined;
  if (name === 'koffi' && !file.startsWith('native/sys/')) return 'koffi: only native/sys loads it';
  const allowed = packages[folder];
  if (allowed === undefined || allowed.includes(name)) return undefined;
  return `${from}: not a package of ${folder}/ (tidy.ts lists them; a new one needs a decision record)`;
}

function nameProblem(file: string): string | undefined {
  const parts = file.replace(/\.[^/]+$/, '').split('/');
  const banned = parts.find((part) => bannedNames.has(part));
  if (banned !== undefined) return `the name ${banned} says nothing: name what it owns`;
  const name = parts.at(-1) ?? '';
  return /^[a-z0-9.-]+$/.test(name) ? undefined : 'file names are kebab-case';
}

/** Files of tests share a process, but those that say by their name that they change it. */
function namespaceProblem(file: string, source: string): string | undefined {
  const isShared = file.endsWith('.test.ts') && !/\.(kernel|linux)\.test\.ts$/.test(file);
  return isShared && /^import .*\bunshare\b/.test(source)
    ? 'a test that changes the namespaces of its process is a *.kernel.test.ts or *.linux.test.ts'
    : undefined;
}

function kindProblem(file: string, source: string): string | undefined {
  if (isTestFile(file) || file === 'tidy.ts' || file.startsWith('api/kinds/')) return undefined;
  if (bareKind.test(source))
    return 'a kind by its bare name: a rule of api/kinds, asked for by rulesOf(kind)';
  if (!namedKind.test(source) || kindNamers.has(file)) return undefined;
  return 'what is particular about a kind is in its file in api/kinds (tidy.ts lists the others, with reasons)';
}

/** All findings in one TypeScript file. */
export function tidyFile(file: string, text: string): readonly Finding[] {
  const findings: Finding[] = [];
  const add = (line: number, problem: string | undefined): void => {
    if (problem !== undefined) findings.push({ file, line, text: problem });
  };
  add(1, nameProblem(file));
  for (const { line, from } of importsOf(text)) add(line, importProblem(file, from));
  const fixed = moduleKinds.exec(text);
  if (
    fixed !== null &&
    /^(api|control-plane)\//.test(file) &&
    !isTestFile(file) &&
    !moduleKindReaders.has(file)
  )
    add(
      text.slice(0, fixed.index).split('\n').length,
      'the kinds that are served are those of the catalogue (context.kinds), or are given',
    );
  const lines = text.split('\n');
  if (lines.length > linesMax && !isMade(file) && !isTestFile(file)) {
    add(lines.length, `${lines.length} lines, at most ${linesMax}: one noun or one verb a file`);
  }
  lines.forEach((source, index) => {
    const leftover = leftovers.exec(source);
    if (leftover !== null) add(index + 1, `${leftover[0]} does not reach main`);
    if (bareTimers.test(source) && file !== 'base/clock.ts' && !isTestFile(file))
      add(index + 1, 'waits go by base/clock.ts: a timer of more than 24.8 days is due at once');
    // A library of CEL has the names that users write.
    if (otherIpReaders.test(source) && !isTestFile(file) && file !== 'api/cel/library/addresses.ts')
      add(
        index + 1,
        'addresses are read by base/ip.ts: two readers take different texts for the same address',
      );
    if (/\bTODO\b(?!\([a-z0-9-]+\))/.test(source) && file !== 'tidy.ts')
      add(index + 1, 'TODO(name-of-issue) only');
    // Where all tests of a file are skipped vitest runs no afterAll.
    if (/^(?:export )?const \w+ = (?:realpathSync\()?mkdtempSync\(/.test(source) && file.endsWith('.test.ts'))
      add(index + 1, 'a directory of a file of tests: scratchDirectory of base/scratch-directory.fixture.ts');
    if (removesTree.test(source) && !isTestFile(file) && !removers.has(file))
      add(index + 1, 'rm of a tree by path: removeTree of native/fs, or removeOwned of bin/ownership');
    if (typeFacts.test(source) && file !== 'tidy.ts' && !isTestFile(file) && !typeFactReaders.has(file))
      add(index + 1, 'the types of a kind are asked for by its TypeSource (kind.schema)');
    add(index + 1, kindProblem(file, source));
    add(index + 1, namespaceProblem(file, source));
    if (/^\s*export default\b/.test(source) && file !== 'vitest.config.ts')
      add(index + 1, 'named exports only');
  });
  return findings;
}

/** Folders that hold more source files than a newcomer finds the door of. */
export function tidyFolders(files: readonly string[]): readonly Finding[] {
  const counts = new Map<string, number>();
  for (const file of files)
    if (!isTestFile(file)) counts.set(dirname(file), (counts.get(dirname(file)) ?? 0) + 1);
  return [...counts]
    .filter(([, count]) => count > filesMax)
    .map(([folder, count]) => ({
      file: folder,
      line: 1,
      text: `${count} source files, at most ${filesMax}: what changes together goes into a folder of its own`,
    }));
}

function main(): void {
  const listed = execFileSync('git', ['ls-files', '-co', '--exclude-standard', '*.ts'], { encoding: 'utf8' });
  // git lists what was deleted and not yet committed, too
  const files = listed.split('\n').filter((file) => file !== '' && existsSync(file));
  const findings = [
    ...files.flatMap((file) => tidyFile(file, readFileSync(file, 'utf8'))),
    ...tidyFolders(files),
  ];
  for (const { file, line, text } of findings) console.error(`${file}:${line}: ${text}`);
  if (findings.length > 0) process.exitCode = 1;
}

if (import.meta.main) main();
