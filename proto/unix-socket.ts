/**
 * A socket in the file system that is taken over from an earlier life of ours, and from nobody else. Which socket is ours says a file
 * beside it, `.NAME.podwright`, with the socket's device, inode and time of making; it is written before the socket has its name:
 *
 *     bind in a directory of our own ─▶ mode ─▶ the file beside says which inode ─▶ link to the name
 *
 * What is at the name otherwise stays: no socket, one that somebody answers, one that the file does not know.
 */
import {
  chmodSync,
  linkSync,
  lstatSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmdirSync,
  rmSync,
} from 'node:fs';
import { connect, type Server } from 'node:net';
import { basename, dirname, join } from 'node:path';
import { writeDurablySync } from '#base/durable-file.ts';
import { describeError, errnoOf, PodwrightError } from '#base/errors.ts';

/** Of sun_path (unix(7)), its end not counted. */
const pathBytesMax = 107;

/** A name that a server listens at. Disposing it removes the name, where it still is that server's. */
export interface TakenPath extends AsyncDisposable {
  readonly path: string;
}

/**
 * Has a server listen at a path, with these permission bits from the first moment.
 * @throws E_USAGE for what is no socket, not ours, or too long; E_BUSY where somebody answers there; E_PERMISSION
 */
export async function listenAtPath(
  server: Server,
  path: string,
  { mode = 0o600 }: { readonly mode?: number } = {},
): Promise<TakenPath> {
  const directory = makeDraftDirectory(path);
  using _directory = { [Symbol.dispose]: () => rmdirSync(directory) };

  const draft = join(directory, 's');
  await listen(server, draft);
  try {
    chmodSync(draft, mode);
    await clearAway(path, directory);
    const identity = identityOf(draft) ?? '';
    writeDurablySync(recordOf(path), identity, { survives: 'kill' });
    link(draft, path);
    return { path, [Symbol.asyncDispose]: async () => removeIfOwn(path, identity) };
  } catch (error) {
    server.close();
    throw error;
  } finally {
    rmSync(draft, { force: true });
  }
}

function makeDraftDirectory(path: string): string {
  const bytes = Buffer.byteLength(join(dirname(path), '.eXXXXXX', 's'));
  if (Math.max(bytes, Buffer.byteLength(path)) > pathBytesMax) {
    throw new PodwrightError(
      'E_USAGE',
      `listen at ${path}: a socket's path has ${pathBytesMax} bytes at most`,
    );
  }
  try {
    return mkdtempSync(join(dirname(path), '.e'));
  } catch (cause) {
    throw new PodwrightError('E_PERMISSION', `listen at ${path}: ${describeError(cause)}`, { cause });
  }
}

async function listen(server: Server, path: string): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  server.once('error', reject);
  server.listen({ path }, resolve);
  try {
    await promise;
  } catch (cause) {
    throw new PodwrightError('E_PERMISSION', `listen at ${path}: ${describeError(cause)}`, { cause });
  }
  server.off('error', reject);
}

/** Where the file beside says which socket is ours. */
export function recordOf(path: string): string {
  return join(dirname(path), `.${basename(path)}.podwright`);
}

/** Removes what an earlier life of ours left at the path. */
async function clearAway(path: string, directory: string): Promise<void> {
  const found = identityOf(path);
  if (found === undefined) return;
  if (!lstatSync(path).isSocket()) {
    throw new PodwrightError('E_USAGE', `listen at ${path}: that is no socket`);
  }
  if (await isAnswered(path)) {
    throw new PodwrightError('E_BUSY', `listen at ${path}: another process serves there`);
  }
  if (readRecord(path) !== found) {
    const why = 'a socket is there that podwright did not make; remove it if nobody uses it';
    throw new PodwrightError('E_USAGE', `listen at ${path}: ${why}`);
  }
  // Taken away under a name of our own, as somebody may have put another there meanwhile.
  const taken = join(directory, 'old');
  renameSync(path, taken);
  if (identityOf(taken) !== found) link(taken, path);
  rmSync(taken, { force: true });
}

function link(from: string, path: string): void {
  try {
    linkSync(from, path);
  } catch (cause) {
    const code = errnoOf(cause) === 'EEXIST' ? 'E_BUSY' : 'E_PERMISSION';
    throw new PodwrightError(code, `listen at ${path}: ${describeError(cause)}`, { cause });
  }
}

function removeIfOwn(path: string, identity: string): void {
  if (identityOf(path) === identity) rmSync(path, { force: true });
  if (readRecord(path) === identity) rmSync(recordOf(path), { force: true });
}

/** Numbers of inodes are used again: the time tells them apart. */
function identityOf(path: string): string | undefined {
  const stat = lstatSync(path, { bigint: true, throwIfNoEntry: false });
  return stat === undefined ? undefined : `${stat.dev}:${stat.ino}:${stat.mtimeNs}`;
}

function readRecord(path: string): string | undefined {
  try {
    return readFileSync(recordOf(path), 'utf8');
  } catch {
    return undefined; // None that says anything.
  }
}

/** Whether somebody listens on the socket. What does not say that nobody does counts as somebody. */
async function isAnswered(path: string): Promise<boolean> {
  const { promise, resolve } = Promise.withResolvers<boolean>();
  const socket = connect(path);
  socket.once('connect', () => resolve(true));
  socket.once('error', (error) => resolve(!['ECONNREFUSED', 'ENOENT'].includes(errnoOf(error) ?? '')));
  const answer = await promise;
  socket.destroy();
  return answer;
}
