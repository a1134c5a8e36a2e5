/** Connected sockets of UDP, taken from the processes that have them: no program runs when one of them sends. */
import { Buffer } from 'node:buffer';
import { readdir, readFile, readlink } from 'node:fs/promises';
import { join } from 'node:path';
import { describeError, errnoOf, isPodwrightError } from '#base/errors.ts';
import { readEntry } from '#native/bpf/map.linux.ts';
import type { OwnedFd } from '#native/sys/fd.ts';
import { connectDatagrams } from '#native/sys/inet-socket.ts';
import { openPidfd, takeDescriptor } from '#native/sys/process.ts';
import type { IpFamily } from '#base/ip.ts';
import { encodeRemote, parseConnected, type ConnectedSocket } from './connected.ts';
import type { Moved, SocketEnd } from './socket-balancer.ts';
import { decodePeer, peerValue } from './socket-layout.ts';

export interface MoveOptions {
  readonly cgroup: string;
  /** What sockets were told. */
  readonly peers: OwnedFd;
  /** Only those that are connected to one of these; absent: all. */
  readonly gone?: readonly SocketEnd[];
  /** Whether one of that frontend may stay with that backend. */
  readonly mayStay: (frontend: SocketEnd, backend: SocketEnd) => boolean;
}

/**
 * Connects sockets that were led to a backend anew to what they asked for: the program of connect() then leads them to one that is there, and
 * without any the rules for Services have them. Who has a socket sees nothing of it but answers.
 */
export async function moveConnected(options: MoveOptions): Promise<Moved> {
  const failures: string[] = [];
  let count = 0;
  for (const pids of (await processesByNamespace(options.cgroup)).values())
    for (const family of [4, 6] as const) count += await moveIn(pids, { family, failures }, options);
  return { count, failures };
}

/** Those of a namespace, of a family. */
async function moveIn(
  pids: readonly number[],
  { family, failures }: { readonly family: IpFamily; readonly failures: string[] },
  options: MoveOptions,
): Promise<number> {
  const wanted = options.gone && new Set(options.gone.map((end) => encodeRemote(end, family)));
  const remotes = new Map(
    (await connectedSockets(pids, family))
      .filter(({ remote }) => wanted?.has(remote) !== false)
      .map(({ inode, remote }) => [`socket:[${inode}]`, remote]),
  );
  let count = 0;
  for await (const { socket, remote } of socketsOf(pids, remotes, failures)) {
    using taken = socket;
    try {
      if (moveOne(taken, { family, remote }, options)) count += 1;
    } catch (error) {
      failures.push(describeError(error));
    }
  }
  return count;
}

/** Whether it had to be moved. Who connects it elsewhere in this moment may find it moved nevertheless. */
function moveOne(
  socket: OwnedFd,
  { family, remote }: { readonly family: IpFamily; readonly remote: string },
  { peers, mayStay }: MoveOptions,
): boolean {
  const key = Buffer.alloc(4);
  key.writeUInt32LE(socket.fd);
  const value = readEntry(peers, key, peerValue.bytes);
  const peer = value && decodePeer(value);
  if (peer === undefined || encodeRemote(peer.backend, family) !== remote) return false;
  const { frontend, backend } = peer;
  if (mayStay(frontend, backend)) return false;
  const isMapped = family === 6 && !frontend.ip.includes(':');
  connectDatagrams(socket.fd, { ip: isMapped ? `::ffff:${frontend.ip}` : frontend.ip, port: frontend.port });
  return true;
}

/** Of a cgroup and those below: process ids by network namespace. */
async function processesByNamespace(cgroup: string): Promise<ReadonlyMap<string, readonly number[]>> {
  const byNamespace = new Map<string, number[]>();
  for await (const pid of processesOf(cgroup)) {
    const namespace = await ifThere(() => readlink(`/proc/${pid}/ns/net`));
    if (namespace === undefined) continue;
    const known = byNamespace.get(namespace);
    if (known === undefined) byNamespace.set(namespace, [pid]);
    else known.push(pid);
  }
  return byNamespace;
}

async function* processesOf(cgroup: string): AsyncGenerator<number> {
  const text = await ifThere(() => readFile(join(cgroup, 'cgroup.procs'), 'utf8'));
  for (const line of text?.split('\n') ?? []) if (line !== '') yield Number(line);
  for (const entry of (await ifThere(() => readdir(cgroup, { withFileTypes: true }))) ?? [])
    if (entry.isDirectory()) yield* processesOf(join(cgroup, entry.name));
}

async function connectedSockets(
  pids: readonly number[],
  family: IpFamily,
): Promise<readonly ConnectedSocket[]> {
  for (const pid of pids) {
    const text = await ifThere(() => readFile(`/proc/${pid}/net/${family === 4 ? 'udp' : 'udp6'}`, 'utf8'));
    if (text !== undefined) return parseConnected(text);
  }
  return [];
}

interface TakenSocket {
  readonly socket: OwnedFd;
  readonly remote: string;
}

/** Each once, however many processes have it. */
async function* socketsOf(
  pids: readonly number[],
  remotes: Map<string, string>,
  failures: string[],
): AsyncGenerator<TakenSocket> {
  for (const pid of pids) {
    if (remotes.size === 0) return;
    for (const fd of (await ifThere(() => readdir(`/proc/${pid}/fd`))) ?? []) {
      const name = (await ifThere(() => readlink(`/proc/${pid}/fd/${fd}`))) ?? '';
      const remote = remotes.get(name);
      if (remote === undefined) continue;
      try {
        const socket = take(pid, Number(fd));
        if (socket === undefined) continue;
        remotes.delete(name);
        yield { socket, remote };
      } catch (error) {
        if (!isPodwrightError(error, 'E_PERMISSION')) throw error;
        failures.push(describeError(error));
      }
    }
  }
}

function take(pid: number, fd: number): OwnedFd | undefined {
  using pidfd = openPidfd(pid);

  return pidfd && takeDescriptor(pidfd, fd);
}

/** Processes and their descriptors come and go. */
async function ifThere<T>(look: () => Promise<T>): Promise<T | undefined> {
  try {
    return await look();
  } catch (error) {
    if (['ENOENT', 'ESRCH', 'ENODEV', 'EINVAL'].includes(errnoOf(error) ?? '')) return undefined;
    throw error;
  }
}

/** Why descriptors of other processes cannot be taken here (pidfd_getfd(2) asks for the right to trace); undefined: they can. */
export function takingRefusal(): string | undefined {
  try {
    // In a PID namespace of its own it has no parent.
    take(process.ppid === 0 ? process.pid : process.ppid, 0)?.[Symbol.dispose]();
    return undefined;
  } catch (error) {
    return describeError(error);
  }
}
