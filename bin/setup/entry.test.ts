/** The entry script, on a checkout of its own with a registry, an npm and packages that are not the real ones. */
import { execFile, execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  chmodSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';

import { repositoryRoot } from '#bin/paths.ts';

const nodePackage = `node-linux-${process.arch}`;
const nodeVersion = process.version.slice(1);

interface Checkout extends Disposable {
  readonly root: string;
  run(
    args: readonly string[],
    environment?: NodeJS.ProcessEnv,
  ): Promise<{ readonly code: number; readonly stdout: string; readonly stderr: string }>;
  /** What npm was asked for since the last look, the first word of each. */
  asked(): readonly string[];
  packages(): readonly string[];
}

/** Both npms: any, which is asked to ping and to pack, and the pinned one, which is asked for ci. PROBLEM says what goes wrong. */
const npmScript = `
const { appendFileSync, copyFileSync, mkdirSync, readFileSync, writeFileSync } = require('node:fs');
const { join } = require('node:path');
const [command, what] = process.argv.slice(2);
const problem = process.env.PROBLEM ?? '';
const say = (code, text) => { console.error('npm ERR! code ' + code + '\\nnpm ERR! ' + text); process.exit(1); };
if (command === 'config') { console.log('https://user:secret@registry.invalid/'); process.exit(0); }
appendFileSync(process.env.ASKED, command + '\\n');
if (command === 'ping') { if (problem === 'closed') say('ECONNREFUSED', 'request failed'); process.exit(0); }
if (command === 'pack') {
  if (process.argv.includes('--offline')) say('ENOTCACHED', 'request to https://registry.invalid/ failed');
  const name = what.replace('@', '-') + '.tgz';
  copyFileSync(join(process.env.SHELF, name), name);
}
if (command === 'ci') {
  if (process.argv.includes('--offline')) say('ENOTCACHED', 'request failed: cache mode is only-if-cached');
  const { packages } = JSON.parse(readFileSync('package-lock.json', 'utf8'));
  for (const [path, { version }] of Object.entries(packages)) {
    if (path === '' || path.endsWith('other') || (problem === 'forgets' && path.endsWith('/a'))) continue;
    mkdirSync(join(path, 'bin'), { recursive: true });
    writeFileSync(join(path, 'package.json'), JSON.stringify({ version }));
    if (path.includes('node-linux')) writeFileSync(join(path, 'bin', 'node'), process.env.NODE_STUB, { mode: 0o755 });
  }
}
`;
const nodeStub = `#!/bin/sh\nexec '${process.execPath}' "$@"\n`;

function createCheckout(): Checkout {
  const top = mkdtempSync('/tmp/podwright-entry-');
  const [root, shelf, tools, log] = [
    join(top, 'checkout'),
    join(top, 'shelf'),
    join(top, 'tools'),
    join(top, 'asked'),
  ];
  for (const path of [root, shelf, tools]) mkdirSync(path);
  for (const path of ['podwright', 'bin/setup', 'base/errors.ts'])
    cpSync(join(repositoryRoot, path), join(root, path), { recursive: true });
  mkdirSync(join(root, 'build'));
  writeFileSync(join(root, 'build/loaded'), ''); // Nothing here is worth a compile cache.
  execFileSync('touch', ['--date=+1 hour', join(root, 'build/loaded')]);
  writeFileSync(join(root, 'bin/podwright.ts'), 'console.log(process.argv.slice(2).join(" "));\n');
  const node = packTool(shelf, nodePackage, { version: nodeVersion, files: { 'bin/node': nodeStub } });
  const npm = packTool(shelf, 'npm', { version: '1.2.3', files: { 'bin/npm-cli.js': npmScript } });
  const imports = { '#base/*': './base/*', '#bin/*': './bin/*' };
  writeFileSync(
    join(root, 'package.json'),
    JSON.stringify(
      { type: 'module', imports, packageManager: `npm@1.2.3+sha512.${npm.toString('hex')}` },
      undefined,
      2,
    ),
  );
  const packages = {
    '': {
      dependencies: { a: '^1.0.0' },
      optionalDependencies: { [nodePackage]: nodeVersion, other: '1.0.0' },
    },
    'node_modules/a': { version: '1.0.0' },
    [`node_modules/${nodePackage}`]: { version: nodeVersion, integrity: `sha512-${node.toString('base64')}` },
    'node_modules/other': { version: '1.0.0', os: ['aix'] },
  };
  writeFileSync(
    join(root, 'package-lock.json'),
    JSON.stringify({ lockfileVersion: 3, packages }, undefined, 2),
  );
  writeFileSync(join(tools, 'any-npm.cjs'), npmScript);
  writeFileSync(
    join(tools, 'npm'),
    `#!/bin/sh\nexec '${process.execPath}' '${join(tools, 'any-npm.cjs')}' "$@"\n`,
  );
  chmodSync(join(tools, 'npm'), 0o755);
  const base = { PATH: `${tools}:/usr/bin:/bin:/usr/sbin`, SHELF: shelf, ASKED: log, NODE_STUB: nodeStub };
  return {
    root,
    run: (args, environment = {}) => runEntry(root, args, { ...base, ...environment }),
    asked: () => {
      const text = existsSync(log) ? readFileSync(log, 'utf8') : '';
      rmSync(log, { force: true });
      return text.split('\n').filter((line) => line !== '');
    },
    packages: () => readdirSync(join(root, 'node_modules')).filter((name) => !name.startsWith('.')),
    [Symbol.dispose]: () => rmSync(top, { recursive: true }),
  };
}

/** As in a registry; the hash of the archive. */
function packTool(
  shelf: string,
  name: string,
  { version, files }: { readonly version: string; readonly files: Readonly<Record<string, string>> },
): Buffer {
  const directory = join(shelf, name);
  for (const [path, text] of Object.entries({ 'package.json': '{}', ...files })) {
    mkdirSync(join(directory, 'package', path, '..'), { recursive: true });
    writeFileSync(join(directory, 'package', path), text, { mode: 0o755 });
  }
  const archive = join(shelf, `${name}-${version}.tgz`);
  execFileSync('tar', ['-czf', archive, '-C', directory, 'package']);
  return createHash('sha512').update(readFileSync(archive)).digest();
}

function runEntry(
  root: string,
  args: readonly string[],
  env: NodeJS.ProcessEnv,
): ReturnType<Checkout['run']> {
  const { promise, resolve } = Promise.withResolvers<Awaited<ReturnType<Checkout['run']>>>();
  execFile('sh', [join(root, 'podwright'), ...args], { env }, (error, stdout, stderr) => {
    resolve({ code: error === null ? 0 : Number(error.code ?? 255), stdout, stderr });
  });
  return promise;
}

function changeLock({ root }: Checkout): void {
  const path = join(root, 'package-lock.json');
  writeFileSync(path, readFileSync(path, 'utf8').replaceAll('1.0.0', '1.0.1'));
  execFileSync('touch', ['--date=+1 minute', path]);
}

describe('the entry script', () => {
  it('sets up by setup and by the first up, and then asks npm for nothing any more', async () => {
    for (const first of ['setup', 'up']) {
      using checkout = createCheckout();

      expect(await checkout.run([first])).toMatchObject({ code: 0, stdout: `${first}\n` });
      expect(checkout.asked()).toEqual(['ping', 'pack', 'pack', 'ci']);
      expect(checkout.packages()).toEqual(['a', nodePackage]);
      expect(readdirSync(checkout.root).filter((name) => name.includes('.new-'))).toEqual([]);
      for (const again of ['setup', 'up', 'status'])
        expect(await checkout.run([again])).toEqual({ code: 0, stdout: `${again}\n`, stderr: '' });
      expect(checkout.asked()).toEqual([]);
    }
  });

  it('refuses other commands where nothing is installed, and installs nothing', async () => {
    using checkout = createCheckout();

    for (const command of ['status', 'down', 'agent', 'with-node']) {
      const { code, stderr } = await checkout.run([command]);
      expect(code).toBe(1);
      expect(stderr).toMatch(
        /^podwright: run podwright \S+: nothing is installed .*run \.\/podwright setup.*\n$/,
      );
    }
    expect(checkout.asked()).toEqual([]);
  });

  it('goes on with what is installed when the lockfile has changed, and says in a line that setup is due', async () => {
    using checkout = createCheckout();

    await checkout.run(['setup']);
    checkout.asked();
    changeLock(checkout);
    for (const command of ['up', 'status', 'agent']) {
      const { code, stdout, stderr } = await checkout.run([command], { PROBLEM: 'closed' });
      expect({ code, stdout }).toEqual({ code: 0, stdout: `${command}\n` });
      expect(stderr).toMatch(/^podwright: .*\.\/podwright setup is due\n$/);
    }
    expect(checkout.asked()).toEqual([]);
    expect(await checkout.run(['setup'])).toMatchObject({ code: 0 });
    expect(checkout.asked()).toEqual(['ping', 'ci']); // By the Node and the npm of the first time.
    expect(readFileSync(join(checkout.root, 'node_modules/a/package.json'), 'utf8')).toContain('1.0.1');
  });

  it('does not mind a lockfile that is newer and the same', async () => {
    using checkout = createCheckout();

    await checkout.run(['setup']);
    execFileSync('touch', ['--date=+1 minute', join(checkout.root, 'package-lock.json')]);
    expect(await checkout.run(['status'])).toMatchObject({ code: 0, stderr: '' });
  });

  it('says in one line what it needs and what to do where the registry cannot be reached', async () => {
    using checkout = createCheckout();

    const first = await checkout.run(['up'], { PROBLEM: 'closed' });
    expect(first.code).toBe(1);
    expect(first.stderr.split('\n').slice(1)).toEqual([
      expect.stringMatching(
        new RegExp(
          `fetch ${nodePackage}@.*registry.invalid/ \\(ECONNREFUSED\\).*copy node_modules.*npm_config_cache`,
        ),
      ),
      '',
    ]);
    expect(first.stderr).not.toContain('secret');
    expect(existsSync(join(checkout.root, 'node_modules'))).toBe(false);

    await checkout.run(['setup']);
    changeLock(checkout);
    const later = await checkout.run(['setup'], { PROBLEM: 'closed' });
    expect(later.code).toBe(1);
    expect(later.stderr).toMatch(/install packages of .*ECONNREFUSED.*copy node_modules.*\n$/);
    expect(checkout.packages()).toEqual(['a', nodePackage]);
  });

  it('names what npm left out, and keeps what was installed', async () => {
    using checkout = createCheckout();

    await checkout.run(['setup']);
    changeLock(checkout);
    const { code, stderr } = await checkout.run(['setup'], { PROBLEM: 'forgets' });
    expect(code).toBe(1);
    expect(stderr).toContain('npm ended well without a@1.0.1');
    expect(readFileSync(join(checkout.root, 'node_modules/a/package.json'), 'utf8')).toContain('1.0.0');
    expect(readdirSync(checkout.root).filter((name) => name.includes('.new-'))).toEqual([]);
  });

  it('brings back what is missing', async () => {
    using checkout = createCheckout();

    await checkout.run(['setup']);
    rmSync(join(checkout.root, 'node_modules/a'), { recursive: true });
    expect((await checkout.run(['setup'])).stderr).toContain('not as in package-lock.json: a@1.0.0');
    expect(checkout.packages()).toEqual(['a', nodePackage]);
  });

  it('refuses a package with another hash', async () => {
    using checkout = createCheckout();

    const path = join(checkout.root, 'package.json');
    writeFileSync(path, readFileSync(path, 'utf8').replace(/sha512\.\w{4}/, 'sha512.0000'));
    const { code, stderr } = await checkout.run(['setup']);
    expect(code).toBe(1);
    expect(stderr).toMatch(/fetch npm@1\.2\.3: .*not the hash/);
  });

  it('waits for another setup, which has then done the work', async () => {
    using checkout = createCheckout();

    const both = await Promise.all([checkout.run(['setup']), checkout.run(['up'])]);
    expect(both).toMatchObject([{ code: 0 }, { code: 0 }]);
    expect(checkout.asked()).toEqual(['ping', 'pack', 'pack', 'ci']);
  });

  it('puts back the packages after a setup that was killed between its two renames', async () => {
    using checkout = createCheckout();

    await checkout.run(['setup']);
    checkout.asked();
    const work = join(checkout.root, 'node_modules.new-1');
    mkdirSync(work);
    renameSync(join(checkout.root, 'node_modules'), join(work, 'old'));
    expect(await checkout.run(['up'])).toMatchObject({ code: 0 });
    expect(checkout.packages()).toEqual(['a', nodePackage]);
    expect(checkout.asked()).toEqual([]);
    expect(existsSync(work)).toBe(false);
  });

  it('with-node runs a command with the pinned Node first in PATH, and its arguments as they are', async () => {
    using checkout = createCheckout();

    await checkout.run(['setup']);
    const script = 'command -v node; printf "<%s>" "$@"';
    const { stdout } = await checkout.run(['with-node', 'sh', '-c', script, 'sh', 'a b', '--', '*']);
    expect(stdout).toBe(`${join(checkout.root, 'node_modules', nodePackage, 'bin/node')}\n<a b><--><*>`);
  });
});
