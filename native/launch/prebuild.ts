/**
 * The binaries that come with the repository: `npm run supervisor` writes them, `--check` says whether they are those
 * of the present source (part of `npm run check`; needs no compiler), `--compare` compiles again and compares the bytes, where
 * this machine has the same compilers.
 */
import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { describeError } from '#base/errors.ts';
import { settleAll } from '#base/settle-all.ts';
import {
  binaryName,
  compileProgram,
  prebuiltDirectoryDefault,
  readSource,
  sourceDirectories,
  type SupervisorArch,
} from './build.ts';

const run = promisify(execFile);
const regenerate =
  'npm run supervisor (needs gcc, gcc-aarch64-linux-gnu, linux-libc-dev, linux-libc-dev-arm64-cross)';

/** Debian's names, by which gcc is called on a machine of its own kind too. */
const triplets: Readonly<Record<SupervisorArch, string>> = {
  x64: 'x86_64-linux-gnu',
  arm64: 'aarch64-linux-gnu',
};
const arches = ['x64', 'arm64'] as const satisfies readonly SupervisorArch[];

const say = (text: string): void => void process.stdout.write(`${text}\n`);

/** What compiled the binaries, beside them: a compiler and a linker per line. */
const compilersFile = 'compilers.txt';

interface Binary {
  readonly name: string;
  readonly arch: SupervisorArch;
  readonly source: Awaited<ReturnType<typeof readSource>>;
}

/** Of each program for each processor. */
async function listBinaries(): Promise<readonly Binary[]> {
  const sources = await Promise.all(sourceDirectories.map((directory) => readSource(directory)));
  return sources.flatMap((source) =>
    arches.map((arch) => ({ name: binaryName(arch, source), arch, source })),
  );
}

/** Findings, each a sentence with its remedy; none when the binaries are those of the source. */
export async function findStale(prebuilt: string = prebuiltDirectoryDefault): Promise<readonly string[]> {
  const wanted = new Set([...(await listBinaries()).map(({ name }) => name), compilersFile]);
  const there = new Set(await readdir(prebuilt));
  const findings = [
    ...[...wanted].filter((name) => !there.has(name)).map((name) => `${name} is missing`),
    ...[...there].filter((name) => !wanted.has(name)).map((name) => `${name} is of other sources`),
  ];
  return findings.map((finding) => `native/launch/prebuilt: ${finding}; ${regenerate}`);
}

/** `gcc (Debian 12.2.0-14) 12.2.0, GNU ld (GNU Binutils for Debian) 2.40`; undefined where there is none. */
async function describeCompiler(arch: SupervisorArch): Promise<string | undefined> {
  try {
    const [gcc, ld] = await Promise.all(
      ['gcc', 'ld'].map(async (tool) => (await run(`${triplets[arch]}-${tool}`, ['--version'])).stdout),
    );
    // Debian's revision of the package says nothing of the code it makes, and differs between the compilers of one release.
    const version = /\d+\.\d+\.\d+$/.exec(gcc?.split('\n')[0] ?? '')?.[0] ?? 'unknown';
    return `gcc ${version}, ${ld?.split('\n')[0] ?? ''}`;
  } catch {
    return undefined;
  }
}

async function describeCompilers(): Promise<string> {
  const lines = await Promise.all(
    arches.map(async (arch) => `${arch}: ${(await describeCompiler(arch)) ?? 'none'}`),
  );
  return `${lines.join('\n')}\n`;
}

/** Writes the binaries, then removes those of other sources. */
async function writePrebuilt(directory: string): Promise<void> {
  const binaries = await listBinaries();
  await mkdir(directory, { recursive: true });
  for (const { name, arch, source } of binaries) {
    const target = join(directory, name);
    await compileProgram(source, `${triplets[arch]}-gcc`, `${target}.tmp`);
    await rename(`${target}.tmp`, target);
    say(target);
  }
  await writeFile(join(directory, compilersFile), await describeCompilers());
  const kept = new Set([...binaries.map(({ name }) => name), compilersFile]);
  for (const name of await readdir(directory)) if (!kept.has(name)) await rm(join(directory, name));
}

/** Findings of compiling again, for both processors at once; a line on standard output where it cannot be told. */
async function compare(prebuilt: string): Promise<readonly string[]> {
  const stale = await findStale(prebuilt);
  if (stale.length > 0) return stale;
  const [recorded, here] = [await readFile(join(prebuilt, compilersFile), 'utf8'), await describeCompilers()];
  if (recorded !== here) {
    say(
      `native/launch/prebuilt: not compared, as other compilers are here\n${here}than those that made it\n${recorded}`,
    );
    return [];
  }
  const directory = await mkdtemp('/tmp/podwright-prebuild-');
  await using undo = new AsyncDisposableStack();
  undo.defer(() => rm(directory, { recursive: true }));

  const binaries = await listBinaries();
  const lanes = arches.map(async (lane) => {
    const findings: string[] = [];
    for (const { name, arch, source } of binaries.filter((each) => each.arch === lane)) {
      await compileProgram(source, `${triplets[arch]}-gcc`, join(directory, name));
      const [ours, again] = await Promise.all(
        [prebuilt, directory].map((each) => readFile(join(each, name))),
      );
      if (ours === undefined || again === undefined || !ours.equals(again)) {
        findings.push(`native/launch/prebuilt/${name}: its bytes are not those of its source; ${regenerate}`);
      } else {
        say(`native/launch/prebuilt/${name}: the same bytes when compiled again`);
      }
    }
    return findings;
  });
  return (await settleAll(lanes)).flat();
}

async function main(mode: string | undefined): Promise<void> {
  const directory = prebuiltDirectoryDefault;
  if (mode === undefined) return writePrebuilt(directory);
  const findings = mode === '--compare' ? await compare(directory) : await findStale(directory);
  for (const finding of findings) console.error(finding);
  if (findings.length > 0) process.exitCode = 1;
}

if (import.meta.main) {
  try {
    await main(process.argv[2]);
  } catch (error) {
    console.error(`${describeError(error)}\n${regenerate}`);
    process.exitCode = 1;
  }
}
