import { createSocket } from 'node:dgram';
import type { Clock } from '#base/clock.ts';
import { errnoOf } from '#base/errors.ts';
import type { IpFamily } from '#base/ip.ts';
import { inetSocket } from '#native/sys/inet-socket.ts';
import type { Reply } from './diagnose.ts';
import { answerTo, isAnswerTo, makeAsk } from './probe-message.ts';

export interface EchoSocketOptions {
  /** Path of the network namespace; absent: the process's own. */
  readonly netns?: string;
  readonly family: IpFamily;
  readonly ip: string;
  readonly port: number;
  readonly hasNoChecksum?: boolean;
  /** Who is answered: nobody else learns that anybody is here. */
  readonly isKnown: (ip: string) => boolean;
  /** An answer is waited for so long. */
  readonly answerMs: number;
  readonly clock: Clock;
}

/** Asks, and answers. */
export interface EchoSocket extends Disposable {
  /** An IP packet of so many bytes, not to be cut, to the socket of the same port at `ip`. */
  ask(ip: string, packetBytes: number): Promise<Reply>;
}

/** Bytes of IP and UDP headers. */
const headerBytes: Readonly<Record<IpFamily, number>> = { 4: 28, 6: 48 };
/** An answer is asked for so often: one lost packet is no fault. */
const triesMax = 2;

/** @throws E_NOT_FOUND where the address is not there, E_BUSY where the port is taken */
export function openEchoSocket(options: EchoSocketOptions): EchoSocket {
  const { netns, family, ip, port, hasNoChecksum = false, isKnown, clock, answerMs } = options;
  const bind = { ip, port };
  const where = netns === undefined ? {} : { netns };
  const fd = inetSocket({ ...where, kind: 'datagram', family, bind, isWhole: true, hasNoChecksum }).takeFd();
  const socket = createSocket(family === 4 ? 'udp4' : 'udp6');
  const waiting = new Set<(message: Buffer) => void>();
  socket.on('error', () => undefined); // An ICMP error of a datagram: its asker hears nothing, and says so.
  socket.on('message', (message, from) => {
    if (!isKnown(from.address)) return;
    const answer = answerTo(message);
    if (answer === undefined) for (const take of waiting) take(message);
    else socket.send(answer, from.port, from.address, () => undefined);
  });
  socket.bind({ fd });
  socket.unref();
  const askOnce = async (to: string, ask: Buffer): Promise<Reply> => {
    const { promise, resolve } = Promise.withResolvers<Reply>();
    const take = (message: Buffer): void => {
      if (isAnswerTo(message, ask)) resolve('answered');
    };
    waiting.add(take);
    using _late = clock.after(answerMs, () => resolve('silent'));
    socket.send(ask, port, to, (error) => {
      if (error !== null) resolve(errnoOf(error) ?? 'silent');
    });
    try {
      return await promise;
    } finally {
      waiting.delete(take);
    }
  };
  return {
    ask: async (to, packetBytes) => {
      let reply: Reply = 'silent';
      for (let tries = 0; tries < triesMax && reply === 'silent'; tries++)
        reply = await askOnce(to, makeAsk(packetBytes - headerBytes[family]));
      return reply;
    },
    [Symbol.dispose]: () => socket.close(),
  };
}
