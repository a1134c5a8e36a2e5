/** The Netlink port over rtnetlink sockets, in blocking calls that hold nothing open between them. */
import { closeSync, existsSync, mkdirSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { type Clock, systemClock } from '#base/clock.ts';
import { errnoOf, isPodwrightError } from '#base/errors.ts';
import { MS_BIND } from '#native/sys/constants.ts';
import { fromNodeError, kernelError } from '#native/sys/errno.ts';
import type { OwnedFd } from '#native/sys/fd.ts';
import { detachMount, mountAt } from '#native/sys/mount.ts';
import { threadNetnsPath, withFreshNetns, withNetns } from '#native/sys/namespace.ts';
import type { NetlinkSocket } from '#native/sys/socket.ts';
import { parseMessages } from './codec.ts';
import * as nl from './netlink-constants.ts';
import type {
  LinkNeighbours,
  NetEvent,
  Netlink,
  NetnsRef,
  NetOp,
  NetworkState,
  RoutingPolicy,
} from './netlink.ts';
import { opError } from './op-error.ts';
import { renderNetOp } from './render.ts';
import { openNetlinkSocket, RouteSocket } from './route-socket.linux.ts';
import {
  decodeAddress,
  decodeEvent,
  decodeLink,
  decodeNeighbour,
  decodeRoute,
  decodeRule,
  decodeTableRoute,
} from './rtnetlink-decode.ts';
import { createSpareNetns } from './spare-netns.linux.ts';
import { sysctlPath } from './sysctl.ts';
import { addTap } from './tap.linux.ts';

/**
 * How often a watch looks for events. libuv cannot poll a netlink socket, and a blocking read would hold a pool thread. Each look wakes the
 * processor for half a millisecond, also of a node that does nothing.
 */
const watchIntervalMs = 200;

/** Room for a burst of events (a node with 10,000 routes re-made) before the kernel drops some. */
const watchBufferBytes = 4_194_304;

export interface SyncNetlinkOptions {
  readonly clock?: Clock;
  /** Whether the next network namespace is made ahead of its use: for a process that makes many. */
  readonly keepsSpare?: boolean;
}

/**
 * The port with blocking calls inside its promises: for the Worker, and for programs that may block, such as CNI plugins
 * and the launcher of `up`. The agent's main thread uses worker.ts. Disposing ends what is still watched, and the spare.
 */
export function createSyncNetlink(options: SyncNetlinkOptions = {}): Netlink & AsyncDisposable {
  const { clock = systemClock, keepsSpare = false } = options;
  const spare = keepsSpare ? createSpareNetns(clock) : undefined;
  const watches = new Set<AsyncDisposable>();
  return {
    createNetns: async (path) => createNetns(path, spare?.take()),
    removeNetns: async (path) => removeNetns(path),
    apply: async (netns, ops) => applyOps(netns, ops),
    applyAll: async (changes) => changes.forEach(({ netns, ops }) => applyOps(netns, ops)),
    state: async (netns) => readState(netns),
    policy: async (netns) => readPolicy(netns),
    sysctls: async (netns, keys) => readSysctls(netns, keys),
    neighbours: async (netns, link) => readNeighbours(netns, link),
    watch: async (netns, onEvent) => {
      const watch = watchEvents(netns, onEvent, clock);
      watches.add(watch);
      return {
        [Symbol.asyncDispose]: async () => {
          watches.delete(watch);
          await watch[Symbol.asyncDispose]();
        },
      };
    },
    [Symbol.asyncDispose]: async () => {
      for (const watch of watches) await watch[Symbol.asyncDispose]();
      watches.clear();
      spare?.[Symbol.dispose]();
    },
  };
}

/** The file comes first, exclusively: two callers cannot both make the namespace, and a failure leaves no file behind. */
function createNetns(path: string, ownReady: OwnedFd | undefined): void {
  using ready = ownReady;
  const attempt = `create network namespace ${path}`;
  try {
    mkdirSync(dirname(path), { recursive: true });
    closeSync(openSync(path, 'wx', 0o444));
  } catch (error) {
    throw fromNodeError(error, attempt);
  }
  try {
    const pin = (source: string): void => mountAt({ source, target: path, flags: MS_BIND });
    if (ready === undefined) withFreshNetns(() => pin(threadNetnsPath));
    else pin(`/proc/thread-self/fd/${ready.fd}`);
  } catch (error) {
    rmSync(path, { force: true });
    throw error;
  }
}

/**
 * Unmounting is enough: with its last reference the kernel takes the namespace down in the background, veth peers
 * included (0.05 ms, where RTM_DELLINK of a veth blocks for 20: docs/kernel-notes.md).
 */
function removeNetns(path: string): void {
  detachMount(path);
  try {
    rmSync(path, { force: true });
  } catch (error) {
    throw fromNodeError(error, `remove network namespace ${path}`);
  }
}

function applyOps(netns: NetnsRef, ops: readonly NetOp[]): void {
  using route = new RouteSocket(netns);

  ops.forEach((op, index) => {
    try {
      if (op.op === 'setSysctl') setSysctl(netns, op);
      else if (op.op === 'addTap') addTap(netns, op);
      else if (op.op === 'ensureLink') ensureLink(route, op);
      else route.apply(op);
    } catch (error) {
      throw opError(explained(error, op), op, index);
    }
  });
}

/** Kernels are built without it, and say no more than EOPNOTSUPP. */
function explained(error: unknown, op: NetOp): unknown {
  const isOfVlans = op.op === 'setBridge' || op.op === 'addBridgeVlans';
  if (!isOfVlans || errnoOf(error) !== 'EOPNOTSUPP') return error;
  return kernelError(renderNetOp(op), 'EOPNOTSUPP', {
    why: 'this kernel lacks CONFIG_BRIDGE_VLAN_FILTERING',
  });
}

/** Made if missing; a link of the name must be of the kind, and gets the MTU and MAC asked for. */
function ensureLink(route: RouteSocket, op: Extract<NetOp, { readonly op: 'ensureLink' }>): void {
  try {
    route.apply(op);
    return;
  } catch (error) {
    if (!isPodwrightError(error, 'E_EXISTS')) throw error;
    const link = route.findLink(op.name);
    if (link === undefined) throw error; // It is the peer's name that is taken.
    if (link.kind !== op.link.kind) {
      throw kernelError(renderNetOp(op), 'EEXIST', { why: `it is a ${link.kind ?? 'physical link'}` });
    }
    const mtu = op.mtu !== undefined && op.mtu !== link.mtu ? { mtu: op.mtu } : {};
    const mac = op.mac !== undefined && op.mac.toLowerCase() !== link.mac ? { mac: op.mac } : {};
    if ('mtu' in mtu || 'mac' in mac) route.apply({ op: 'setLink', name: op.name, ...mtu, ...mac });
  }
}

function setSysctl(netns: NetnsRef, op: Extract<NetOp, { readonly op: 'setSysctl' }>): void {
  // /proc/sys/net shows the namespace of the task that opens the file: this thread's, since the call is synchronous.
  const write = (): void => {
    const path = sysctlPath(op.key);
    if (op.isOptional !== true || existsSync(path)) writeFileSync(path, op.value);
  };
  try {
    if (netns.kind === 'own') write();
    else withNetns(netns.path, write);
  } catch (error) {
    throw fromNodeError(error, renderNetOp(op));
  }
}

function readSysctls(netns: NetnsRef, keys: readonly string[]): readonly (string | undefined)[] {
  const read = (): readonly (string | undefined)[] =>
    keys.map((key) => {
      const path = sysctlPath(key);
      return existsSync(path) ? readFileSync(path, 'utf8').trimEnd() : undefined;
    });
  try {
    return netns.kind === 'own' ? read() : withNetns(netns.path, read);
  } catch (error) {
    throw fromNodeError(error, `read sysctls ${keys.join(', ')}`);
  }
}

function readState(netns: NetnsRef): NetworkState {
  using route = new RouteSocket(netns);

  return {
    links: route.dump('link', decodeLink),
    addresses: route.dump('address', decodeAddress),
    routes: route.dump('route', decodeRoute),
  };
}

function readPolicy(netns: NetnsRef): RoutingPolicy {
  using route = new RouteSocket(netns);

  const known = new Set([nl.RT_TABLE_MAIN, nl.RT_TABLE_LOCAL, nl.RT_TABLE_DEFAULT]);
  return {
    rules: route.dump('rule', decodeRule),
    routes: route.dump('route', decodeTableRoute).filter(({ table }) => !known.has(table)),
  };
}

/** The kernel gives those of all links, and of a bridge all that it has learned. */
function readNeighbours(netns: NetnsRef, name: string): LinkNeighbours {
  using route = new RouteSocket(netns);

  const link = route.findLink(name);
  if (link === undefined) return { neighbours: [], forwarding: [] };
  const entries = (what: 'neighbour' | 'forwarding'): readonly { address: string; mac: string }[] =>
    route
      .dump(what, decodeNeighbour)
      .flatMap(({ linkIndex, isPermanent, address, mac }) =>
        linkIndex === link.index && isPermanent && address !== undefined && mac !== undefined
          ? [{ address, mac }]
          : [],
      );
  return {
    neighbours: entries('neighbour'),
    forwarding: entries('forwarding').map(({ mac, address }) => ({ mac, remote: address })),
  };
}

/** The timer does not keep the process alive. */
function watchEvents(netns: NetnsRef, onEvent: (event: NetEvent) => void, clock: Clock): AsyncDisposable {
  const groups =
    nl.RTMGRP_LINK |
    nl.RTMGRP_NEIGH |
    nl.RTMGRP_IPV4_IFADDR |
    nl.RTMGRP_IPV6_IFADDR |
    nl.RTMGRP_IPV4_ROUTE |
    nl.RTMGRP_IPV6_ROUTE;
  const socket = openNetlinkSocket(netns, nl.NETLINK_ROUTE, groups);
  socket.reserve({ receiveBytes: watchBufferBytes });
  let isOpen = true;
  const look = (): void => {
    for (const event of drainEvents(socket)) {
      if (isOpen) onEvent(event);
    }
    if (isOpen) timer = clock.after(watchIntervalMs, look);
  };
  let timer = clock.after(watchIntervalMs, look);
  return {
    [Symbol.asyncDispose]: async () => {
      isOpen = false;
      timer[Symbol.dispose]();
      socket[Symbol.dispose]();
    },
  };
}

/** The events that wait now. */
function drainEvents(socket: NetlinkSocket): readonly NetEvent[] {
  const events: NetEvent[] = [];
  for (;;) {
    try {
      const data = socket.receiveNow();
      if (data === undefined) return events;
      for (const message of parseMessages(data)) {
        const event = decodeEvent(message);
        if (event !== undefined) events.push(event);
      }
    } catch (error) {
      if (errnoOf(error) !== 'ENOBUFS') throw error;
      events.push({ kind: 'overrun' });
    }
  }
}
