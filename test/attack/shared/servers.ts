/** API servers as processes of their own on loopback, which can be killed at any time and be told a wrong time. */
import { execFileSync, spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { createWriteStream, cpSync, existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

import { at, stringOf } from '#api/wire/json.ts';
import { systemClock } from '#base/clock.ts';
import { compileCachePath, repositoryRoot } from '#bin/paths.ts';
import { createHttpTransport } from '#client/http-transport.ts';
import { loadKubeconfig } from '#client/kubeconfig.ts';
import type { Transport } from '#client/transport.ts';

export interface ServerOptions {
  readonly name: string;
  /** Of 127.0.0.0/8: all servers of a cluster have one port. */
  readonly host: string;
  readonly port: number;
  readonly directory: string;
  /** Of `podwright server`, beside those of the place. */
  readonly args: readonly string[];
  /** shifted-clock.c, compiled; undefined: this server's clock is right. */
  readonly shiftedClock?: string | undefined;
}

const requestMs = 20_000;

/** One `podwright server`. */
export class CampaignServer implements AsyncDisposable {
  readonly name: string;
  /** That it ended though nobody killed it. */
  readonly endings: string[] = [];
  /** How often it ended before it served, as it does while the store has no leader: its unit starts it again. */
  failedStarts = 0;
  readonly #options: ServerOptions;
  #child: ChildProcess | undefined;
  #isReady = false;
  #isLeading = false;

  constructor(options: ServerOptions) {
    this.#options = options;
    this.name = options.name;
    mkdirSync(this.dataDir, { recursive: true, mode: 0o700 });
    if (options.shiftedClock !== undefined) writeFileSync(this.#clockFile, new Uint8Array(8));
  }

  get dataDir(): string {
    return join(this.#options.directory, this.name);
  }

  get isReady(): boolean {
    return this.#isReady;
  }

  get isRunning(): boolean {
    return this.#child !== undefined;
  }

  get isClockWrong(): boolean {
    return this.#options.shiftedClock !== undefined;
  }

  /** Whether it said that scheduler and controllers run there. */
  get isLeading(): boolean {
    return this.#isLeading;
  }

  /** Sets its wall clock apart from the machine's, at once. */
  shiftClock(ms: number): void {
    const bytes = Buffer.alloc(8);
    bytes.writeBigInt64LE(BigInt(ms));
    writeFileSync(this.#clockFile, bytes, { flag: 'r+' }); // In place: the server has the file mapped.
  }

  start(more: readonly string[] = []): void {
    const { host, port, args, shiftedClock } = this.#options;
    const listen = ['--listen', `${host}:${port}`, '--advertise-address', host];
    const program = [join(repositoryRoot, 'bin', 'podwright.ts'), 'server', '--data', this.dataDir];
    const clock =
      shiftedClock === undefined ? {} : { LD_PRELOAD: shiftedClock, SHIFTED_CLOCK: this.#clockFile };
    const child = spawn(
      process.execPath,
      ['--disable-warning=ExperimentalWarning', ...program, ...listen, ...args, ...more],
      { stdio: ['ignore', 'pipe', 'pipe'], env: { ...process.env, ...this.#environment(), ...clock } },
    );
    const log = createWriteStream(`${this.dataDir}.log`, { flags: 'a' });
    child.stderr.pipe(log, { end: false });
    createInterface({ input: child.stdout }).on('line', (line) => {
      log.write(`${line}\n`);
      this.#heed(line);
    });
    child.once('exit', (code, signal) => {
      log.end();
      if (this.#child !== child) return;
      if (this.#isReady) this.endings.push(`${this.name} ended by itself: ${code ?? signal}`);
      else this.failedStarts++;
      this.#forget();
    });
    this.#child = child;
  }

  async kill(signal: 'SIGKILL' | 'SIGTERM' = 'SIGKILL'): Promise<void> {
    const child = this.#child;
    this.#forget();
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    child.kill(signal);
    await once(child, 'exit');
  }

  /** As its administrator. The caller closes it. */
  connect(): Transport {
    const options = loadKubeconfig(join(this.dataDir, 'kubeconfig'), systemClock);
    return createHttpTransport({ ...options, requestTimeoutMs: requestMs });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.kill();
  }

  get #clockFile(): string {
    return `${this.dataDir}.clock`;
  }

  #environment(): Readonly<Record<string, string>> {
    return { NODE_COMPILE_CACHE: join(repositoryRoot, compileCachePath) };
  }

  #heed(line: string): void {
    if (!line.startsWith('{')) return;
    const message = stringOf(at(JSON.parse(line), 'msg'));
    if (message === 'serving') this.#isReady = true;
    if (message === 'scheduler and controllers run here') this.#isLeading = true;
    if (message === 'scheduler and controllers end here') this.#isLeading = false;
  }

  #forget(): void {
    this.#child = undefined;
    this.#isReady = false;
    this.#isLeading = false;
  }
}

const compiler = '/usr/bin/gcc';

/** Why no clock can be wrong; '' where there is a compiler. */
export const noCompiler: string = existsSync(compiler) ? '' : 'gcc is not installed';

export function compileShiftedClock(directory: string): string {
  const source = fileURLToPath(new URL('shifted-clock.c', import.meta.url));
  const library = join(directory, 'shifted-clock.so');
  execFileSync(compiler, ['-O2', '-shared', '-fPIC', '-o', library, source, '-ldl']);
  return library;
}

/** As the documentation says: servers of one cluster have one authority. */
export function shareAuthority(from: CampaignServer, to: CampaignServer): void {
  cpSync(join(from.dataDir, 'pki'), join(to.dataDir, 'pki'), { recursive: true });
}
