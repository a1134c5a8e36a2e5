import { constants, open, readdir, realpath, type FileHandle } from 'node:fs/promises';
import type { ServerResponse } from 'node:http';
import path from 'node:path';
import { pipeline } from 'node:stream/promises';
import { errnoOf } from '#base/errors.ts';

/** Names that a directory shows at most. */
const namesMax = 10_000;

/** A directory below a root as links, or a file of it; what leads out of the root is not there. */
export async function serveFiles(
  root: string,
  names: readonly string[],
  response: ServerResponse,
): Promise<void> {
  const found = await locate(root, names);
  if (found === undefined) return notFound(response);
  await using file = await openFile(found);

  if (file === undefined) return notFound(response);
  const facts = await file.stat();
  if (facts.isDirectory()) {
    const entries = await readdir(found, { withFileTypes: true });
    const lines = entries
      .slice(0, namesMax)
      .map((entry) => (entry.isDirectory() ? `${entry.name}/` : entry.name))
      .toSorted()
      .map((name) => `<a href="${encodeURI(name)}">${escapeHtml(name)}</a>\n`);
    const body = `<pre>\n${lines.join('')}</pre>\n`;
    response.writeHead(200, {
      'content-type': 'text/html; charset=utf-8',
      'content-length': Buffer.byteLength(body),
    });
    response.end(body);
    return;
  }
  // A pipe or a device would keep the answer open for ever.
  if (!facts.isFile()) return notFound(response);
  response.writeHead(200, {
    'content-type': 'text/plain; charset=utf-8',
    'content-length': facts.size,
    'last-modified': facts.mtime.toUTCString(),
  });
  if (facts.size === 0) return void response.end();
  await pipeline(file.createReadStream({ start: 0, end: facts.size - 1, autoClose: false }), response);
}

async function locate(root: string, names: readonly string[]): Promise<string | undefined> {
  if (names.some((name) => name === '..' || name.includes('/') || name.includes('\0'))) return undefined;
  try {
    const whole = await realpath(root);
    const found = await realpath(path.join(whole, ...names));
    return found === whole || found.startsWith(`${whole}/`) ? found : undefined;
  } catch (error) {
    if (['ENOENT', 'ENOTDIR', 'ELOOP', 'ENAMETOOLONG'].includes(errnoOf(error) ?? '')) return undefined;
    throw error;
  }
}

async function openFile(file: string): Promise<FileHandle | undefined> {
  try {
    return await open(file, openFlags);
  } catch (error) {
    if (['ENOENT', 'EACCES', 'ENXIO'].includes(errnoOf(error) ?? '')) return undefined;
    throw error;
  }
}

/** O_RDONLY | O_NONBLOCK | O_NOFOLLOW: opening a pipe waits for nobody. */
const openFlags = constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOFOLLOW;

function notFound(response: ServerResponse): void {
  response.writeHead(404, { 'content-type': 'text/plain; charset=utf-8' });
  response.end('404 page not found\n');
}

function escapeHtml(text: string): string {
  return text
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;')
    .replaceAll('"', '&#34;');
}
