import { describeError, isPodwrightError, PodwrightError } from '#base/errors.ts';
import { attachOnly, detachNamed, interfacePlace } from '#native/bpf/attach.linux.ts';
import { BPF_PROG_TYPE_SCHED_CLS, loadProgram } from '#native/bpf/load.linux.ts';
import { createMap, putEntries, removeEntries } from '#native/bpf/map.linux.ts';
import type { OwnedFd } from '#native/sys/fd.ts';
import { ifNameToIndex } from '#native/sys/libc.ts';
import type { PacketRedirector, PodLink } from './packet-redirector.ts';
import { encodeAddress, encodePod, encodeRoute, redirectMaps } from './redirect-layout.ts';
import { compileRedirect } from './redirect-program.ts';

const programName = 'pw_redirect';
const BPF_TCX_INGRESS = 46;

type Maps = Readonly<Record<keyof typeof redirectMaps, OwnedFd>>;

/** The redirector of this kernel, for interfaces of this thread's network namespace. An earlier agent's programs are replaced, cable by cable. */
export function createPacketRedirector(): PacketRedirector {
  const stack = new DisposableStack();
  let opened: { readonly maps: Maps; readonly program: OwnedFd } | undefined;
  let generation = 0;
  const routes = new Map<string, Buffer>();
  const open = (): NonNullable<typeof opened> => (opened ??= openProgram(stack));
  return {
    admit: (pod) =>
      supported(() => {
        const { maps, program } = open();
        const ifindex = indexOf(pod);
        attachOnly(interfacePlace(ifindex), program, programName);
        generation = (generation + 1) >>> 0;
        const value = encodePod({ ifindex, generation, mac: pod.mac });
        run(
          putEntries(
            maps.pods,
            pod.ips.map((ip) => ({ key: encodeAddress(ip), value })),
          ),
        );
      }),
    withdraw: (pod) =>
      supported(() => {
        // First what others send to it, then what it sends.
        if (opened !== undefined) run(removeEntries(opened.maps.pods, pod.ips.map(encodeAddress)));
        const ifindex = ifNameToIndex(pod.ifname);
        if (ifindex !== 0) detachNamed(interfacePlace(ifindex), programName);
      }),
    setRoutes: (wanted) =>
      supported(() => {
        const { maps } = open();
        const entries = wanted.map(encodeRoute);
        const keys = new Set(entries.map(({ key }) => key.toString('latin1')));
        for (const [text, key] of routes) {
          if (keys.has(text)) continue;
          run(removeEntries(maps.routes, [key]));
          routes.delete(text);
        }
        for (const entry of entries) {
          run(putEntries(maps.routes, [entry]));
          routes.set(entry.key.toString('latin1'), entry.key);
        }
      }),
    [Symbol.dispose]: () => stack.dispose(),
  };
}

/** To its end at once: few entries. */
function run(steps: Generator<void>): void {
  for (const _ of steps);
}

function openProgram(stack: DisposableStack): { readonly maps: Maps; readonly program: OwnedFd } {
  using opening = new DisposableStack();

  const maps = {
    pods: opening.use(createMap(redirectMaps.pods)),
    flows: opening.use(createMap(redirectMaps.flows)),
    routes: opening.use(createMap(redirectMaps.routes)),
  };
  const fds = Object.fromEntries(
    (['pods', 'flows', 'routes'] as const).map((map) => [redirectMaps[map].name, maps[map].fd]),
  );
  const program = opening.use(
    loadProgram(BPF_PROG_TYPE_SCHED_CLS, compileRedirect(), {
      maps: fds,
      name: programName,
      attachType: BPF_TCX_INGRESS,
    }),
  );
  stack.use(opening.move());
  return { maps, program };
}

function indexOf({ ifname }: PodLink): number {
  const index = ifNameToIndex(ifname);
  if (index === 0) throw new PodwrightError('E_NOT_FOUND', `redirect packets: no interface ${ifname}`);
  return index;
}

/** EINVAL: no tcx in this kernel. */
const refusals: ReadonlySet<unknown> = new Set(['EPERM', 'EACCES', 'EINVAL', 'ENOSYS', 'EOPNOTSUPP']);

function supported<T>(work: () => T): T {
  try {
    return work();
  } catch (error) {
    if (!isPodwrightError(error) || !refusals.has(error.detail['errno'])) throw error;
    throw new PodwrightError('E_UNSUPPORTED', `redirect packets: ${error.message}`, {
      cause: error,
      detail: error.detail,
    });
  }
}

/** Why this kernel cannot redirect packets; undefined: it can. Attaches nothing. */
export function packetRedirectorRefusal(): string | undefined {
  using stack = new DisposableStack();

  try {
    openProgram(stack);
    return undefined;
  } catch (error) {
    return describeError(error);
  }
}
