/** AppArmor of the machine: which profiles its kernel has, and the default one of containers, which is loaded by apparmor_parser(8). */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { describeError, errnoOf } from '#base/errors.ts';
import type { Logger } from '#base/log.ts';
import { defaultAppArmorProfile, type LoadedProfiles } from '#agent/kubelet/render/apparmor.ts';

/** What a node can say of its profiles. */
export interface AppArmor {
  /** Those that are loaded now. `wantsDefault`: the node's own is loaded before, if it can be. */
  profiles(wantsDefault: boolean): Promise<LoadedProfiles>;
}

export interface AppArmorPlace {
  /** A line for each profile: `name (enforce)`. */
  readonly profiles: string;
  /** Where the program may be, in order. */
  readonly parsers: readonly string[];
}

const machinePlace: AppArmorPlace = {
  profiles: '/sys/kernel/security/apparmor/profiles',
  parsers: ['/sbin/apparmor_parser', '/usr/sbin/apparmor_parser'],
};

/** Whether the kernel enforces profiles (security/apparmor/lsm.c, parameter enabled). */
export function isAppArmorEnabled(path = '/sys/module/apparmor/parameters/enabled'): boolean {
  return existsSync(path) && readFileSync(path, 'utf8').startsWith('Y');
}

/** How long the program may take to load a profile. */
const parserMsMax = 10_000;

export function createAppArmor(logger: Logger, place: AppArmorPlace = machinePlace): AppArmor {
  let attempt: Promise<void> | undefined;
  return {
    profiles: async (wantsDefault) => {
      const before = await readProfiles(place.profiles);
      if (!wantsDefault || before.has(defaultAppArmorProfile)) return before;
      // Once: what could not be loaded is told, and containers go without, or say so.
      attempt ??= loadDefault(place.parsers).catch((error: unknown) =>
        logger.warn({ error: describeError(error) }, 'AppArmor profile of containers not loaded'),
      );
      await attempt;
      return readProfiles(place.profiles);
    },
  };
}

/** The names of profiles in the kernel's list. Pure. */
export function parseProfiles(text: string): ReadonlySet<string> {
  return new Set(
    text
      .split('\n')
      .flatMap((line) => /^(.+) \((?:enforce|complain|kill|unconfined|prompt)\)$/.exec(line)?.[1] ?? []),
  );
}

async function readProfiles(path: string): Promise<ReadonlySet<string>> {
  try {
    return parseProfiles(await readFile(path, 'utf8'));
  } catch (error) {
    // securityfs is not mounted, or is another's.
    if (['ENOENT', 'EACCES'].includes(errnoOf(error) ?? '')) return new Set();
    throw error;
  }
}

async function loadDefault(parsers: readonly string[]): Promise<void> {
  const parser = parsers.find((path) => existsSync(path));
  if (parser === undefined) return;
  const child = spawn(parser, ['-Kr'], { stdio: ['pipe', 'ignore', 'inherit'], timeout: parserMsMax });
  child.stdin.on('error', () => undefined); // Told by its end.
  child.stdin.end(renderDefaultProfile(defaultAppArmorProfile));
  await once(child, 'close');
}

/**
 * What containers may not do by it: change the kernel's settings and what shows it, mount, trace others. The rest is what capabilities,
 * system calls and file modes say (apparmor.d(5)). Pure.
 */
export function renderDefaultProfile(name: string): string {
  const denied = [
    '@{PROC}/* w',
    '@{PROC}/{[^1-9],[^1-9][^0-9],[^1-9s][^0-9y][^0-9s],[^1-9][^0-9][^0-9][^0-9/]*}/** w',
    '@{PROC}/sys/[^k]** w',
    '@{PROC}/sys/kernel/{?,??,[^s][^h][^m]**} w',
    '@{PROC}/sysrq-trigger rwklx',
    '@{PROC}/kcore rwklx',
    'mount',
    '/sys/[^f]*/** wklx',
    '/sys/f[^s]*/** wklx',
    '/sys/fs/[^c]*/** wklx',
    '/sys/fs/c[^g]*/** wklx',
    '/sys/fs/cg[^r]*/** wklx',
    '/sys/firmware/** rwklx',
    '/sys/devices/virtual/powercap/** rwklx',
    '/sys/kernel/security/** rwklx',
  ];
  return [
    '#include <tunables/global>',
    '',
    `profile ${name} flags=(attach_disconnected,mediate_deleted) {`,
    '  #include <abstractions/base>',
    '  network,',
    '  capability,',
    '  file,',
    '  umount,',
    '  signal (receive) peer=unconfined,',
    `  signal (send,receive) peer=${name},`,
    ...denied.map((rule) => `  deny ${rule},`),
    `  ptrace (trace,read,tracedby,readby) peer=${name},`,
    '}',
    '',
  ].join('\n');
}
