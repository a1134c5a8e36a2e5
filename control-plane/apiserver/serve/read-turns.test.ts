import { once } from 'node:events';
import { connect, type ServerHttp2Session } from 'node:http2';
import { Agent, request as requestHttp1 } from 'node:https';
import type { AddressInfo } from 'node:net';
import { describe, expect, test } from 'vitest';
import { silentLogger } from '#base/log.ts';
import { nextTurn } from '#base/time-slice.ts';
import { createAuthority } from '#control-plane/apiserver/pki/certificate.ts';
import { unknownShare, type ConnectionShare } from './connection-share.ts';
import { createHttpServer } from './http-server.ts';
import { readAheadMax, ReadTurns } from './read-turns.ts';
import { RequestTurns } from './request-turns.ts';
import { textResponse } from './respond.ts';

/** Connections that say whether they are read. */
class Connections {
  readonly reads = new ReadTurns();
  readonly read = new Map<string, boolean>();
  readonly #objects = new Map<string, object>();
  readonly #ends = new Map<string, () => void>();

  came(name: string, share: ConnectionShare): void {
    const connection = this.#objects.get(name) ?? {};
    this.#objects.set(name, connection);
    if (!this.read.has(name)) this.read.set(name, true);
    this.reads.came(connection, share, () => ({
      stopReading: () => void this.read.set(name, false),
      startReading: () => void this.read.set(name, true),
      onceEnded: (listener) => void this.#ends.set(name, listener),
    }));
  }

  end(name: string): void {
    this.#ends.get(name)?.();
    this.read.delete(name);
  }

  forget(name: string): void {
    this.reads.forget(this.#objects.get(name) ?? {});
  }

  notRead(prefix: string): string[] {
    return [...this.read]
      .filter(([name, isRead]) => name.startsWith(prefix) && !isRead)
      .map(([name]) => name);
  }
}

const tenant: ConnectionShare = { level: 'low', user: 'tenant' };
const other: ConnectionShare = { level: 'low', user: 'other' };
const node: ConnectionShare = { level: 'node-high', user: 'node' };

/** 200 connections of a tenant, and as much of what they asked as is read ahead. */
function flooded(): Connections {
  const connections = new Connections();
  for (let i = 0; i < 200; i++) connections.came(`tenant ${i}`, tenant);
  connections.came('other', other);
  connections.came('node', node);
  connections.came('new', unknownShare);
  for (let i = 0; i < readAheadMax; i++) connections.reads.waits(tenant);
  return connections;
}

async function drain({ reads }: Connections): Promise<void> {
  for (let i = 0; i < 100 && reads.isWaiting; i++) {
    await nextTurn();
    reads.goOn();
  }
}

describe('ReadTurns', () => {
  test('reads no more of a level of which enough waits, and others as before', () => {
    const connections = flooded();
    expect(connections.notRead('tenant')).toHaveLength(200);
    expect(connections.notRead('other')).toEqual(['other']);
    expect(connections.notRead('new'), 'may be of it').toEqual(['new']);
    expect(connections.notRead('node')).toEqual([]);
  });

  test('reads on when half has begun, some in each turn, users taking turns', async () => {
    const connections = flooded();
    await nextTurn();
    connections.reads.goOn();
    expect(connections.notRead('tenant')).toHaveLength(200);
    for (let i = 0; i < readAheadMax / 2; i++) connections.reads.begins(tenant);
    connections.reads.goOn();
    connections.reads.goOn();
    expect(connections.notRead('other')).toEqual([]);
    expect(connections.notRead('tenant')).toHaveLength(200 - (readAheadMax / 2 - 1));
    expect(connections.read.get('tenant 0')).toBe(true);
    await drain(connections);
    expect(connections.notRead('')).toEqual([]);
  });

  test('a connection counts for whom it asked for last', () => {
    const connections = flooded();
    connections.came('tenant 7', node);
    expect(connections.read.get('tenant 7'), 'nobody starts what was read nevertheless').toBe(false);
    for (let i = 0; i < readAheadMax; i++) connections.reads.waits(node);
    expect(connections.notRead('node')).toEqual(['node']);
  });

  test('what has ended, or brings something else, is none of them', async () => {
    const connections = flooded();
    connections.end('tenant 1');
    connections.forget('tenant 2');
    expect(connections.read.get('tenant 2')).toBe(true);
    for (let i = 0; i < readAheadMax; i++) connections.reads.begins(tenant);
    await drain(connections);
    expect(connections.read.has('tenant 1')).toBe(false);
    for (let i = 0; i < readAheadMax; i++) connections.reads.waits(tenant);
    expect(connections.read.get('tenant 2')).toBe(true);
    expect(connections.notRead('tenant')).toHaveLength(198);
  });
});

describe('a server', () => {
  test('reads of many connections only some ahead, and answers all', async () => {
    const serving = await createAuthority('test', Date.now());
    let [came, begun, most] = [0, 0, 0];
    const server = createHttpServer({
      ...{ turns: new RequestTurns(), serving, caCertPem: serving.certPem, logger: silentLogger },
      handle: async () => {
        begun++;
        for (const startMs = performance.now(); performance.now() - startMs < 1;);
        return textResponse(200, 'here');
      },
      upgrade: async () => {},
    });
    const count = (): void => void (most = Math.max(most, ++came - begun));
    server.prependListener('stream', count).prependListener('request', count);
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address() as AddressInfo;
    const served: ServerHttp2Session[] = [];
    server.on('session', (session: ServerHttp2Session) => served.push(session));
    const agents = Array.from(
      { length: 90 },
      () => new Agent({ keepAlive: true, rejectUnauthorized: false }),
    );
    const sessions = Array.from({ length: 90 }, () =>
      connect(`https://127.0.0.1:${port}`, { rejectUnauthorized: false }),
    );
    const askHttp1 = async (agent: Agent): Promise<number> => {
      const [answer] = await once(requestHttp1({ host: '127.0.0.1', port, agent }).end(), 'response');
      await once(answer.resume(), 'end');
      return answer.statusCode;
    };
    const askHttp2 = async (session: (typeof sessions)[number]): Promise<number> => {
      const stream = session.request({ ':path': '/' });
      const [head] = await once(stream, 'response');
      await once(stream.resume(), 'end');
      return head[':status'];
    };
    for (let round = 0; round < 4; round++) {
      const all = await Promise.all([...agents.map(askHttp1), ...sessions.map(askHttp2)]);
      expect(all.every((status) => status === 200)).toBe(true);
      if (round > 0) expect(most).toBeLessThan(readAheadMax * 1.5);
    }
    expect(came).toBe(720);
    // Connections that end while they are not read leave nothing to be read again.
    for (const session of sessions) {
      session.on('error', () => undefined);
      for (let i = 0; i < 4; i++) session.request({ ':path': '/' }).on('error', () => undefined);
    }
    await expect.poll(() => came).toBeGreaterThan(720);
    for (const session of served) session.destroy();
    for (const agent of agents) agent.destroy();
    const later = new Agent({ rejectUnauthorized: false });
    expect(await askHttp1(later)).toBe(200);
    server.close();
    await once(server, 'close');
  });
});
