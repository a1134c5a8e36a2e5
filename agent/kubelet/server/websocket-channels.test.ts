import { EventEmitter, once } from 'node:events';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import type { WebSocket } from 'ws';
import { createFakeClock } from '#base/clock.ts';
import { websocketChannels } from './websocket-channels.ts';
import { success } from './channels.ts';

const request = { stdin: true, stdout: true, stderr: true, tty: false };

function setUp(protocol: string, isSlow = false) {
  const sent: string[] = [];
  const socket = Object.assign(new EventEmitter(), {
    protocol,
    OPEN: 1,
    readyState: 1,
    resume: () => undefined,
    pause: () => undefined,
    close: () => socket.emit('close'),
    ping: () => setImmediate(() => socket.emit('pong')),
    send: (data: Buffer, _options: unknown, done: () => void) => {
      sent.push(data.toString());
      if (isSlow) setImmediate(done);
      else done();
    },
  });
  const clock = createFakeClock();
  return { socket, clock, sent, channels: websocketChannels(socket as unknown as WebSocket, request, clock) };
}

describe('websocketChannels()', () => {
  it('sends a client of v5 nothing before it has said something', async () => {
    const { socket, sent, channels } = setUp('v5.channel.k8s.io');
    channels.stdout?.write('a');
    channels.stderr?.write('b');
    expect(sent).toEqual([]);
    socket.emit('message', Buffer.from('\0input'));
    await nextTurn();
    expect(sent).toEqual(['\u{1}a', '\u{2}b']);
    channels.stdout?.write('c');
    expect(sent.at(-1)).toBe('\u{1}c');
  });

  it('or before a moment has passed since it reads', async () => {
    const { socket, clock, sent, channels } = setUp('v5.channel.k8s.io');
    channels.stdout?.write('a');
    const finished = channels.finish(success);
    clock.advance(100);
    await once(socket, 'pong');
    expect(sent).toEqual([]);
    clock.advance(25);
    await finished;
    expect(sent).toEqual(['\u{1}a', '\u{3}{"metadata":{},"status":"Success"}']);
  });

  it('or before a second has passed', async () => {
    const { clock, sent, channels } = setUp('v5.channel.k8s.io');
    channels.stdout?.write('a');
    clock.advance(1000);
    await nextTurn();
    expect(sent).toEqual(['\u{1}a']);
  });

  it('and a client of v4 at once', () => {
    const { sent, channels } = setUp('v4.channel.k8s.io');
    channels.stdout?.write('a');
    expect(sent).toEqual(['\u{1}a']);
  });

  it.each(['v5.channel.k8s.io', 'v4.channel.k8s.io'])(
    'sends all output before the status, however slow the socket is: %s',
    async (protocol) => {
      const { clock, sent, channels } = setUp(protocol, true);
      for (const text of ['a', 'b', 'c']) channels.stdout?.write(text);
      channels.stderr?.write('d');
      const ended = channels.finish(success);
      clock.advance(1000);
      await ended;
      expect(sent.filter((text) => text.startsWith('\u{1}'))).toEqual(['\u{1}a', '\u{1}b', '\u{1}c']);
      expect(sent).toContain('\u{2}d');
      expect(sent.at(-1)).toMatch('Success');
    },
  );
});
