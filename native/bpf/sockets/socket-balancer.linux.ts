import { describeError, isPodwrightError, PodwrightError } from '#base/errors.ts';
import { nextTurn } from '#base/time-slice.ts';
import {
  attachOnly,
  BPF_CGROUP_INET4_CONNECT,
  BPF_CGROUP_INET4_GETPEERNAME,
  BPF_CGROUP_INET6_CONNECT,
  BPF_CGROUP_INET6_GETPEERNAME,
  cgroupPlace,
  detachNamed,
  ownedBy,
} from '#native/bpf/attach.linux.ts';
import type { Instruction } from '#native/bpf/instruction.ts';
import { BPF_PROG_TYPE_CGROUP_SOCK_ADDR, findMap, loadProgram, programInfo } from '#native/bpf/load.linux.ts';
import { createMap, putEntries, removeEntries } from '#native/bpf/map.linux.ts';
import { O_RDONLY } from '#native/sys/constants.ts';
import { openFd, type OwnedFd } from '#native/sys/fd.ts';
import type { BalancedFrontend, SocketBalancer } from './socket-balancer.ts';
import { socketMaps, SocketTable } from './socket-layout.ts';
import { compileConnect, compileGetPeerName } from './socket-program.ts';

interface SocketProgram {
  /** By which it is known to be ours. */
  readonly name: string;
  readonly type: number;
  readonly instructions: readonly Instruction[];
}

/** Names first: a socket that is led away without being able to say so is worse than one that is not. */
const programs: readonly SocketProgram[] = [
  { name: 'pw_peername4', type: BPF_CGROUP_INET4_GETPEERNAME, instructions: compileGetPeerName(4) },
  { name: 'pw_peername6', type: BPF_CGROUP_INET6_GETPEERNAME, instructions: compileGetPeerName(6) },
  { name: 'pw_connect4', type: BPF_CGROUP_INET4_CONNECT, instructions: compileConnect(4) },
  { name: 'pw_connect6', type: BPF_CGROUP_INET6_CONNECT, instructions: compileConnect(6) },
];

interface Maps extends Disposable {
  readonly frontends: OwnedFd;
  readonly backends: OwnedFd;
  readonly table: SocketTable;
}

/** The balancer of this kernel, for the processes below a cgroup (absolute path). */
export function createSocketBalancer(cgroup: string): SocketBalancer {
  let maps: Maps | undefined;
  return {
    replace: async (frontends) => {
      using stack = new DisposableStack();

      const fresh = stack.use(supported(openMaps));
      await fill(fresh, frontends);
      supported(() => attachAll(cgroup, fresh));
      maps?.[Symbol.dispose]();
      maps = fresh;
      stack.move();
    },
    change: async (frontends) => {
      if (maps === undefined)
        throw new PodwrightError('E_INTERNAL', 'balance connections: replace() is first');
      await fill(maps, frontends);
    },
    remove: () =>
      supported(() => {
        using directory = openFd(cgroup, O_RDONLY);

        for (const { name, type } of programs.toReversed()) detachNamed(cgroupPlace(directory, type), name);
        maps?.[Symbol.dispose]();
        maps = undefined;
      }),
    [Symbol.dispose]: () => maps?.[Symbol.dispose](),
  };
}

function openMaps(): Maps {
  using stack = new DisposableStack();

  const frontends = stack.use(createMap(socketMaps.frontends));
  const backends = stack.use(createMap(socketMaps.backends));
  const moved = stack.move();
  return { frontends, backends, table: new SocketTable(), [Symbol.dispose]: () => moved.dispose() };
}

/** In this order a connection finds at each moment all backends of a list, or the rules for Services. */
async function fill({ frontends, backends, table }: Maps, given: readonly BalancedFrontend[]): Promise<void> {
  const changes = table.take(given);
  for (const _ of putEntries(backends, changes.backendsPut)) await nextTurn();
  for (const _ of putEntries(frontends, changes.frontendsPut)) await nextTurn();
  for (const _ of removeEntries(frontends, changes.frontendsRemoved)) await nextTurn();
  for (const _ of removeEntries(backends, changes.backendsRemoved)) await nextTurn();
}

function attachAll(cgroup: string, { frontends, backends }: Maps): void {
  using stack = new DisposableStack();

  const directory = stack.use(openFd(cgroup, O_RDONLY));
  // What sockets were told survives an agent: its map is found again by the program that reads it.
  const peers = stack.use(earlierPeers(directory, stack) ?? createMap(socketMaps.peers));
  const loaded = loadAll({ frontends, backends, peers }, stack);
  for (const { type, program, name } of loaded) attachOnly(cgroupPlace(directory, type), program, name);
}

type LoadedProgram = SocketProgram & { readonly program: OwnedFd };

function loadAll(
  maps: Readonly<Record<keyof typeof socketMaps, OwnedFd>>,
  stack: DisposableStack,
): readonly LoadedProgram[] {
  const fds = Object.fromEntries(
    (['frontends', 'backends', 'peers'] as const).map((map) => [socketMaps[map].name, maps[map].fd]),
  );
  return programs.map((each) => {
    const options = { maps: fds, name: each.name, attachType: each.type };
    return {
      ...each,
      program: stack.use(loadProgram(BPF_PROG_TYPE_CGROUP_SOCK_ADDR, each.instructions, options)),
    };
  });
}

function earlierPeers(directory: OwnedFd, stack: DisposableStack): OwnedFd | undefined {
  for (const { name, type } of programs) {
    for (const program of ownedBy(cgroupPlace(directory, type), stack, name)) {
      const map = findMap(programInfo(program), socketMaps.peers.name);
      if (map !== undefined) return map;
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
    const { frontends, backends } = stack.use(openMaps());
    loadAll({ frontends, backends, peers: stack.use(createMap(socketMaps.peers)) }, stack);
    return undefined;
  } catch (error) {
    return describeError(error);
  }
}
