/** Answers calls of our programs for their forwarders (native/launch/forwarder.ts): in the agent, or in a process that systemd starts. */
import { readlinkSync } from 'node:fs';
import { createServer, type Server, type Socket } from 'node:net';
import { timeoutSignal } from '#base/clock.ts';
import { PodwrightError } from '#base/errors.ts';
import {
  declinedMessage,
  decodeForwardedCall,
  encodeAnswer,
  takenMessage,
  type ForwardedCall,
} from '#native/launch/forwarder.ts';
import { peerUserOf } from '#native/sys/peer.ts';
import { answerCall, type ProgramPorts } from './answer-call.ts';
import { callTimeoutMs } from './call-timeout.ts';

/** Calls at a time; a runtime makes one per container that starts or ends. More run by themselves. */
const callsMax = 64;
/** A forwarder sends all that it has at once. */
const requestMsMax = 5_000;

export interface ResidentOptions {
  readonly ports: ProgramPorts;
  /** Told how many calls are under way, whenever that changes. */
  readonly onCalls?: (count: number) => void;
}

/** A server that is yet to listen. Closing it lets calls that it has taken end. */
export function createResident({ ports, onCalls }: ResidentOptions): Server {
  const home = ownNamespaces();
  let calls = 0;
  const count = (change: number): void => onCalls?.((calls += change));
  const server = createServer((socket) => {
    count(1);
    socket.once('close', () => count(-1));
    // A peer that breaks off, or the protocol, is told nothing.
    socket.on('error', () => undefined);
    void serve(socket, home, ports).catch(() => socket.destroy());
  });
  server.maxConnections = callsMax;
  return server;
}

async function serve(socket: Socket, home: Namespaces, ports: ProgramPorts): Promise<void> {
  const user = peerUserOf(socket);
  if (user !== 0 && user !== process.geteuid?.()) {
    socket.destroy();
    return;
  }
  const call = await receiveCall(socket);
  // Paths and links of another namespace mean something else here.
  if (call.netns !== home.netns || call.mountns !== home.mountns) {
    socket.end(declinedMessage);
    return;
  }
  if (socket.destroyed) return;
  socket.write(takenMessage);
  const gone = new AbortController();
  socket.once('close', () => gone.abort(new PodwrightError('E_CONNECTION', 'the caller went away')));
  const { program, env, input: stdin } = call;
  const signal = AbortSignal.any([timeoutSignal(callTimeoutMs), gone.signal]);
  const { exitCode, stdout } = await answerCall({ program, env, stdin }, ports, signal);
  socket.end(encodeAnswer(exitCode, stdout));
}

/** @throws what decodeForwardedCall does, E_TIMEOUT, E_CONNECTION */
function receiveCall(socket: Socket): Promise<ForwardedCall> {
  const { promise, resolve, reject } = Promise.withResolvers<ForwardedCall>();
  const chunks: Buffer[] = [];
  socket.setTimeout(requestMsMax, () => reject(new PodwrightError('E_TIMEOUT', 'receive forwarded call')));
  socket.once('close', () =>
    reject(new PodwrightError('E_CONNECTION', 'receive forwarded call: it broke off')),
  );
  const onData = (chunk: Buffer): void => {
    chunks.push(chunk);
    try {
      const call = decodeForwardedCall(chunks.length === 1 ? chunk : Buffer.concat(chunks));
      if (call === undefined) return;
      socket.off('data', onData).setTimeout(0).resume();
      resolve(call);
    } catch (error) {
      reject(error);
    }
  };
  socket.on('data', onData);
  return promise;
}

interface Namespaces {
  readonly netns: string;
  readonly mountns: string;
}

function ownNamespaces(): Namespaces {
  const read = (kind: string): string => readlinkSync(`/proc/thread-self/ns/${kind}`);
  return { netns: read('net'), mountns: read('mnt') };
}
