import { execFile, execFileSync } from 'node:child_process';
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { repositoryRoot } from '#bin/paths.ts';

/** The example as a project of its own, with the package that npm makes of this checkout. */
export interface Project extends Disposable {
  readonly directory: string;
  /** What is in the package, by path. */
  readonly packed: readonly string[];
  /** Runs Node there, to its end. Rejects with what it wrote. */
  node(args: readonly string[], environment?: Readonly<Record<string, string>>): Promise<string>;
}

/** Packs, and installs that: the packages that it depends on are those of the checkout, as no registry is asked. */
export function makeProject(): Project {
  const directory = mkdtempSync(join(tmpdir(), 'podwright-project-'));
  const modules = join(directory, 'node_modules');
  // Tests that run side by side pack one after another: what is packed is made anew each time.
  const lock = join(repositoryRoot, 'build', 'package.lock');
  const npm = (args: readonly string[]): string =>
    execFileSync('flock', [lock, process.execPath, npmCli(), ...args], {
      cwd: repositoryRoot,
      encoding: 'utf8',
      maxBuffer: 64 * 1_048_576,
    });
  const [report] = JSON.parse(
    lastJson(npm(['pack', '--json', '--loglevel=error', '--pack-destination', directory])),
  ) as readonly {
    readonly filename: string;
    readonly files: readonly { readonly path: string }[];
  }[];
  if (report === undefined) throw new Error('npm pack: no report');
  mkdirSync(join(modules, 'podwright'), { recursive: true });
  execFileSync('tar', [
    '-xzf',
    join(directory, report.filename),
    '-C',
    join(modules, 'podwright'),
    '--strip-components=1',
  ]);
  const installed = join(repositoryRoot, 'node_modules');
  for (const name of readdirSync(installed).filter((each) => !each.startsWith('.')))
    symlinkSync(join(installed, name), join(modules, name));
  cpSync(join(repositoryRoot, 'examples', 'operator'), directory, { recursive: true });
  return {
    directory,
    packed: report.files.map(({ path }) => path),
    node: (args, environment = {}) => {
      const { promise, resolve, reject } = Promise.withResolvers<string>();
      const env = { ...process.env, ...environment };
      execFile(
        process.execPath,
        args,
        { cwd: directory, env, maxBuffer: 16 * 1_048_576 },
        (error, stdout, stderr) => {
          if (error === null) resolve(stdout);
          else reject(new Error(`node ${args.join(' ')}: ${error.message}\n${stdout}${stderr}`));
        },
      );
      return promise;
    },
    [Symbol.dispose]: () => rmSync(directory, { recursive: true, force: true }),
  };
}

/** `prepare` may have written before. */
function lastJson(text: string): string {
  return text.slice(text.search(/^\[/m));
}

function npmCli(): string {
  const { packageManager } = JSON.parse(readFileSync(join(repositoryRoot, 'package.json'), 'utf8')) as {
    readonly packageManager: string;
  };
  const pinned = join(
    repositoryRoot,
    'build',
    packageManager.replace('@', '-').replace(/\+.*/, ''),
    'bin',
    'npm-cli.js',
  );
  if (!existsSync(pinned)) throw new Error(`${pinned} is not there: run ./podwright setup`);
  return pinned;
}
