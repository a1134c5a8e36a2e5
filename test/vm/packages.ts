/** The guest's Debian packages: what is in them is asked of apt, which sees a machine without any and so gives all they need. */
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import { runCommand } from './command.ts';

/** What a host needs for a node: a kernel, systemd, and the programs that the checks look with. */
const wanted: readonly string[] = [
  'linux-image-cloud-amd64',
  'systemd-sysv',
  'iproute2',
  'nftables',
  'busybox-static',
  'kmod',
  'mount',
  'util-linux',
  'procps',
  'ca-certificates',
  'dash',
  'libstdc++6',
  'libatomic1',
];

/** Needed by maintainer scripts only, which are not run here; without them the image is a third smaller. */
const leftOut =
  /^(perl|perl-base|perl-modules|libperl|initramfs-tools|klibc|libklibc|udev|usrmerge|libfile-find|dpkg|debconf|openssl)[-_0-9]/;

/** One file in the archive of Debian; its name has the version in it. */
export interface DebianPackage {
  readonly file: string;
  readonly bytes: number;
}

/** Lines of `apt-get --print-uris`: 'URI' FILE SIZE and, in some archives, a hash. Pure. */
export function parsePrintUris(text: string): readonly DebianPackage[] {
  return text
    .split('\n')
    .flatMap((line) => {
      const match = /^'[^']+' (\S+\.deb) (\d+)/.exec(line);
      return match === null ? [] : [{ file: match[1] ?? '', bytes: Number(match[2]) }];
    })
    .filter(({ file }) => !leftOut.test(file))
    .toSorted((a, b) => (a.file < b.file ? -1 : 1));
}

/** A view of apt's archive by a machine that has nothing installed. */
export class PackageSource {
  readonly #directory: string;

  private constructor(directory: string) {
    this.#directory = directory;
  }

  /** Files go to `directory`, where those fetched before are used again. */
  static async open(directory: string): Promise<PackageSource> {
    for (const name of ['fetched', 'none'])
      await mkdir(join(directory, name, 'partial'), { recursive: true });
    await writeFile(join(directory, 'status'), '');
    return new PackageSource(directory);
  }

  async resolve(): Promise<readonly DebianPackage[]> {
    try {
      return parsePrintUris(await this.#install('--print-uris'));
    } catch {
      // A fresh machine has no lists yet.
      await runCommand('apt-get', ['-qq', 'update']);
      return parsePrintUris(await this.#install('--print-uris'));
    }
  }

  /** Fetches what is missing; gives the paths in the order asked for. */
  async fetch(packages: readonly DebianPackage[]): Promise<readonly string[]> {
    await this.#install('--download-only');
    return packages.map(({ file }) => join(this.#directory, 'fetched', file));
  }

  #install(mode: '--print-uris' | '--download-only'): Promise<string> {
    // apt prints only what it would still have to fetch, so the question is asked over an empty directory.
    const archives = join(this.#directory, mode === '--print-uris' ? 'none' : 'fetched');
    const settings = [
      `Dir::State::status=${join(this.#directory, 'status')}`,
      `Dir::Cache::archives=${archives}`,
      'APT::Install-Recommends=0',
      'APT::Sandbox::User=root',
      'Debug::NoLocking=1',
    ];
    const options = settings.flatMap((setting) => ['-o', setting]);
    return runCommand('apt-get', [...options, '-y', '-qq', mode, 'install', ...wanted]);
  }
}
