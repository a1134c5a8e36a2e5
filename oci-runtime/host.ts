/** What the commands ask of the machine, and where they say what happens. */
import {
  appendFileSync,
  existsSync,
  fstatSync,
  lstatSync,
  readdirSync,
  readFileSync,
  statSync,
  writeSync,
} from 'node:fs';
import { release } from 'node:os';
import { isAbsolute, join } from 'node:path';
import { systemClock } from '#base/clock.ts';
import { errnoOf, PodwrightError } from '#base/errors.ts';
import { permittedCapabilities } from '#native/launch/capabilities.ts';
import type { BundleFacts } from './render/render-launch.ts';

/** Where errors and warnings go, beside standard error: others read it for what went wrong (containerd, podman). */
export interface Log {
  readonly path: string | undefined;
  readonly isJson: boolean;
}

export function writeLog({ path, isJson }: Log, level: 'error' | 'warning', text: string): void {
  if (said.has(text)) return;
  said.add(text);
  const time = new Date(systemClock.now()).toISOString();
  if (path === undefined) {
    writeSync(2, `${text}\n`);
    return;
  }
  const line = isJson
    ? JSON.stringify({ level, msg: text, time })
    : `time=${JSON.stringify(time)} level=${level} msg=${JSON.stringify(text)}`;
  try {
    appendFileSync(path, `${line}\n`);
  } catch (error) {
    writeSync(2, `write ${path}: ${errnoOf(error) ?? ''}\n`);
  }
}

/** A command looks at a bundle twice, and at a process of it. */
const said = new Set<string>();

/** Asked once per command. */
export function readFacts(
  bundle: string,
  root: string,
  log: Log,
): Omit<BundleFacts, 'isNodev' | 'hasOwnKeyring'> {
  return {
    bundle,
    isFile: (path) => {
      try {
        return !statSync(path).isDirectory();
      } catch (error) {
        throw new PodwrightError('E_NOT_FOUND', `find ${path} for a bind mount: ${errnoOf(error) ?? ''}`, {
          cause: error,
        });
      }
    },
    isEmpty: (target) => isEmptyIn(isAbsolute(root) ? root : join(bundle, root), target),
    isOwnNamespace: (path) => inodeOf(path) === inodeOf('/proc/self/ns/mnt'),
    permitted: permittedCapabilities(readFileSync('/proc/self/status', 'utf8')),
    hasAppArmor: isAppArmorEnabled(),
    kernelRelease: release(),
    ownStreams: [0, 1, 2].filter(isOwnStream),
    warn: (text) => writeLog(log, 'warning', text),
  };
}

function isEmptyIn(root: string, target: string): boolean {
  let at = root;
  for (const name of target.split('/').filter((part) => part !== '')) {
    at = join(at, name);
    const status = lstatSync(at, { throwIfNoEntry: false });
    if (status === undefined) return true;
    if (!status.isDirectory()) return false;
  }
  return readdirSync(at).length === 0;
}

function isAppArmorEnabled(): boolean {
  const path = '/sys/module/apparmor/parameters/enabled';
  return existsSync(path) && readFileSync(path, 'utf8').startsWith('Y');
}

/** Pipes and sockets are the container's; the host's devices and files keep their owners. */
function isOwnStream(fd: number): boolean {
  try {
    const status = fstatSync(fd);
    return status.isFIFO() || status.isSocket();
  } catch (error) {
    if (errnoOf(error) === 'EBADF') return false;
    throw error;
  }
}

function inodeOf(path: string): string | undefined {
  try {
    const { dev, ino } = statSync(path, { bigint: true });
    return `${dev}:${ino}`;
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return undefined;
    throw error;
  }
}
