import { linkSync, mkdirSync, readdirSync, readFileSync, rmSync, unlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { errnoOf, isPodwrightError, PodwrightError } from '#base/errors.ts';
import { systemClock, type Clock } from '#base/clock.ts';
import { formatIp, parseIp, type Ip } from '#base/ip.ts';
import { lockFile } from '#native/sys/file.ts';
import { LeaseIndex, renderOwner } from './lease-index.ts';
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
 * `lock` is held by flock(2) while anything changes. What they say is kept in mind (lease-index.ts).
 *
 * File operations are synchronous: a dozen of microseconds each, where a trip through libuv's pool costs ten times that.
 */
export function createDiskStore(dataDir: string, clock: Clock = systemClock): LeaseStore {
  // Waiting in line here spares our own calls the polling of the file lock.
  const tails = new Map<string, Promise<unknown>>();
  const indexes = new Map<string, LeaseIndex>();
  return {
    async withLock(network, signal, work) {
      const dir = join(dataDir, network);
      const run = (tails.get(dir) ?? Promise.resolve()).then(async () => {
        using _lock = await takeLock(dir, clock, signal);

        const known = indexes.get(dir);
        const isKnown = known?.isCurrent() === true;
        const index = isKnown ? known : new LeaseIndex(dir);
        indexes.delete(dir); // Of a call that fails in between nothing is believed.
        const open: OpenState = { hasChanged: !isKnown, isDoubtful: false };
        const result = await work(openLeases(dir, index, open));
        if (open.isDoubtful) return result;
        if (open.hasChanged) index.mark();
        indexes.set(dir, index);
        return result;
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

async function takeLock(dir: string, clock: Clock, signal: AbortSignal): Promise<Disposable> {
  const path = join(dir, 'lock');
  const deadline = clock.monotonic() + lockWaitMs;
  for (;;) {
    try {
      return lockFile(path);
    } catch (cause) {
      if (isPodwrightError(cause, 'E_NOT_FOUND')) {
        mkdirSync(dir, { recursive: true, mode: 0o755 });
        continue;
      }
      if (!isPodwrightError(cause, 'E_BUSY')) throw cause;
      if (clock.monotonic() > deadline)
        throw new PodwrightError('E_BUSY', `lock ${path}: held for ${lockWaitMs} ms`, { cause });
    }
    await clock.sleep(lockRetryMs, signal);
  }
}

interface OpenState {
  /** Since the directory was marked. */
  hasChanged: boolean;
  /** Whether somebody changes it without the lock. */
  isDoubtful: boolean;
}

/** The files and what is known of them, changed together. */
function openLeases(dir: string, index: LeaseIndex, open: OpenState): Leases {
  const release = (ip: Ip): void => {
    open.hasChanged = true;
    removeIfThere(join(dir, formatIp(ip)));
    index.remove(ip);
  };
  return {
    async reserve(ip, owner, rangeIndex) {
      if (index.has(ip)) return false;
      open.hasChanged = true;
      // A hint that may be wrong, so first: of a reservation that fails nothing else is there.
      writeFileSync(cursorPath(dir, rangeIndex), formatIp(ip), { mode: 0o600 });
      index.setCursor(rangeIndex, ip);
      if (!createWhole(dir, formatIp(ip), renderOwner(owner))) {
        open.isDoubtful = true;
        return false;
      }
      index.add(ip, owner);
      return true;
    },
    async release(ips) {
      ips.forEach(release);
    },
    lastReserved: async (rangeIndex) => index.cursor(rangeIndex, () => readCursor(dir, rangeIndex)),
    isTaken: async (ip) => index.has(ip),
    ownedBy: async (owner) => index.ownedBy(owner),
    async retain(isKept) {
      open.hasChanged = true;
      // The lock is ours: whoever left a draft was killed.
      for (const name of readdirSync(dir))
        if (name.startsWith(draftPrefix)) rmSync(join(dir, name), { force: true });
      for (const { ip, owner } of index.list()) if (!isKept(owner)) release(ip);
    },
    list: async () => index.list().map(({ ip }) => ip),
  };
}

const cursorPath = (dir: string, rangeIndex: number): string => join(dir, `last_reserved_ip.${rangeIndex}`);

function readCursor(dir: string, rangeIndex: number): Ip | undefined {
  try {
    return parseIp(readFileSync(cursorPath(dir, rangeIndex), 'utf8').trim());
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return undefined;
    throw error;
  }
}

/** A lease appears with its content or not at all: link(2) refuses a name that is there, and a crash leaves no empty file. */
function createWhole(dir: string, name: string, content: string): boolean {
  const draft = join(dir, `${draftPrefix}${process.pid}`);
  const path = join(dir, name);
  try {
    writeFileSync(draft, content, { mode: 0o600 });
    linkSync(draft, path);
  } catch (error) {
    removeIfThere(draft);
    if (errnoOf(error) === 'EEXIST') return false;
    throw error;
  }
  try {
    removeIfThere(draft);
    return true;
  } catch (error) {
    removeIfThere(path);
    throw error;
  }
}

/** One call, where rmSync looks at the file first. */
function removeIfThere(path: string): void {
  try {
    unlinkSync(path);
  } catch (error) {
    if (errnoOf(error) !== 'ENOENT') throw error;
  }
}
