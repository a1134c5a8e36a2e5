import { EventEmitter } from 'node:events';
import type { Http2SecureServer } from 'node:http2';
import { describe, expect, it } from 'vitest';
import { createFakeClock } from '#base/clock.ts';
import { cutEndedSessions, endedSessionMs } from './ended-sessions.ts';

class Socket extends EventEmitter {
  isCut = false;
  destroy(): void {
    this.isCut = true;
    this.emit('close');
  }
}

describe('cutEndedSessions()', () => {
  it('cuts off a connection whose session has ended, when it has had time to end by itself', () => {
    const clock = createFakeClock();
    const server = new EventEmitter();
    cutEndedSessions(server as unknown as Http2SecureServer, clock);
    const connections = ['lives', 'ends', 'closes'].map((name) => {
      const [socket, session] = [new Socket(), { name, destroyed: false }];
      server.emit('secureConnection', socket);
      server.emit('session', session);
      return { socket, session };
    });
    const [lives, ends, closes] = connections;
    const areCut = (): readonly (boolean | undefined)[] => connections.map(({ socket }) => socket.isCut);
    clock.advance(endedSessionMs);
    for (const each of [ends, closes]) if (each !== undefined) each.session.destroyed = true;
    clock.advance(endedSessionMs);
    closes?.socket.emit('close');
    expect(areCut()).toEqual([false, false, false]);
    clock.advance(endedSessionMs);
    expect(areCut()).toEqual([false, true, false]);
    if (lives !== undefined) lives.session.destroyed = true;
    clock.advance(2 * endedSessionMs);
    expect(areCut()).toEqual([true, true, false]);
  });
});
