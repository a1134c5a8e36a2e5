import { linkSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { errnoOf, isPodwrightError, PodwrightError } from '#base/errors.ts';
import { systemClock, type Clock } from '#base/clock.ts';
import type { CniAttachment } from '#api/cni/network-config.ts';
import { formatIp, parseIp, type Ip } from '#base/ip.ts';
import { lockFile } from '#native/sys/file.ts';
import type { Leases, LeaseStore } from './lease-store.ts';

/** Where host-local of the CNI project keeps its leases too. */
export const defaultDataDir = '/var/lib/cni/networks';

const lockRetryMs = 2;
/** Under the lock, so one at a time. */
const draftPrefix = '.draft-';
const lockWaitMs = 10_000;

/**
 * Leases as files, in the layout of the CNI project's host-local, so that either may release what the other reserved:
 * `<dataDir>/<network>/<ip>` holds `<container id>\r\n<interface>`, `last_reserved_ip.<n>` the cursor of range set n, and
 * `lock` is held by flock(2) while anything changes.
 *
 * File operations are synchronous: a dozen of microseconds each, where a trip through libuv's pool costs ten times that.
 */
export function createDiskStore(dataDir: string, clock: Clock = systemClock): LeaseStore {
  // Waiting in line here spares our own calls the polling of the file lock.
  const tails = new Map<string, Promise<unknown>>();
  return {
    async withLock(network, signal, work) {
      const dir = join(dataDir, network);
      const run = (tails.get(dir) ?? Promise.resolve()).then(async () => {
        mkdirSync(dir, { recursive: true, mode: 0o755 });
        using _lock = await takeLock(join(dir, 'lock'), clock, signal);

        return work(openLeases(dir));
      });
      const tail = run.catch(() => undefined);
      tails.set(dir, tail);
      void tail.then(() => {
        if (tails.get(dir) === tail) tails.delete(dir);
      });
      return run;
    },
  };
}

async function takeLock(path: string, clock: Clock, signal: AbortSignal): Promise<Disposable> {
  const deadline = clock.monotonic() + lockWaitMs;
  for (;;) {
    try {
      return lockFile(path);
    } catch (cause) {
      if (!isPodwrightError(cause, 'E_BUSY')) throw cause;
      if (clock.monotonic() > deadline)
        throw new PodwrightError('E_BUSY', `lock ${path}: held for ${lockWaitMs} ms`, { cause });
    }
    await clock.sleep(lockRetryMs, signal);
  }
}

function openLeases(dir: string): Leases {
  const names = (): readonly Ip[] => readdirSync(dir).flatMap((name) => parseIp(name) ?? []);
  const pathOf = (ip: Ip): string => join(dir, formatIp(ip));
  const ownerOf = (ip: Ip): CniAttachment => readOwner(pathOf(ip));
  const release = (ip: Ip): void => rmSync(pathOf(ip), { force: true });
  return {
    async reserve(ip, owner, rangeIndex) {
      if (!createWhole(dir, formatIp(ip), renderOwner(owner))) return false;
      writeFileSync(join(dir, `last_reserved_ip.${rangeIndex}`), formatIp(ip), { mode: 0o600 });
      return true;
    },
    async release(ips) {
      ips.forEach(release);
    },
    async lastReserved(rangeIndex) {
      try {
        return parseIp(readFileSync(join(dir, `last_reserved_ip.${rangeIndex}`), 'utf8').trim());
      } catch (error) {
        if (errnoOf(error) === 'ENOENT') return undefined;
        throw error;
      }
    },
    async ownedBy(owner) {
      return names().filter((ip) => isSame(ownerOf(ip), owner));
    },
    async retain(isKept) {
      // The lock is ours: whoever left a draft was killed.
      for (const name of readdirSync(dir))
        if (name.startsWith(draftPrefix)) rmSync(join(dir, name), { force: true });
      for (const ip of names()) if (!isKept(ownerOf(ip))) release(ip);
    },
    list: async () => names(),
  };
}

/** A lease appears with its content or not at all: link(2) refuses a name that is there, and a crash leaves no empty file. */
function createWhole(dir: string, name: string, content: string): boolean {
  const draft = join(dir, `${draftPrefix}${process.pid}`);
  writeFileSync(draft, content, { mode: 0o600 });
  try {
    linkSync(draft, join(dir, name));
    return true;
  } catch (error) {
    if (errnoOf(error) === 'EEXIST') return false;
    throw error;
  } finally {
    rmSync(draft, { force: true });
  }
}

/** What was read last of each lease, with what shows that it is another file by now. */
const owners = new Map<
  string,
  { readonly inode: number; readonly changedMs: number; readonly owner: CniAttachment }
>();
const ownersMax = 4096;

/** A lease is written once (createWhole), so a look at its inode spares the reading of hundreds of files for each pod. */
function readOwner(path: string): CniAttachment {
  const { ino: inode, ctimeMs: changedMs } = statSync(path);
  const known = owners.get(path);
  if (known !== undefined && known.inode === inode && known.changedMs === changedMs) return known.owner;
  const owner = parseOwner(readFileSync(path, 'utf8'));
  if (owners.size >= ownersMax) owners.clear();
  owners.set(path, { inode, changedMs, owner });
  return owner;
}

function renderOwner(owner: CniAttachment): string {
  return `${owner.containerID}\r\n${owner.ifname}`;
}

/** Files of old versions have no interface. */
function parseOwner(text: string): CniAttachment {
  const [containerID = '', ifname = ''] = text.trim().split(/\r?\n/);
  return { containerID, ifname };
}

function isSame(stored: CniAttachment, asked: CniAttachment): boolean {
  return stored.containerID === asked.containerID && (stored.ifname === '' || stored.ifname === asked.ifname);
}
