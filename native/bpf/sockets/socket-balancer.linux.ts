import { randomInt } from 'node:crypto';
import { describeError, isPodwrightError, PodwrightError } from '#base/errors.ts';
import { nextTurn } from '#base/time-slice.ts';
import {
  attachOnly,
  BPF_CGROUP_INET4_CONNECT,
  BPF_CGROUP_INET4_GETPEERNAME,
  BPF_CGROUP_INET6_CONNECT,
  BPF_CGROUP_INET6_GETPEERNAME,
  BPF_CGROUP_UDP4_RECVMSG,
  BPF_CGROUP_UDP4_SENDMSG,
  BPF_CGROUP_UDP6_RECVMSG,
  BPF_CGROUP_UDP6_SENDMSG,
  cgroupPlace,
  detachNamed,
  ownedBy,
} from '#native/bpf/attach.linux.ts';
import type { Instruction } from '#native/bpf/instruction.ts';
import { BPF_PROG_TYPE_CGROUP_SOCK_ADDR, findMap, loadProgram, programInfo } from '#native/bpf/load.linux.ts';
import { createMap, putEntries, removeEntries } from '#native/bpf/map.linux.ts';
import { O_RDONLY } from '#native/sys/constants.ts';
import { openFd, type OwnedFd } from '#native/sys/fd.ts';
import { compileReceiveMessage, compileSendMessage } from './datagram-program.ts';
import { moveConnected, takingRefusal } from './connected.linux.ts';
import {
  notMoved,
  type BalancedFrontend,
  type LedProtocol,
  type Moved,
  type SocketBalancer,
  type SocketEnd,
} from './socket-balancer.ts';
import { socketMaps, SocketTable } from './socket-layout.ts';
import { compileConnect, compileGetPeerName } from './socket-program.ts';

interface SocketProgram {
  /** By which it is known to be ours. */
  readonly name: string;
  readonly type: number;
  readonly instructions: readonly Instruction[];
}

/** Names first: a socket that is led away without being able to say so is worse than one that is not. */
const programsFor = (connected: readonly LedProtocol[]): readonly SocketProgram[] => [
  { name: 'pw_peername4', type: BPF_CGROUP_INET4_GETPEERNAME, instructions: compileGetPeerName(4) },
  { name: 'pw_peername6', type: BPF_CGROUP_INET6_GETPEERNAME, instructions: compileGetPeerName(6) },
  { name: 'pw_recvmsg4', type: BPF_CGROUP_UDP4_RECVMSG, instructions: compileReceiveMessage(4) },
  { name: 'pw_recvmsg6', type: BPF_CGROUP_UDP6_RECVMSG, instructions: compileReceiveMessage(6) },
  { name: 'pw_connect4', type: BPF_CGROUP_INET4_CONNECT, instructions: compileConnect(4, connected) },
  { name: 'pw_connect6', type: BPF_CGROUP_INET6_CONNECT, instructions: compileConnect(6, connected) },
  { name: 'pw_sendmsg4', type: BPF_CGROUP_UDP4_SENDMSG, instructions: compileSendMessage(4) },
  { name: 'pw_sendmsg6', type: BPF_CGROUP_UDP6_SENDMSG, instructions: compileSendMessage(6) },
];

/** For their names and places. */
const programs = programsFor(['tcp']);

/** Connections of UDP are led where they can be moved when their backend goes. */
const ledConnections = (): readonly LedProtocol[] =>
  takingRefusal() === undefined ? ['tcp', 'udp'] : ['tcp'];

/** Of each balancer. */
const ownMaps = ['frontends', 'backends', 'members'] as const;
/** What is kept with sockets survives an agent: these are found again by the programs that read them. */
const mapsOfSockets = ['peers', 'flows'] as const;

type MapName = keyof typeof socketMaps;

interface Maps extends Disposable {
  readonly fds: Readonly<Record<(typeof ownMaps)[number], OwnedFd>>;
  readonly table: SocketTable;
}

interface OpenBalancer extends Disposable {
  readonly maps: Maps;
  /** What connected sockets were told. */
  readonly peers: OwnedFd;
}

/** The balancer of this kernel, for the processes below a cgroup (absolute path). */
export function createSocketBalancer(cgroup: string): SocketBalancer {
  let open: OpenBalancer | undefined;
  const close = (): void => {
    open?.[Symbol.dispose]();
    open = undefined;
  };
  const move = ({ maps: { table }, peers }: OpenBalancer, gone?: readonly SocketEnd[]): Promise<Moved> =>
    moveConnected({
      ...{ cgroup, peers, mayStay: (frontend, backend) => table.hasMember(frontend, backend) },
      ...(gone === undefined ? {} : { gone }),
    });
  return {
    replace: async (frontends) => {
      using stack = new DisposableStack();

      const maps = stack.use(supported(openMaps));
      await fill(maps, frontends);
      const peers = stack.use(supported(() => attachAll(cgroup, maps)));
      const owned = stack.move();
      close();
      open = { maps, peers, [Symbol.dispose]: () => owned.dispose() };
      return move(open);
    },
    change: async (frontends) => {
      if (open === undefined)
        throw new PodwrightError('E_INTERNAL', 'balance connections: replace() is first');
      const gone = await fill(open.maps, frontends);
      return gone.length === 0 ? notMoved : move(open, gone);
    },
    remove: async () => {
      using stack = new DisposableStack();

      const peers = supported(() => {
        const directory = stack.use(openFd(cgroup, O_RDONLY));
        const found = findEarlier(directory, 'peers');
        for (const { name, type } of programs.toReversed()) detachNamed(cgroupPlace(directory, type), name);
        close();
        return found;
      });
      if (peers === undefined) return notMoved;
      // Nothing leads them any more: they come to what they asked for, as which rules have it.
      return await moveConnected({ cgroup, peers: stack.use(peers), mayStay: () => false });
    },
    [Symbol.dispose]: close,
  };
}

function openMaps(): Maps {
  using stack = new DisposableStack();

  const [frontends, backends, members] = [
    stack.use(createMap(socketMaps.frontends)),
    stack.use(createMap(socketMaps.backends)),
    stack.use(createMap(socketMaps.members)),
  ];
  const moved = stack.move();
  const table = new SocketTable(randomInt(2 ** 32));
  return { fds: { frontends, backends, members }, table, [Symbol.dispose]: () => moved.dispose() };
}

/** In this order a connection or a datagram finds at each moment all backends of a list, or the rules for Services. */
async function fill({ fds, table }: Maps, given: readonly BalancedFrontend[]): Promise<readonly SocketEnd[]> {
  const { frontends, backends, members } = fds;
  const changes = table.take(given);
  for (const _ of putEntries(members, changes.membersPut)) await nextTurn();
  for (const _ of putEntries(backends, changes.backendsPut)) await nextTurn();
  for (const _ of putEntries(frontends, changes.frontendsPut)) await nextTurn();
  for (const _ of removeEntries(frontends, changes.frontendsRemoved)) await nextTurn();
  for (const _ of removeEntries(backends, changes.backendsRemoved)) await nextTurn();
  for (const _ of removeEntries(members, changes.membersRemoved)) await nextTurn();
  return changes.gone;
}

/** @returns the map of peers, of the caller */
function attachAll(cgroup: string, { fds }: Maps): OwnedFd {
  using stack = new DisposableStack();
  using kept = new DisposableStack();

  const directory = stack.use(openFd(cgroup, O_RDONLY));
  const keep = (name: MapName): OwnedFd => findEarlier(directory, name) ?? createMap(socketMaps[name]);
  const peers = kept.use(keep('peers'));
  const loaded = loadAll({ ...fds, peers, flows: stack.use(keep('flows')) }, stack);
  for (const { type, program, name } of loaded) attachOnly(cgroupPlace(directory, type), program, name);
  kept.move();
  return peers;
}

type LoadedProgram = SocketProgram & { readonly program: OwnedFd };

function loadAll(maps: Readonly<Record<MapName, OwnedFd>>, stack: DisposableStack): readonly LoadedProgram[] {
  const fds = Object.fromEntries(
    [...ownMaps, ...mapsOfSockets].map((map) => [socketMaps[map].name, maps[map].fd]),
  );
  return programsFor(ledConnections()).map((each) => {
    const options = { maps: fds, name: each.name, attachType: each.type };
    return {
      ...each,
      program: stack.use(loadProgram(BPF_PROG_TYPE_CGROUP_SOCK_ADDR, each.instructions, options)),
    };
  });
}

/** A map of the programs that an earlier agent attached. */
function findEarlier(directory: OwnedFd, map: MapName): OwnedFd | undefined {
  using stack = new DisposableStack();

  for (const { name, type } of programs) {
    for (const program of ownedBy(cgroupPlace(directory, type), stack, name)) {
      const found = findMap(programInfo(program), socketMaps[map].name);
      if (found !== undefined) return found;
    }
  }
  return undefined;
}

/** EPERM: no CAP_BPF here, or a cgroup above that allows no other program; EINVAL: not built in, or a directory of another file system. */
const refusals: ReadonlySet<unknown> = new Set([
  'EPERM',
  'EACCES',
  'EINVAL',
  'ENOSYS',
  'EOPNOTSUPP',
  'EBADF',
]);

function supported<T>(work: () => T): T {
  try {
    return work();
  } catch (error) {
    if (!isPodwrightError(error) || !refusals.has(error.detail['errno'])) throw error;
    throw new PodwrightError('E_UNSUPPORTED', `balance connections: ${error.message}`, {
      cause: error,
      detail: error.detail,
    });
  }
}

/** Why this kernel cannot lead sockets; undefined: it can. Attaches nothing. */
export function socketBalancerRefusal(): string | undefined {
  using stack = new DisposableStack();

  try {
    const { fds } = stack.use(openMaps());
    const [peers, flows] = [stack.use(createMap(socketMaps.peers)), stack.use(createMap(socketMaps.flows))];
    loadAll({ ...fds, peers, flows }, stack);
    return undefined;
  } catch (error) {
    return describeError(error);
  }
}

/** Why connected sockets of UDP are left to the rules; undefined: they are led, too. */
export const connectedRefusal: () => string | undefined = takingRefusal;
