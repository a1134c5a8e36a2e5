import { EventEmitter } from 'node:events';
import type { Http2SecureServer } from 'node:http2';
import { beforeEach, describe, expect, it } from 'vitest';
import { createFakeClock, type FakeClock } from '#base/clock.ts';
import { endQuietConnections } from './quiet-connections.ts';

class Socket extends EventEmitter {
  bytesRead = 0;
  isCut = false;
  destroy(): void {
    this.isCut = true;
    this.emit('close');
  }
}

class Session {
  destroyed = false;
  state = { lastProcStreamID: 0, effectiveRecvDataLength: 0 };
  readonly calls: string[] = [];
  close(): void {
    this.calls.push('close');
  }
  ping(): void {
    this.calls.push('ping');
  }
  destroy(): void {
    this.destroyed = true;
    this.calls.push('destroy');
  }
}

const lookMs = 5_000;

describe('endQuietConnections()', () => {
  let clock: FakeClock;
  let connect: () => { readonly socket: Socket; readonly session: Session };

  beforeEach(() => {
    clock = createFakeClock();
    const server = new EventEmitter();
    endQuietConnections(server as unknown as Http2SecureServer, clock, {
      idleMs: 90_000,
      answeringMs: 15_000,
      emptyBytesMax: 1_000,
    });
    connect = () => {
      const connection = { socket: new Socket(), session: new Session() };
      server.emit('secureConnection', connection.socket);
      server.emit('session', connection.session);
      return connection;
    };
  });

  it('cuts off a connection whose session has ended, when it has had time to end by itself', () => {
    const [lives, ends, closes] = [connect(), connect(), connect()];
    const areCut = (): readonly boolean[] => [lives, ends, closes].map(({ socket }) => socket.isCut);
    clock.advance(lookMs);
    for (const { session } of [ends, closes]) session.destroyed = true;
    clock.advance(lookMs);
    closes.socket.emit('close');
    expect(areCut()).toEqual([false, false, false]);
    clock.advance(lookMs);
    expect(areCut()).toEqual([false, true, false]);
    lives.session.destroyed = true;
    clock.advance(2 * lookMs);
    expect(areCut()).toEqual([true, true, false]);
  });

  it('asks a quiet client whether it is there, and cuts off one that is not', () => {
    const { session, socket } = connect();
    socket.bytesRead = 1;
    clock.advance(90_000);
    expect(session.calls).toEqual([]);
    clock.advance(lookMs);
    expect(session.calls).toEqual(['close', 'ping']);
    clock.advance(15_000);
    expect(session.calls).toEqual(['close', 'ping', 'destroy']);
    clock.advance(2 * lookMs);
    expect(socket.isCut).toBe(true);
  });

  it('asks one that answers again when it has been quiet as long again', () => {
    const { session, socket } = connect();
    clock.advance(90_000);
    socket.bytesRead = 17;
    clock.advance(90_000);
    expect(session.calls).toEqual(['close', 'ping']);
    clock.advance(lookMs);
    expect(session.calls).toEqual(['close', 'ping', 'close', 'ping']);
    expect(socket.isCut).toBe(false);
  });

  it('leaves one alone that says something now and then', () => {
    const { session, socket } = connect();
    for (let turn = 0; turn < 10; turn++) {
      socket.bytesRead++;
      clock.advance(80_000);
    }
    expect(session.calls).toEqual([]);
  });
});
