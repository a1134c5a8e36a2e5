import { EventEmitter } from 'node:events';
import { describe, expect, it } from 'vitest';
import type { WebSocket } from 'ws';
import { createFakeClock } from '#base/clock.ts';
import { websocketChannels } from './websocket-channels.ts';
import { success } from './channels.ts';

const request = { stdin: true, stdout: true, stderr: true, tty: false };

function setUp(protocol: string) {
  const sent: string[] = [];
  const socket = Object.assign(new EventEmitter(), {
    protocol,
    OPEN: 1,
    readyState: 1,
    resume: () => undefined,
    pause: () => undefined,
    close: () => socket.emit('close'),
    send: (data: Buffer, _options: unknown, done: () => void) => {
      sent.push(data.toString());
      done();
    },
  });
  const clock = createFakeClock();
  return { socket, clock, sent, channels: websocketChannels(socket as unknown as WebSocket, request, clock) };
}

describe('websocketChannels()', () => {
  it('sends a client of v5 nothing before it has said something', () => {
    const { socket, sent, channels } = setUp('v5.channel.k8s.io');
    channels.stdout?.write('a');
    channels.stderr?.write('b');
    expect(sent).toEqual([]);
    socket.emit('message', Buffer.from('\0input'));
    expect(sent).toEqual(['\u{1}a', '\u{2}b']);
    channels.stdout?.write('c');
    expect(sent.at(-1)).toBe('\u{1}c');
  });

  it('or before a moment has passed', async () => {
    const { clock, sent, channels } = setUp('v5.channel.k8s.io');
    channels.stdout?.write('a');
    const finished = channels.finish(success);
    expect(sent).toEqual([]);
    clock.advance(25);
    await finished;
    expect(sent).toEqual(['\u{1}a', '\u{3}{"metadata":{},"status":"Success"}']);
  });

  it('and a client of v4 at once', () => {
    const { sent, channels } = setUp('v4.channel.k8s.io');
    channels.stdout?.write('a');
    expect(sent).toEqual(['\u{1}a']);
  });
});
