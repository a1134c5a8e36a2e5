/** systemd units of the two programs, as text. Pure; install.ts puts them in place. */
import { resolve } from 'node:path';

import { PodwrightError } from '#base/errors.ts';
import { pathOptions } from '#bin/options/path-options.ts';
import type { UnitRole } from '#bin/program/program.ts';

export interface UnitOptions {
  readonly role: UnitRole;
  /** The command up to the role and with it: Node, its options, the program; absolute paths. */
  readonly program: readonly string[];
  /** What follows the role. */
  readonly arguments: readonly string[];
  readonly environment: Readonly<Record<string, string>>;
}

const descriptions: Readonly<Record<UnitRole, string>> = {
  server: 'podwright server: API server, scheduler, controllers',
  agent: 'podwright agent: the node of this host',
};

/** A start waits for the API server and for the Node to be Ready, which on a slow machine takes minutes. */
const startTimeoutSeconds = 600;
const watchdogSeconds = 60;

/**
 * What the two differ in. The agent may come and go without its pods: they live in a cgroup of their own beside the unit's,
 * and what else is still in the unit's is not ended with it. Delegate makes systemd enable every controller down to the unit,
 * and so at the root, where the pods' tree needs them.
 */
const ownSettings: Readonly<Record<UnitRole, readonly string[]>> = {
  server: ['KillMode=mixed', 'OOMScoreAdjust=-900'],
  agent: ['KillMode=process', 'Delegate=yes', 'OOMScoreAdjust=-999'],
};

export const unitName = (role: UnitRole): string => `podwright-${role}.service`;

/** The unit file; systemd.service(5), systemd.exec(5). */
export function renderUnit(options: UnitOptions): string {
  const { role } = options;
  const command = [...options.program, ...options.arguments].map(quoteArgument).join(' ');
  const environment = Object.entries(options.environment).map(([name, value]) =>
    quoteArgument(`${name}=${value}`),
  );
  return `[Unit]
Description=${descriptions[role]}
Wants=network-online.target
After=network-online.target${role === 'agent' ? ` ${unitName('server')}` : ''}
StartLimitIntervalSec=0

[Service]
Type=notify
NotifyAccess=all
ExecStart=${command}
Environment=${environment.join(' ')}
Restart=always
RestartSec=1
RestartPreventExitStatus=2
TimeoutStartSec=${startTimeoutSeconds}
WatchdogSec=${watchdogSeconds}
LimitNOFILE=1048576
TasksMax=infinity
${ownSettings[role].join('\n')}

[Install]
WantedBy=multi-user.target
`;
}

/** One word of ExecStart: quoted, and with systemd's specifiers and variables taken literally. systemd.syntax(7) */
export function quoteArgument(word: string): string {
  if (/[\0-\x1f]/.test(word))
    throw new PodwrightError('E_USAGE', `write ${JSON.stringify(word)} to a unit: control characters`);
  const literal = word
    .replaceAll('\\', '\\\\')
    .replaceAll('"', '\\"')
    .replaceAll('%', '%%')
    .replaceAll('$', '$$$$');
  return /^[\w@%+=:,./$-]+$/.test(literal) ? literal : `"${literal}"`;
}

/** The words of the unit's command after the role. @throws E_INVALID when the unit is not one of ours */
export function parseUnitArguments(unit: string, role: UnitRole): readonly string[] {
  const line = /^ExecStart=(.*)$/m.exec(unit)?.[1] ?? '';
  const words = [...line.matchAll(/"((?:[^"\\]|\\.)*)"|(\S+)/g)].map(([, quoted, bare]) =>
    (quoted?.replaceAll(/\\(.)/g, '$1') ?? bare ?? '').replaceAll('%%', '%').replaceAll('$$', '$'),
  );
  const at = words.indexOf(role);
  if (at < 0)
    throw new PodwrightError('E_INVALID', `read ${unitName(role)}: it does not start podwright ${role}`);
  return words.slice(at + 1);
}

/** The value that a unit's command gives an option, the last one as on a command line. */
export function argumentOf(words: readonly string[], flag: string): string | undefined {
  const at = words.lastIndexOf(flag);
  return at < 0 ? undefined : words[at + 1];
}

/** All that a flag was given, by itself or with commas between. */
export function argumentsNamed(words: readonly string[], flag: string): readonly string[] {
  return words.flatMap((word, index) => (word === flag ? (words[index + 1] ?? '').split(',') : []));
}

/** Options that may be on by default. */
const saysNo = /^(audit|encryption)/;

/** Parsed options back to words, in a stable order: `{ nodeName: 'a' }` → `--node-name a`. Pure but for the working directory. */
export function argumentsOf(options: Readonly<Record<string, unknown>>): readonly string[] {
  return Object.entries(options)
    .toSorted(([a], [b]) => (a < b ? -1 : 1))
    .flatMap(([name, value]) => {
      const flag = `--${name.replaceAll(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;
      if (value === undefined) return [];
      if (value === false) return saysNo.test(name) ? [`${flag}=false`] : [];
      if (value === true) return [flag];
      const texts = Array.isArray(value) ? value.map(String) : [String(value)];
      return texts.flatMap((text) => [flag, pathOptions.has(name) && text !== '-' ? resolve(text) : text]);
    });
}
