/** A connection to a message bus: calls and signals (D-Bus Specification, "Authentication Protocol", "Message Bus Specification"). */
import { connect, type Socket } from 'node:net';
import type { Clock } from '#base/clock.ts';
import { PodwrightError } from '#base/errors.ts';
import { decodeMessage, encodeMessage, messageLength, type BusArgument, type BusMessage } from './message.ts';

export const systemBus = '/run/dbus/system_bus_socket';

export interface BusCall {
  readonly destination: string;
  readonly path: string;
  readonly interface: string;
  readonly member: string;
  readonly arguments?: readonly BusArgument[];
}

export interface Bus extends Disposable {
  /** @throws {E_CONNECTION} with the words of who was called, {E_TIMEOUT} */
  call(call: BusCall): Promise<readonly BusArgument[]>;
  /** Resolves when the connection is over, for whatever reason. */
  readonly closed: Promise<void>;
}

const callTimeoutMs = 10_000;

export interface BusListener {
  readonly clock: Clock;
  readonly onSignal: (message: BusMessage) => void;
}

/** As who this process is. Told of every signal that `AddMatch` asked for. @throws {E_CONNECTION} */
export async function openBus(path: string, listener: BusListener): Promise<Bus> {
  const socket = connect(path);
  try {
    await authenticate(socket, path);
  } catch (error) {
    socket.destroy();
    throw error;
  }
  const bus = new Connection(socket, listener);
  const own = { destination: 'org.freedesktop.DBus', path: '/org/freedesktop/DBus' };
  await bus.call({ ...own, interface: 'org.freedesktop.DBus', member: 'Hello' });
  return bus;
}

/** SASL EXTERNAL: the kernel tells the bus who we are. */
async function authenticate(socket: Socket, path: string): Promise<void> {
  const answer = Promise.withResolvers<void>();
  const fail = (cause: unknown): void =>
    answer.reject(
      new PodwrightError('E_CONNECTION', `connect to D-Bus at ${path}: ${String(cause)}`, { cause }),
    );
  const onClose = (): void => fail('it hung up');
  socket.once('error', fail);
  socket.once('close', onClose);
  let text = '';
  const onData = (chunk: Buffer): void => {
    text += chunk.toString('latin1');
    if (text.startsWith('OK ') && text.endsWith('\r\n')) answer.resolve();
    else if (text.length > 4096 || text.endsWith('\r\n')) fail(`it says ${text.slice(0, 100).trim()}`);
  };
  socket.on('data', onData);
  const uid = Buffer.from(String(process.getuid?.() ?? 0)).toString('hex');
  socket.write(`\0AUTH EXTERNAL ${uid}\r\n`);
  try {
    await answer.promise;
  } finally {
    socket.off('error', fail);
    socket.off('close', onClose);
    socket.off('data', onData);
  }
  socket.write('BEGIN\r\n');
}

class Connection implements Bus {
  readonly closed: Promise<void>;
  readonly #socket: Socket;
  readonly #pending = new Map<number, PromiseWithResolvers<readonly BusArgument[]>>();
  readonly #listener: BusListener;
  #serial = 0;
  #received = Buffer.alloc(0);

  constructor(socket: Socket, listener: BusListener) {
    this.#socket = socket;
    this.#listener = listener;
    const end = Promise.withResolvers<void>();
    this.closed = end.promise;
    socket.on('data', (chunk: Buffer) => this.#receive(chunk));
    socket.on('error', () => socket.destroy());
    socket.on('close', () => {
      const error = new PodwrightError('E_CONNECTION', 'call over D-Bus: the connection is closed');
      for (const waiting of this.#pending.values()) waiting.reject(error);
      this.#pending.clear();
      end.resolve();
    });
  }

  async call(call: BusCall): Promise<readonly BusArgument[]> {
    const serial = ++this.#serial;
    const answer = Promise.withResolvers<readonly BusArgument[]>();
    this.#pending.set(serial, answer);
    const { arguments: body = [], ...to } = call;
    using _late = this.#listener.clock.after(callTimeoutMs, () =>
      answer.reject(new PodwrightError('E_TIMEOUT', `call ${call.member} over D-Bus: no answer`)),
    );
    this.#socket.write(encodeMessage({ type: 'call', serial, ...to, body }));
    try {
      return await answer.promise;
    } finally {
      this.#pending.delete(serial);
    }
  }

  [Symbol.dispose](): void {
    this.#socket.destroy();
  }

  #receive(chunk: Buffer): void {
    this.#received = Buffer.concat([this.#received, chunk]);
    try {
      for (;;) {
        const length = messageLength(this.#received);
        if (length === undefined) return;
        this.#take(decodeMessage(this.#received.subarray(0, length)));
        this.#received = this.#received.subarray(length);
      }
    } catch {
      this.#socket.destroy(); // What cannot be read has no next message: whoever waits is told of the end.
    }
  }

  #take(message: BusMessage): void {
    if (message.type === 'signal') this.#listener.onSignal(message);
    const waiting = this.#pending.get(message.replySerial ?? 0);
    if (message.type === 'return') waiting?.resolve(message.body);
    if (message.type !== 'error') return;
    const [words] = message.body;
    const why = words?.type === 's' ? words.value : (message.errorName ?? 'an error');
    waiting?.reject(new PodwrightError('E_CONNECTION', `call over D-Bus: ${why}`));
  }
}
