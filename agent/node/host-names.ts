import { readFile } from 'node:fs/promises';

import type { Clock } from '#base/clock.ts';
import { describeError, errnoOf } from '#base/errors.ts';
import type { Logger } from '#base/log.ts';
import { isLoopbackServer, nameserversOf } from './resolv-conf.ts';

/** What the host knows of names, as it is now. */
export interface HostNames {
  /** Its /etc/hosts. */
  hosts(): string;
  /** resolv.conf(5) as pods are to have it that resolve as the host does. */
  resolvConf(): string;
  /** Addresses of the resolvers that the host asks, in order of preference. */
  nameservers(): readonly string[];
}

/** Absolute paths. */
export interface HostNameFiles {
  readonly hosts: string;
  readonly resolvConf: string;
  /** Taken instead where `resolvConf` names nothing but the host's own loopback: systemd-resolved.service(8) keeps the real ones there. */
  readonly resolved: string | undefined;
}

export const hostNameFiles: HostNameFiles = {
  hosts: '/etc/hosts',
  resolvConf: '/etc/resolv.conf',
  resolved: '/run/systemd/resolve/resolv.conf',
};

export interface HostNamesOptions {
  readonly files: HostNameFiles;
  readonly clock: Clock;
  readonly log: Logger;
}

/** How soon a change of a file is seen. By looking: programs write these in place, rename them, and exchange links to them. */
const lookMs = 5_000;

/** A file of which more is not read: a hosts file of block lists has some MiB. */
const textBytesMax = 8 * 1_048_576;

interface Texts {
  readonly hosts: string;
  readonly resolvConf: string;
}

/** Reads the files, and again every five seconds until disposed. A file that is missing is empty; one that cannot be read stays as it was. */
export async function followHostNames(options: HostNamesOptions): Promise<HostNames & Disposable> {
  const { clock, log, files } = options;
  let texts = await readTexts(files, { hosts: '', resolvConf: '' }, log);
  let isOpen = true;
  const look = async (): Promise<void> => {
    const found = await readTexts(files, texts, log);
    if (found.resolvConf !== texts.resolvConf)
      log.info({ nameservers: nameserversOf(found.resolvConf) }, "the host's resolvers changed");
    texts = found;
    if (isOpen) timer = clock.after(lookMs, () => void look());
  };
  let timer = clock.after(lookMs, () => void look());
  return {
    hosts: () => texts.hosts,
    resolvConf: () => texts.resolvConf,
    nameservers: () => nameserversOf(texts.resolvConf),
    [Symbol.dispose]: () => {
      isOpen = false;
      timer[Symbol.dispose]();
    },
  };
}

async function readTexts(files: HostNameFiles, before: Texts, log: Logger): Promise<Texts> {
  const read = async (file: string, last: string): Promise<string> => {
    try {
      const text = await readFile(file, 'utf8');
      return text.length > textBytesMax ? text.slice(0, text.lastIndexOf('\n', textBytesMax) + 1) : text;
    } catch (error) {
      if (errnoOf(error) === 'ENOENT') return '';
      log.warn({ file, error: describeError(error) }, 'file of the host not read');
      return last;
    }
  };
  const hosts = await read(files.hosts, before.hosts);
  const own = await read(files.resolvConf, before.resolvConf);
  const resolved = isOnlyLoopback(own) && files.resolved !== undefined ? await read(files.resolved, '') : '';
  return {
    hosts,
    resolvConf: nameserversOf(resolved).length === 0 || isOnlyLoopback(resolved) ? own : resolved,
  };
}

function isOnlyLoopback(text: string): boolean {
  return nameserversOf(text).every(isLoopbackServer);
}
