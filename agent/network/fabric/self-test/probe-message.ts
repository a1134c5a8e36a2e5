/**
 * What nodes ask each other to see whether packets of pods pass: a datagram of a size, which comes back as it was. Pure.
 *
 *   "pwfp" · kind u8 · 3 zeros · nonce u64 · bytes of a pattern to the end
 */
import { randomFillSync } from 'node:crypto';

const magic = 0x7077_6670;
const headerBytes = 16;
const kinds = { ask: 1, answer: 2 } as const;

/** The smallest there is. */
export const probeBytesMin: number = headerBytes;

/** Fresh, so that no answer to an earlier one is taken for its own. */
export function makeAsk(bytes: number): Buffer {
  const message = Buffer.alloc(Math.max(bytes, headerBytes));
  message.writeUInt32BE(magic, 0);
  message[4] = kinds.ask;
  randomFillSync(message, 8);
  return message;
}

/** What is sent back to an ask, in its own bytes: it is no larger. undefined: it is none. */
export function answerTo(message: Buffer): Buffer | undefined {
  if (message.length < headerBytes || message.readUInt32BE(0) !== magic || message[4] !== kinds.ask)
    return undefined;
  message[4] = kinds.answer;
  return message;
}

/** Whether it is the answer, byte for byte. */
export function isAnswerTo(message: Buffer, ask: Buffer): boolean {
  return (
    message.length === ask.length &&
    message[4] === kinds.answer &&
    message.compare(ask, 0, 4, 0, 4) === 0 &&
    message.compare(ask, 5, undefined, 5) === 0
  );
}
