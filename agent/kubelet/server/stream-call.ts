import { queryBoolean } from '#api/wire/query.ts';
import type { StreamRequest } from './channels.ts';
import { findPod, findRunning, isProblem, type ContainerSearch, type HttpProblem } from './find-container.ts';
import { containersOf, type SpecContainer } from '#agent/kubelet/sync/pod-input.ts';
import type { StreamCall } from './upgrade.ts';

/**
 * `/exec/NS/POD[/UID]/CONTAINER?command=…`, `/attach/…`, `/portForward/NS/POD[/UID]?port=…` as a call, or why not, in the kubelet's words.
 * `namesPorts`: the ports are in the query, as WebSockets have them that are no tunnel.
 */
export function parseStreamCall(
  url: URL,
  search: ContainerSearch,
  namesPorts = false,
): StreamCall | HttpProblem | undefined {
  const [kind = '', namespace = '', pod = '', ...rest] = url.pathname
    .split('/')
    .filter((part) => part !== '')
    .map(decodeURIComponent);
  if (kind === 'portForward') {
    const ports = namesPorts ? parsePorts(url.searchParams) : [];
    if (!Array.isArray(ports)) return ports;
    const found = findPod(search, { namespace, pod, uid: rest[0] }, 'pod does not exist');
    return isProblem(found) ? found : { kind, podUid: found.metadata?.uid ?? '', ports };
  }
  if (kind !== 'exec' && kind !== 'attach') return undefined;
  const request = parseStreams(url.searchParams);
  if (!request.stdin && !request.stdout && !request.stderr) {
    return { status: 400, message: 'you must specify at least 1 of stdin, stdout, stderr' };
  }
  const container = rest.at(-1) ?? '';
  const uid = rest.length > 1 ? rest[0] : undefined;
  const target = findRunning(search, { namespace, pod, uid, container }, kind);
  if (isProblem(target)) return target;
  if (kind === 'attach') {
    const { stdinOnce, tty } = containerSpec(search, { namespace, pod }, container) ?? {};
    return { kind, target: { ...target, keepsStdin: stdinOnce !== true || tty === true }, request };
  }
  const args = url.searchParams.getAll('command');
  if (args.length === 0) return { status: 400, message: 'you must specify a command' };
  return { kind, target, args, request };
}

const portMax = 65_535;

/** As NewV4Options of cri-streaming/pkg/streaming/portforward has them. */
function parsePorts(query: URLSearchParams): number[] | HttpProblem {
  const refuse = (message: string): HttpProblem => ({ status: 400, message });
  const all = [...query.getAll('port'), ...query.getAll('ports')];
  if (all.length === 0) return refuse('query parameter "port" is required');
  const ports: number[] = [];
  for (const text of all) {
    if (text === '') return refuse('query parameter "port" cannot be empty');
    for (const part of text.split(',')) {
      const number = /^\d+$/.test(part) ? Number(part) : NaN;
      const cause = Number.isNaN(number)
        ? 'invalid syntax'
        : number > portMax
          ? 'value out of range'
          : undefined;
      const fault = `strconv.ParseUint: parsing ${JSON.stringify(part)}: ${cause}`;
      if (cause !== undefined) return refuse(`unable to parse ${JSON.stringify(text)} as a port: ${fault}`);
      if (number < 1) return refuse(`port ${JSON.stringify(text)} must be > 0`);
      ports.push(number);
    }
  }
  return ports;
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
