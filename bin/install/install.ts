/** `podwright install` and `uninstall`: a unit of systemd's put in place, and everything of it taken away. */
import { readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';

import { systemClock } from '#base/clock.ts';
import { writeDurably } from '#base/durable-file.ts';
import { errnoOf, PodwrightError } from '#base/errors.ts';
import { removeDeadLogLinks } from '#agent/kubelet/apply/log-links.ts';
import { ensureSupervisor } from '#native/launch/build.ts';
import type { AgentCommandOptions, ServerCommandOptions } from '#bin/options/command-options.ts';
import { endNode, proveRemains, type NodeRemains } from '#bin/end-node.ts';
import { checkAgentInstall, checkServerInstall } from './install-check.ts';
import { describeKept, proveOwned, removeOwned } from '#bin/ownership/remove-owned.ts';
import { compileCachePath, podLogsDirInstalled, repositoryRoot } from '#bin/paths.ts';
import { print, printText } from '#bin/terminal/print.ts';
import { programCommand, programEnvironment, type UnitRole } from '#bin/program/program.ts';
import { isBootedWithSystemd, systemctl, unitDirectory } from './systemctl.ts';
import {
  argumentOf,
  argumentsNamed,
  argumentsOf,
  parseUnitArguments,
  renderUnit,
  unitName,
} from './systemd.ts';

type InstallOptions = (AgentCommandOptions | ServerCommandOptions) & { readonly print?: boolean };

/**
 * Writes the unit, makes it start at boot, and starts it. Safe to repeat: a program whose unit changed is started anew. Before
 * anything is written, all that the program will need is looked at; with `print` nothing is.
 *
 * @throws E_USAGE with all that is wrong
 */
export async function runInstall(
  role: UnitRole,
  { print: isPrintOnly, ...given }: InstallOptions,
): Promise<void> {
  const options = role === 'agent' ? { podLogsDir: podLogsDirInstalled, ...given } : given;
  if (isPrintOnly !== true) requireSystemd();
  const path = join(unitDirectory, unitName(role));
  const installed = await readIfThere(path);
  if (installed !== undefined) parseUnitArguments(installed, role); // Somebody else's unit of that name is not replaced.
  if ('listen' in options) await checkServerInstall(options, { isInstalled: installed !== undefined });
  else checkAgentInstall(options);
  const unit = renderUnit({
    role,
    program: programCommand(role, ['--disable-warning=ExperimentalWarning']),
    arguments: argumentsOf(writtenOptions(options)),
    environment: {
      NODE_COMPILE_CACHE: join(repositoryRoot, compileCachePath),
      ...programEnvironment(role),
    },
  });
  if (isPrintOnly === true) {
    printText(unit);
    return;
  }
  if (role === 'agent') await ensureSupervisor(); // A unit that cannot start is not made.
  const isChanged = installed !== unit;
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
 * What `runInstall` of an agent refuses, asked before there are credentials: a node that joins is one, whatever becomes of its unit.
 * @throws E_USAGE with all that is wrong
 */
export async function checkInstallAhead(given: AgentCommandOptions): Promise<void> {
  requireSystemd();
  const installed = await readIfThere(join(unitDirectory, unitName('agent')));
  if (installed !== undefined) parseUnitArguments(installed, 'agent');
  checkAgentInstall({ podLogsDir: podLogsDirInstalled, ...given }, { hasCredentials: false });
}

/**
 * Stops the unit, ends what an agent's node has on this host (pods, cgroups, mounts, network), and removes the unit last, so
 * that a run that was cut short can be repeated. Data stays unless `purge`. Succeeds if there is no unit. Nothing is stopped
 * before every directory and cgroup that the unit names is proven to be podwright's.
 */
export async function runUninstall(role: UnitRole, options: { readonly purge?: boolean }): Promise<void> {
  requireSystemd();
  const path = join(unitDirectory, unitName(role));
  const unit = await readIfThere(path);
  if (unit === undefined) {
    print(`${unitName(role)} is not installed`);
    return;
  }
  const words = parseUnitArguments(unit, role);
  const data = requiredArgument(words, '--data', path);
  const isPurge = options.purge === true;
  const remains = role === 'agent' ? proveRemains(remainsOf(words, path)) : undefined;
  const owned = isPurge ? proveOwned(data, role) : undefined;
  const logs = role === 'agent' ? argumentOf(words, '--pod-logs-dir') : undefined;
  const ownedLogs = isPurge && logs !== undefined ? proveOwned(logs, 'logs', '--pod-logs-dir') : undefined;
  await systemctl('disable', '--now', '--quiet', unitName(role));
  if (remains !== undefined) await endNode(remains, systemClock);
  const kept = owned === undefined ? undefined : describeKept(data, await removeOwned(owned));
  if (ownedLogs !== undefined) {
    await removeOwned(ownedLogs);
    await removeDeadLogLinks(ownedLogs.path);
  }
  await rm(path);
  await systemctl('daemon-reload');
  const places = logs === undefined ? data : `${data} and ${logs}`;
  const rest = isPurge ? (kept ?? `${places} removed`) : `its data stays in ${places}`;
  print(`${unitName(role)} removed; ${rest}`);
}

function remainsOf(words: readonly string[], unit: string): NodeRemains {
  return {
    cgroup: argumentOf(words, '--cgroup'),
    run: requiredArgument(words, '--run', unit),
    data: requiredArgument(words, '--data', unit),
    clusterDns: argumentsNamed(words, '--cluster-dns'),
  };
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

function requireSystemd(): void {
  if (isBootedWithSystemd()) return;
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

/** What a unit says: with a configuration only what somebody gave, as the rest is for that to say. */
function writtenOptions(
  options: AgentCommandOptions | ServerCommandOptions,
): Readonly<Record<string, unknown>> {
  const { givenOptions, ...all }: Readonly<Record<string, unknown>> = { ...options };
  const given = Array.isArray(givenOptions) ? givenOptions : [];
  if (['config', 'configDir', 'proxyConfig'].every((name) => all[name] === undefined)) return all;
  return Object.fromEntries(
    Object.entries(all).filter(([name]) => given.includes(name) || name === 'podLogsDir'),
  );
}
