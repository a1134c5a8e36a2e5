import { readdirSync, readFileSync, statSync, utimesSync } from 'node:fs';
import { join } from 'node:path';
import { errnoOf } from '#base/errors.ts';
import { formatIp, parseIp, type Ip } from '#base/ip.ts';
import type { CniAttachment } from '#api/cni/network-config.ts';

/**
 * What the leases of a network's directory say, kept between calls, so that a call costs as much beside hundreds of leases as
 * beside none. Read and changed under the lock alone.
 *
 * Whoever makes or removes a lease, this process or another, gives the directory the time of that as its mtime. After a change of
 * our own, the directory gets one that no clock of today shows and no other index has: as long as it stands, the index holds.
 */
export class LeaseIndex {
  readonly #dir: string;
  readonly #owners = new Map<string, { readonly ip: Ip; readonly owner: CniAttachment }>();
  readonly #ofContainer = new Map<string, Set<string>>();
  readonly #cursors = new Map<number, Ip | undefined>();
  #inode = -1;
  #markSeconds = -1;

  /** Reads all that is there. */
  constructor(dir: string) {
    this.#dir = dir;
    for (const name of readdirSync(dir)) {
      const ip = parseIp(name);
      if (ip !== undefined) this.add(ip, parseOwner(readFileSync(join(dir, name), 'utf8')));
    }
  }

  /** Whether nobody else has changed the directory since `mark`. */
  isCurrent(): boolean {
    try {
      const { ino, mtimeMs } = statSync(this.#dir);
      return ino === this.#inode && mtimeMs === this.#markSeconds * 1000;
    } catch (error) {
      if (errnoOf(error) === 'ENOENT') return false;
      throw error;
    }
  }

  /** What the directory holds by now is what is known. One that cannot be marked is read at each call. */
  mark(): void {
    const seconds = 1 + Math.floor(Math.random() * markSecondsMax);
    try {
      utimesSync(this.#dir, seconds, seconds);
      this.#inode = statSync(this.#dir).ino;
      this.#markSeconds = seconds;
    } catch (error) {
      // The lease is there already: whoever asked for it would be told that it is not.
      this.#markSeconds = -1;
      if (errnoOf(error) === undefined) throw error;
    }
  }

  add(ip: Ip, owner: CniAttachment): void {
    const text = formatIp(ip);
    this.remove(ip);
    this.#owners.set(text, { ip, owner });
    const own = this.#ofContainer.get(owner.containerID) ?? new Set();
    this.#ofContainer.set(owner.containerID, own.add(text));
  }

  remove(ip: Ip): void {
    const text = formatIp(ip);
    const known = this.#owners.get(text);
    if (known === undefined) return;
    this.#owners.delete(text);
    const own = this.#ofContainer.get(known.owner.containerID);
    own?.delete(text);
    if (own?.size === 0) this.#ofContainer.delete(known.owner.containerID);
  }

  has(ip: Ip): boolean {
    return this.#owners.has(formatIp(ip));
  }

  ownedBy(asked: CniAttachment): readonly Ip[] {
    return [...(this.#ofContainer.get(asked.containerID) ?? [])].flatMap((text) => {
      const known = this.#owners.get(text);
      return known !== undefined && isInterface(known.owner, asked) ? known.ip : [];
    });
  }

  list(): readonly { readonly ip: Ip; readonly owner: CniAttachment }[] {
    return [...this.#owners.values()];
  }

  /** Where the search of a range set goes on; a hint, asked of the disk once. */
  cursor(rangeIndex: number, read: () => Ip | undefined): Ip | undefined {
    if (!this.#cursors.has(rangeIndex)) this.#cursors.set(rangeIndex, read());
    return this.#cursors.get(rangeIndex);
  }

  setCursor(rangeIndex: number, ip: Ip): void {
    this.#cursors.set(rangeIndex, ip);
  }
}

/** Half of the seconds from the epoch until 1987: none is the time of a change. */
const markSecondsMax = 2 ** 28;

export function renderOwner(owner: CniAttachment): string {
  return `${owner.containerID}\r\n${owner.ifname}`;
}

/** Files of old versions have no interface. */
function parseOwner(text: string): CniAttachment {
  const [containerID = '', ifname = ''] = text.trim().split(/\r?\n/);
  return { containerID, ifname };
}

function isInterface(stored: CniAttachment, asked: CniAttachment): boolean {
  return stored.ifname === '' || stored.ifname === asked.ifname;
}
