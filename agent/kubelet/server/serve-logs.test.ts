import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import http, { type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { systemClock } from '#base/clock.ts';
import { describeError } from '#base/errors.ts';
import { createFakeRuntime } from '#agent/runtime/runtime.fake.ts';
import { followersMax, serveLogs, type LogCall, type LogFollowers } from './serve-logs.ts';

const undo: (() => void)[] = [];
afterEach(() => {
  for (const step of undo.splice(0)) step();
});

/** A node's log of 20 MB behind an HTTP server; with what it knows of its followers. */
async function serve(): Promise<{
  readonly url: string;
  readonly followers: LogFollowers;
  readonly endings: readonly string[];
}> {
  const directory = mkdtempSync('/tmp/podwright-serve-logs-');
  undo.push(() => rmSync(directory, { recursive: true }));
  const path = `${directory}/0.log`;
  writeFileSync(path, `2026-11-20T08:27:50.594980853Z stdout F ${'x'.repeat(2_000)}\n`.repeat(10_000));
  const followers: LogFollowers = new Set();
  const endings: string[] = [];
  const runtime = createFakeRuntime({ clock: systemClock });
  const server = http.createServer((request, response) => {
    const follow = request.url === '/follow';
    const call: LogCall = {
      pod: { metadata: { uid: 'u' } },
      container: 'c',
      path,
      runId: 'r',
      follow,
      timestamps: false,
      tailLines: undefined,
      limitBytes: undefined,
      sinceTimeMs: undefined,
      stream: undefined,
    };
    const ports = {
      clock: systemClock,
      directories: { pods: '', podsMemory: '', volumes: '', logs: '', kubelet: '' },
      runtime,
      podByName: () => undefined,
      followers,
    };
    serveLogs(call, response, ports).then(
      () => endings.push('done'),
      (error: unknown) => endings.push(describeError(error)),
    );
  });
  undo.push(() => server.close());
  undo.push(() => server.closeAllConnections());
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, followers, endings };
}

describe('serveLogs()', () => {
  it('gives up when the client does, in the middle of a log', async () => {
    const { url, followers, endings } = await serve();
    const request = http.get(`${url}/follow`);
    const [response] = await once(request, 'response');
    expect(followers.size).toBe(1);
    response.destroy();
    await vi.waitFor(() => expect(endings).toEqual(['Premature close']), 60_000);
    expect(followers.size).toBe(0);
  });

  it('has a limit of followers, and says so', async () => {
    const { url, followers } = await serve();
    for (let n = 0; n < followersMax; n++) followers.add({} as ServerResponse);
    const answer = await fetch(`${url}/follow`);
    expect(answer.status).toBe(429);
    expect(await answer.text()).toMatch('1024 followers of logs on this node already');
    expect((await fetch(`${url}/`)).status).toBe(200);
  });
});
