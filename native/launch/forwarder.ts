/**
 * The forwarder: a static C program of a few kilobytes that hands its call to a resident over a Unix socket, or runs it by itself
 * (forwarder/forwarder.c).
 *
 *   forwarder                                                            resident
 *    │── { headBytes u32, inputBytes u32 } head input ────────────────────▶ │   what was called
 *    │ ◀──────────────────────────────────────────── TAKEN { 1, 0 } ─────── │   from here on nobody else may do it
 *    │        or DECLINED { 2, 0 }, or the end: the forwarder does it itself │
 *    │ ◀──────────────── ANSWER { 3, length } exitCode u32 output ───────── │   or the end: the forwarder fails
 *
 * Integers are little-endian. The head is texts, each ended by a zero: path of the program, its network and its mount namespace as
 * /proc/self/ns has them, then variables of the environment, then an empty text. Nobody is believed who is not root or the same user.
 */
import { PodwrightError } from '#base/errors.ts';

export interface ForwarderConfig {
  /** Paths of sockets, asked in this order. */
  readonly sockets: readonly [string, string];
  /** What runs the call where nobody takes it: a program and its arguments, to which the forwarder's own path is added. */
  readonly program: readonly string[];
}

/** A call as its forwarder tells it. */
export interface ForwardedCall {
  readonly program: string;
  readonly netns: string;
  readonly mountns: string;
  readonly env: Readonly<Record<string, string>>;
  readonly input: string;
}

const mark = Buffer.from('podwright-forwarder-config:');
const configBytes = 2048; // forwarder.c
const argumentsMax = 16;
const headBytesMax = 1_048_576;
/** Of standard input, and of what is printed. */
export const forwardedBytesMax = 16_777_216;

/** A forwarder's file with its configuration in it. Pure. @throws E_LIMIT where it has no room for that, E_INVALID */
export function configureForwarder(binary: Buffer, { sockets, program }: ForwarderConfig): Buffer {
  const at = binary.indexOf(mark);
  if (at < 0) throw new PodwrightError('E_INVALID', 'configure forwarder: the binary is none');
  const texts = [...sockets, ...program];
  if (texts.some((text) => text.includes('\0')) || program.includes('')) {
    throw new PodwrightError(
      'E_INVALID',
      'configure forwarder: a path or argument with a zero, or without a byte',
    );
  }
  const config = Buffer.from(`${texts.join('\0')}\0\0`);
  if (config.length > configBytes - mark.length || program.length > argumentsMax) {
    throw new PodwrightError(
      'E_LIMIT',
      `configure forwarder: paths of ${config.length} bytes, at most ${configBytes - mark.length}; install at shorter paths`,
    );
  }
  const whole = Buffer.from(binary);
  whole.fill(0, at + mark.length, at + configBytes);
  config.copy(whole, at + mark.length);
  return whole;
}

export const isForwarder = (binary: Buffer): boolean => binary.includes(mark);

/** What has come of a call. `undefined`: not all yet. @throws E_INVALID, E_LIMIT: the peer is to be dropped */
export function decodeForwardedCall(data: Buffer): ForwardedCall | undefined {
  if (data.length < 8) return undefined;
  const [headBytes, inputBytes] = [data.readUInt32LE(0), data.readUInt32LE(4)];
  if (headBytes > headBytesMax || inputBytes > forwardedBytesMax)
    throw new PodwrightError('E_LIMIT', `read forwarded call: ${headBytes} and ${inputBytes} bytes`);
  if (data.length < 8 + headBytes + inputBytes) return undefined;
  const texts = data.toString('utf8', 8, 8 + headBytes).split('\0');
  const [program = '', netns = '', mountns = '', ...variables] = texts;
  if (program === '' || texts.at(-2) !== '')
    throw new PodwrightError('E_INVALID', 'read forwarded call: its head is not whole');
  const env = variables
    .filter((each) => each.includes('='))
    .map((each) => {
      const at = each.indexOf('=');
      return [each.slice(0, at), each.slice(at + 1)] as const;
    });
  const input = data.toString('utf8', 8 + headBytes, 8 + headBytes + inputBytes);
  return { program, netns, mountns, env: Object.fromEntries(env), input };
}

export const takenMessage: Buffer = message(1, 0);
export const declinedMessage: Buffer = message(2, 0);

export function encodeAnswer(exitCode: number, output: string): Buffer {
  const body = Buffer.from(output);
  const code = Buffer.alloc(4);
  code.writeUInt32LE(exitCode);
  return Buffer.concat([message(3, 4 + body.length), code, body]);
}

function message(type: number, length: number): Buffer {
  const header = Buffer.alloc(8);
  header.writeUInt32LE(type, 0);
  header.writeUInt32LE(length, 4);
  return header;
}
