import { createServer, type Server } from 'node:http';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { createFakeClock } from '#base/clock.ts';
import { startAudited, blocking } from './audit.fixture.ts';
import { Batching } from './batch.ts';
import type { AuditEvent } from './event.ts';
import { truncating, type AuditSink } from './sink.ts';

const event = (json: string, short?: string): AuditEvent => ({
  json,
  legacy: '',
  withoutBodies: short === undefined ? undefined : event(short),
});

function collecting(): AuditSink & { readonly batches: string[][] } {
  const batches: string[][] = [];
  return {
    batches,
    take: (events) => {
      batches.push(events.map(({ json }) => json));
      return true;
    },
    [Symbol.asyncDispose]: async () => {},
  };
}

const settled = (): Promise<void> => new Promise((resolve) => void setImmediate(resolve));

describe('Batching', () => {
  const options = { bufferSize: 4, batchSizeMax: 2, waitMsMax: 1000, throttle: undefined };

  it('sends a full batch at once, a part of one when it has waited, and what is left when it ends', async () => {
    const sink = collecting();
    const clock = createFakeClock();
    const batching = new Batching(sink, options, { clock, onLost: () => {}, atOnce: 1 });
    for (const name of ['a', 'b', 'c']) batching.take([event(name)]);
    await settled();
    expect(sink.batches).toEqual([['a', 'b']]);
    clock.advance(1000);
    await settled();
    expect(sink.batches).toEqual([['a', 'b'], ['c']]);
    batching.take([event('d')]);
    await batching[Symbol.asyncDispose]();
    expect(sink.batches).toEqual([['a', 'b'], ['c'], ['d']]);
  });

  it('loses what does not fit, and says so', async () => {
    const held = Promise.withResolvers<boolean>();
    const lost: string[] = [];
    const slow: AuditSink = { take: () => held.promise, [Symbol.asyncDispose]: async () => {} };
    const batching = new Batching(slow, options, {
      ...{ clock: createFakeClock(), atOnce: 1 },
      onLost: (count, why) => lost.push(`${count} ${why}`),
    });
    for (let count = 0; count < 8; count++) expect(batching.take([event('x')])).toBe(true);
    expect(lost).toEqual(['1 audit buffer queue blocked', '1 audit buffer queue blocked']);
    held.resolve(true);
    await batching[Symbol.asyncDispose]();
  });

  it('sends others while one is on its way, as many as it may', async () => {
    const [first, clock] = [Promise.withResolvers<boolean>(), createFakeClock()];
    const batches: string[][] = [];
    const sink: AuditSink = {
      take: (events) => {
        batches.push(events.map(({ json }) => json));
        return first.promise;
      },
      [Symbol.asyncDispose]: async () => {},
    };
    const batching = new Batching(
      sink,
      { ...options, bufferSize: 100 },
      { clock, onLost: () => {}, atOnce: 2 },
    );
    for (const name of ['a', 'b', 'c', 'd', 'e', 'f']) batching.take([event(name)]);
    await settled();
    expect(batches).toEqual([
      ['a', 'b'],
      ['c', 'd'],
    ]);
    first.resolve(true);
    await settled();
    expect(batches).toContainEqual(['e', 'f']);
    await batching[Symbol.asyncDispose]();
  });

  it('ends though nothing goes, and tells what is lost by it', async () => {
    const [clock, lost] = [createFakeClock(), [] as string[]];
    let isClosed = false;
    const stuck: AuditSink = {
      take: () => new Promise(() => {}),
      [Symbol.asyncDispose]: async () => void (isClosed = true),
    };
    const onLost = (count: number, why: string): unknown => lost.push(`${count} ${why}`);
    const batching = new Batching(stuck, options, { clock, onLost, atOnce: 1 });
    for (const name of ['a', 'b', 'c', 'd', 'e']) batching.take([event(name)]);
    const ended = batching[Symbol.asyncDispose]();
    await settled();
    expect(isClosed).toBe(false);
    clock.advance(10_000);
    await ended;
    expect([isClosed, lost]).toEqual([true, ['3 the server is stopping']]);
  });

  it('holds batches back that are more than it may send', async () => {
    const sink = collecting();
    const clock = createFakeClock();
    const throttle = { qps: 1, burst: 2 };
    const batching = new Batching(
      sink,
      { ...options, bufferSize: 100, batchSizeMax: 1, throttle },
      { clock, onLost: () => {}, atOnce: 1 },
    );
    for (const name of ['a', 'b', 'c', 'd']) batching.take([event(name)]);
    for (let turn = 0; turn < 8; turn++) await settled();
    expect(sink.batches.flat()).toEqual(['a', 'b']);
    clock.advance(1000);
    for (let turn = 0; turn < 8; turn++) await settled();
    expect(sink.batches.flat()).toEqual(['a', 'b', 'c']);
    await batching[Symbol.asyncDispose]();
    expect(sink.batches.flat()).toEqual(['a', 'b', 'c', 'd']);
  });
});

describe('truncating()', () => {
  it('leaves out bodies, drops what is too long even so, and divides batches', () => {
    const sink = collecting();
    const lost: number[] = [];
    const line = '{"kind":"Event","apiVersion":"audit.k8s.io/v1",\n'.length - 1;
    const bounds = { batchBytesMax: 2 * (line + 4), eventBytesMax: line + 4 };
    const cut = truncating(sink, bounds, (count) => lost.push(count));
    const taken = cut.take([
      event('aaaa'),
      event('bbbb'),
      event('ccccc', 'cc'),
      event('ddddd'),
      event('eeeee', 'eeeee'),
    ]);
    expect(sink.batches).toEqual([['aaaa', 'bbbb'], ['cc']]);
    expect(lost).toEqual([2]);
    expect([taken, cut.take([event('aaaa')])]).toEqual([false, true]);
  });
});

const everything = 'rules: [{ level: Metadata, namespaces: [default] }]';

describe('a disk that is full', () => {
  it('refuses requests in mode blocking-strict, and counts both', async () => {
    await using audited = await startAudited(everything, {
      log: { path: '/dev/full', mode: 'blocking-strict' },
    });

    const { call } = audited.test;
    const answer = await call('GET', '/api/v1/namespaces/default/pods');
    expect(answer.status).toBe(500);
    expect(answer.json).toMatchObject({
      reason: 'InternalError',
      message: 'Internal error occurred: failed to store audit event',
    });
    const { text } = await call('GET', '/metrics');
    expect(text).toMatch(/^apiserver_audit_requests_rejected_total 1$/m);
    expect(text).toMatch(/^apiserver_audit_error_total\{plugin="log"\} [12]$/m);
    expect(text).toMatch(/^apiserver_audit_level_total\{level="Metadata"\} \d+$/m);
    expect(text).toMatch(/^apiserver_audit_event_total \d+$/m);
  });

  it('refuses nobody in mode blocking', async () => {
    await using audited = await startAudited(everything, { log: { path: '/dev/full', mode: 'blocking' } });

    expect((await audited.test.call('GET', '/api/v1/namespaces/default/pods')).status).toBe(200);
    const { text } = await audited.test.call('GET', '/metrics');
    expect(text).toMatch(/^apiserver_audit_error_total\{plugin="log"\} [1-9]/m);
    expect(text).toMatch(/^apiserver_audit_requests_rejected_total 0$/m);
  });
});

describe('an event that is too long without its bodies', () => {
  const long = `/api/v1/namespaces/default/pods?about=${'a'.repeat(4_000)}`;
  const truncate = { batchBytesMax: 4_000, eventBytesMax: 4_000 };
  it.each([
    ['blocking-strict', 500],
    ['blocking', 200],
    ['batch', 200],
  ] as const)('is lost, and counted; in mode %s its request is answered %i', async (mode, status) => {
    await using audited = await startAudited(everything, { log: { mode, truncate } });

    const { call } = audited.test;
    expect((await call('GET', '/api/v1/namespaces/default/pods')).status).toBe(200);
    expect((await call('GET', long)).status).toBe(status);
    await expect
      .poll(async () => (await call('GET', '/metrics')).text)
      .toMatch(/^apiserver_audit_error_total\{plugin="truncate"\} [1-9]/m);
    expect(audited.texts().filter((text) => text.includes('aaaa'))).toEqual([]);
  });
});

describe('an audit webhook', () => {
  it('gets an EventList, again where it answered 500', async () => {
    const lists: { readonly kind: string; readonly items: readonly object[] }[] = [];
    let refusals = 1;
    const server: Server = createServer((request, response) => {
      let text = '';
      request.on('data', (chunk: Buffer) => (text += chunk.toString()));
      request.on('end', () => {
        response.statusCode = refusals-- > 0 ? 500 : 200;
        if (response.statusCode === 200) lists.push(JSON.parse(text));
        response.end();
      });
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address() as AddressInfo;
    const directory = mkdtempSync(join(tmpdir(), 'podwright-audit-hook-'));
    const kubeconfig = join(directory, 'hook');
    writeFileSync(
      kubeconfig,
      JSON.stringify({
        clusters: [{ name: 'a', cluster: { server: `http://127.0.0.1:${port}/audit` } }],
        users: [{ name: 'a', user: {} }],
        contexts: [{ name: 'a', context: { cluster: 'a', user: 'a' } }],
        'current-context': 'a',
      }),
    );
    {
      await using audited = await startAudited(everything, {
        webhook: { ...blocking, kubeconfig, initialBackoffMs: 1 },
      });

      await audited.test.call('GET', '/api/v1/namespaces/default/pods');
    }
    server.close();
    rmSync(directory, { recursive: true });
    expect(lists.map(({ kind }) => kind)).toEqual(lists.map(() => 'EventList'));
    const pods = lists
      .flatMap(({ items }) => items)
      .filter((item) => JSON.stringify(item).includes('/pods"'));
    expect(pods).toMatchObject([{ stage: 'RequestReceived' }, { stage: 'ResponseComplete' }]);
    expect(pods[0]).not.toHaveProperty('kind');
  });
});
