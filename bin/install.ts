/** `podwright install` and `uninstall`: a unit of systemd's put in place, and everything of it taken away. */
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';

import { systemClock } from '#base/clock.ts';
import { writeDurably } from '#base/durable-file.ts';
import { errnoOf, PodwrightError } from '#base/errors.ts';
import { ensureSupervisor } from '#native/launch/build.ts';
import { endNode } from './end-node.ts';
import { repositoryRoot } from './paths.ts';
import { print } from './print.ts';
import { programCommand, programEnvironment, type Role } from './program.ts';
import { argumentOf, argumentsOf, parseUnitArguments, renderUnit, unitName } from './systemd.ts';

/** Where an administrator's units go, before those of packages. systemd.unit(5) */
const unitDirectory = '/etc/systemd/system';

/** Writes the unit, makes it start at boot, and starts it. Safe to repeat: a program whose unit changed is started anew. */
export async function runInstall(role: Role, options: Readonly<Record<string, unknown>>): Promise<void> {
  requireSystemd();
  if (role === 'agent') await ensureSupervisor();
  const path = join(unitDirectory, unitName(role));
  const unit = renderUnit({
    role,
    program: programCommand(role, ['--disable-warning=ExperimentalWarning']),
    arguments: argumentsOf(options),
    environment: {
      NODE_COMPILE_CACHE: join(repositoryRoot, 'build', 'compile-cache'),
      ...programEnvironment(role),
    },
  });
  const isChanged = (await readIfThere(path)) !== unit;
  if (isChanged) {
    await writeDurably(path, unit, { mode: 0o644 });
    await systemctl('daemon-reload');
  }
  await systemctl('enable', '--quiet', unitName(role));
  // Comes back when the program is ready: Type=notify.
  await systemctl(isChanged ? 'restart' : 'start', unitName(role));
  print(path);
}

/**
 * Stops the unit, ends what an agent's node has on this host (pods, cgroups, mounts, network), and removes the unit last, so
 * that a run that was cut short can be repeated. Data stays unless `purge`. Succeeds if there is no unit.
 */
export async function runUninstall(role: Role, options: { readonly purge?: boolean }): Promise<void> {
  requireSystemd();
  const path = join(unitDirectory, unitName(role));
  const unit = await readIfThere(path);
  if (unit === undefined) {
    print(`${unitName(role)} is not installed`);
    return;
  }
  const words = parseUnitArguments(unit, role);
  const data = requiredArgument(words, '--data', path);
  await systemctl('disable', '--now', '--quiet', unitName(role));
  if (role === 'agent') {
    await endNode(
      {
        cgroup: argumentOf(words, '--cgroup'),
        run: requiredArgument(words, '--run', path),
        data,
        clusterDns: argumentOf(words, '--cluster-dns'),
      },
      systemClock,
    );
  }
  if (options.purge === true) await rm(data, { recursive: true, force: true });
  await rm(path);
  await systemctl('daemon-reload');
  print(`${unitName(role)} removed${options.purge === true ? '' : `; its data stays in ${data}`}`);
}

/** A directory that things are removed from: never a guess. */
function requiredArgument(words: readonly string[], flag: string, unit: string): string {
  const value = argumentOf(words, flag);
  if (value?.startsWith('/') === true) return value;
  throw new PodwrightError(
    'E_INVALID',
    `read ${unit}: its ${flag} is ${value ?? 'missing'}, not an absolute path`,
  );
}

/** sd_booted(3) looks at the same directory. */
function requireSystemd(): void {
  if (existsSync('/run/systemd/system')) return;
  throw new PodwrightError(
    'E_UNSUPPORTED',
    'use systemd: this host was not booted with it; run podwright server and agent yourself',
  );
}

async function readIfThere(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return undefined;
    throw error;
  }
}

async function systemctl(...args: readonly string[]): Promise<void> {
  try {
    await promisify(execFile)('systemctl', args);
  } catch (cause) {
    const said = cause instanceof Error && 'stderr' in cause ? String(cause.stderr).trim() : '';
    throw new PodwrightError(
      'E_INTERNAL',
      `systemctl ${args.join(' ')}: ${said.split('\n')[0] ?? String(cause)}`,
      { cause },
    );
  }
}
