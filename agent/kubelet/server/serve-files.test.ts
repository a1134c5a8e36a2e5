import { execFileSync } from 'node:child_process';
import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import http from 'node:http';
import type { AddressInfo } from 'node:net';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { scratchDirectory } from '#base/scratch-directory.fixture.ts';
import { serveFiles } from './serve-files.ts';

describe('serveFiles()', () => {
  const scratch = scratchDirectory('podwright-files-');
  const root = path.join(scratch, 'root');
  const server = http.createServer((request, response) => {
    const names = (request.url ?? '').split('/').filter(Boolean).map(decodeURIComponent);
    serveFiles(root, names, response).catch((error: unknown) => response.destroy(Object(error)));
  });
  beforeAll(async () => {
    mkdirSync(path.join(root, 'pods'), { recursive: true });
    writeFileSync(path.join(root, 'pods', '0.log'), 'one\n');
    writeFileSync(path.join(root, 'empty'), '');
    writeFileSync(path.join(scratch, 'secret'), 'no');
    symlinkSync('pods/0.log', path.join(root, 'link'));
    symlinkSync('../secret', path.join(root, 'out'));
    execFileSync('mkfifo', [path.join(root, 'pipe')]);
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  });
  afterAll(() => {
    server.close();
  });

  it.each([
    [
      '/',
      200,
      '<pre>\n<a href="empty">empty</a>\n<a href="link">link</a>\n<a href="out">out</a>\n<a href="pipe">pipe</a>\n<a href="pods/">pods/</a>\n</pre>\n',
    ],
    ['/pods/0.log', 200, 'one\n'],
    ['/link', 200, 'one\n'],
    ['/empty', 200, ''],
    ['/out', 404, '404 page not found\n'],
    ['/pipe', 404, '404 page not found\n'],
    ['/%2e%2e/secret', 404, '404 page not found\n'],
    ['/pods%2f0.log', 404, '404 page not found\n'],
    ['/none', 404, '404 page not found\n'],
  ])('%s: %s', async (target, status, body) => {
    const { port } = server.address() as AddressInfo;
    const { promise, resolve } = Promise.withResolvers<readonly [number | undefined, string]>();
    http.get({ host: '127.0.0.1', port, path: target }, (answer) => {
      let text = '';
      answer.on('data', (chunk) => (text += String(chunk)));
      answer.on('end', () => resolve([answer.statusCode, text]));
    });
    expect(await promise).toEqual([status, body]);
  });
});
