import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { createFakeClock } from '#base/clock.ts';
import { isPodwrightError } from '#base/errors.ts';
import { createRandom } from '#base/random.fixture.ts';
import { openBus } from './bus.ts';
import { startFakeBus } from './bus.fixture.ts';
import { decodeMessage, encodeMessage, messageLength, type BusMessage } from './message.ts';

const message: BusMessage = {
  type: 'call',
  serial: 7,
  path: '/org/freedesktop/login1',
  interface: 'org.freedesktop.login1.Manager',
  member: 'Inhibit',
  destination: 'org.freedesktop.login1',
  signature: 'sbtiu',
  body: [
    { type: 's', value: 'wörd' },
    { type: 'b', value: true },
    { type: 't', value: 5_000_000n },
    { type: 'i', value: -1 },
    { type: 'u', value: 4_294_967_295 },
  ],
};

describe('messages', () => {
  test('come back as they went, whatever is behind them', () => {
    const bytes = encodeMessage(message);
    expect(messageLength(Buffer.concat([bytes, bytes]))).toBe(bytes.length);
    expect(decodeMessage(bytes)).toEqual(message);
  });

  /** A property, by the layout of the specification. */
  test('of others are read, variants too', () => {
    const head = Buffer.from('6c02010110000000050000000f000000', 'hex');
    const fields = Buffer.from('05017500030000000801670001760000', 'hex');
    const body = Buffer.from('01740000000000000040420f00000000', 'hex');
    const answer = decodeMessage(Buffer.concat([head, fields, body]));
    expect(answer).toMatchObject({ type: 'return', replySerial: 3, signature: 'v' });
  });

  test('that are damaged are refused, each cut and each changed byte', () => {
    const bytes = encodeMessage(message);
    for (let length = 0; length < bytes.length; length++)
      expect(messageLength(bytes.subarray(0, length))).toBe(undefined);
    const seed = Number(process.env['PODWRIGHT_FUZZ_SEED'] ?? 3);
    const random = createRandom(seed);
    for (let run = 0; run < 2000; run++) {
      const damaged = Buffer.from(bytes);
      damaged[Math.floor(random() * damaged.length)] = Math.floor(random() * 256);
      try {
        const length = messageLength(damaged);
        if (length !== undefined) decodeMessage(damaged.subarray(0, length));
      } catch (error) {
        if (!isPodwrightError(error)) throw new Error(`seed ${seed}, run ${run}`, { cause: error });
      }
    }
  });
});

describe('a connection to a bus', () => {
  let directory = '';
  beforeEach(() => void (directory = mkdtempSync(path.join(tmpdir(), 'bus-'))));
  afterEach(() => rmSync(directory, { recursive: true }));
  const clock = createFakeClock(0);
  const to = { destination: 'org.example', path: '/', interface: 'org.example' };

  test('calls, is answered, refused and told of signals', async () => {
    await using fake = await startFakeBus(path.join(directory, 'bus'), ({ member }) =>
      member === 'Add' ? [{ type: 'u', value: 3 }] : 'no such method',
    );
    const heard = Promise.withResolvers<BusMessage>();
    using bus = await openBus(fake.path, { clock, onSignal: heard.resolve });
    expect(await bus.call({ ...to, member: 'Add', arguments: [{ type: 's', value: '1+2' }] })).toEqual([
      { type: 'u', value: 3 },
    ]);
    await expect(bus.call({ ...to, member: 'Other' })).rejects.toThrow('call over D-Bus: no such method');
    fake.signal({
      path: '/',
      interface: 'org.example',
      member: 'Changed',
      body: [{ type: 'b', value: true }],
    });
    expect(await heard.promise).toMatchObject({ member: 'Changed', body: [{ type: 'b', value: true }] });
  });

  test('that ends tells whoever waits, and one that nobody answers is none', async () => {
    const fake = await startFakeBus(path.join(directory, 'bus'), () => []);
    using bus = await openBus(fake.path, { clock, onSignal: () => undefined });
    await fake[Symbol.asyncDispose]();
    await bus.closed;
    await expect(
      openBus(path.join(directory, 'none'), { clock, onSignal: () => undefined }),
    ).rejects.toMatchObject({
      code: 'E_CONNECTION',
    });
  });
});
