/** What Debian's containerd makes of an image of a registry: a daemon of the test's own, with nothing outside its directory. */
import { spawn, execFileSync, type ChildProcess } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { once } from 'node:events';
import { systemClock } from '#base/clock.ts';

/** Where its programs are; Debian's package has them in /usr/bin. */
const programs = process.env['PODWRIGHT_CONTAINERD'] ?? '/usr/bin';

/** Tests that need it skip without. */
export const hasContainerd: boolean = existsSync(`${programs}/containerd`) && existsSync(`${programs}/ctr`);

/** Rows of which containerd 1.6 makes something else than GNU tar, or nothing; ours are as GNU tar's. */
export const containerdDiffers: ReadonlyMap<string, string> = new Map([
  ['kaniko: what comes instead stands before its whiteout', 'no such directory, when it sets its time'],
  ['kaniko: a whiteout below one', 'the parent is made anew for it'],
  ['kaniko: a directory is replaced by a link, and has whiteouts below it', 'they go by the link'],
  ['kaniko: a directory is replaced by a file, and has whiteouts below it', 'refused: no directory'],
  ['kaniko: a hard link to a file of a layer below', 'owner and mode of the link become the file’s'],
  ['Docker: a hard link to a device and a FIFO of a layer below', 'the same, of a device'],
  ['GNU tar -r: a directory is replaced by a file in one layer', 'refused: what was in it has gone'],
  ['Go: times with fractions, before 1970 and far ahead', 'before 1970 is 1970'],
  ['v7: no magic, directories by a slash', 'refused: a file below a file'],
  ['Solaris: pax records of type X', 'refused: unhandled type'],
  ['GNU tar --label: a volume label', 'refused: unhandled type'],
  ['GNU tar: a file that is contiguous', 'refused: unhandled type'],
  ['GNU tar --sparse: the old header', 'refused: unhandled type'],
  ['GNU tar --sparse: the old header with blocks that go on', 'refused: unhandled type'],
  ['GNU gzip: zeros behind the end', 'refused: no header of gzip'],
  ['pzstd: a frame to be skipped first', 'refused: no header of tar'],
]);

/** Whole copies of each layer's tree: nothing is mounted. */
const snapshotter = 'native';

export class Containerd implements AsyncDisposable {
  readonly #directory: string;
  readonly #daemon: ChildProcess;

  private constructor(directory: string, daemon: ChildProcess) {
    this.#directory = directory;
    this.#daemon = daemon;
  }

  static async start(directory: string): Promise<Containerd> {
    mkdirSync(directory, { recursive: true });
    const paths = `root = "${directory}/root"\nstate = "${directory}/state"\n`;
    const config = `version = 2\n${paths}disabled_plugins = ["io.containerd.grpc.v1.cri"]\n[grpc]\naddress = "${directory}/sock"\n`;
    writeFileSync(`${directory}/config.toml`, config);
    const daemon = spawn(`${programs}/containerd`, ['--config', `${directory}/config.toml`], {
      stdio: 'ignore',
    });
    const reference = new Containerd(directory, daemon);
    const deadline = AbortSignal.timeout(150_000);
    while (!reference.#isUp()) await systemClock.sleep(100, deadline);
    return reference;
  }

  /** Pulls from a registry of HTTP; the directory that holds the root of the image. @throws Error with containerd's words */
  unpack(reference: string, diffIds: readonly string[]): string {
    this.#ctr('images', 'pull', '--plain-http', '--snapshotter', snapshotter, reference);
    const top = chainIdOf(diffIds);
    const key = `view-${top}`;
    // `mount -t bind SOURCE TARGET -o ro,rbind`; the source is the image's, which stays when the view is collected.
    const command = this.#ctr('snapshots', '--snapshotter', snapshotter, 'view', '-t', '/target', key, top);
    const source = /(\/\S+) \/target/.exec(command)?.[1];
    if (source === undefined) throw new Error(`ctr snapshots mounts: ${command}`);
    return source;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const ended = once(this.#daemon, 'exit');
    this.#daemon.kill();
    await ended;
  }

  #isUp(): boolean {
    try {
      this.#ctr('version');
      return true;
    } catch {
      return false; // Not yet: nothing listens.
    }
  }

  #ctr(...args: readonly string[]): string {
    const all = ['--address', `${this.#directory}/sock`, '--namespace', 'quirks', ...args];
    return execFileSync(`${programs}/ctr`, all, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });
  }
}

/** By the OCI image specification (config.md, "Layer ChainID"). */
function chainIdOf(diffIds: readonly string[]): string {
  return diffIds.reduce(
    (chain, diffId) => `sha256:${createHash('sha256').update(`${chain} ${diffId}`).digest('hex')}`,
  );
}
