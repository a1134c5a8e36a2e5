import { queryBoolean } from '#api/wire/query.ts';
import type { StreamRequest } from './channels.ts';
import { findPod, findRunning, isProblem, type ContainerSearch, type HttpProblem } from './find-container.ts';
import { containersOf, type SpecContainer } from '#agent/kubelet/sync/pod-input.ts';
import type { StreamCall } from './upgrade.ts';

/** `/exec/NS/POD[/UID]/CONTAINER?command=…`, `/attach/…`, `/portForward/NS/POD[/UID]?port=…` as a call, or why not. */
export function parseStreamCall(url: URL, search: ContainerSearch): StreamCall | HttpProblem | undefined {
  const [kind = '', namespace = '', pod = '', ...rest] = url.pathname
    .split('/')
    .filter((part) => part !== '')
    .map(decodeURIComponent);
  if (kind === 'portForward') {
    const found = findPod(search, { namespace, pod, uid: rest[0] });
    if (isProblem(found)) return found;
    const ports = [...url.searchParams.getAll('port'), ...url.searchParams.getAll('ports')].flatMap((p) =>
      p.split(','),
    );
    return {
      kind,
      podUid: found.metadata?.uid ?? '',
      ports: ports.map(Number).filter((p) => p > 0 && p < 65_536),
    };
  }
  if (kind !== 'exec' && kind !== 'attach') return undefined;
  const container = rest.at(-1) ?? '';
  const uid = rest.length > 1 ? rest[0] : undefined;
  const target = findRunning(search, { namespace, pod, uid, container }, kind);
  if (isProblem(target)) return target;
  const request = parseStreams(url.searchParams);
  if (!request.stdin && !request.stdout && !request.stderr) {
    return { status: 400, message: 'you must specify at least 1 of stdin, stdout, stderr' };
  }
  if (kind === 'attach') {
    const { stdinOnce, tty } = containerSpec(search, { namespace, pod }, container) ?? {};
    return { kind, target: { ...target, keepsStdin: stdinOnce !== true || tty === true }, request };
  }
  const args = url.searchParams.getAll('command');
  if (args.length === 0) return { status: 400, message: 'you must specify a command' };
  return { kind, target, args, request };
}

function containerSpec(
  search: ContainerSearch,
  { namespace, pod }: { readonly namespace: string; readonly pod: string },
  container: string,
): SpecContainer['spec'] | undefined {
  const found = search.podByName(namespace, pod);
  return found && containersOf(found).find(({ spec }) => spec.name === container)?.spec;
}

/** By the kubelet's names (`input=1`) or the API's (`stdin=true`). */
function parseStreams(query: URLSearchParams): StreamRequest {
  const isSet = (...names: readonly string[]): boolean =>
    names.some((name) => queryBoolean(query, name) === true);
  const tty = isSet('tty');
  return {
    stdin: isSet('input', 'stdin'),
    stdout: isSet('output', 'stdout'),
    stderr: isSet('error', 'stderr') && !tty, // A terminal has one output.
    tty,
  };
}
