import { at, objectsOf, stringOf } from '#api/wire/json.ts';
import type { JsonObject } from '#api/meta/object.ts';
import { queryBoolean } from '#api/wire/query.ts';
import { badRequest } from '#api/errors/status.ts';

/** The container that a log or exec is about: the one named, or the only one. @throws {E_API} 400 */
export function chooseContainer(pod: JsonObject, asked: string): string {
  const podName = stringOf(at(pod, 'metadata.name'));
  const names = (list: string): readonly string[] =>
    objectsOf(at(pod, ['spec', list])).map((container) => stringOf(container['name']));
  const containers = names('containers');
  const initContainers = names('initContainers');
  if (asked === '') {
    const [only] = containers;
    if (containers.length === 1 && only !== undefined) return only;
    const inits =
      initContainers.length === 0 ? '' : ` or one of the init containers: [${initContainers.join(' ')}]`;
    throw badRequest(
      `a container name must be specified for pod ${podName}, choose one of: [${containers.join(' ')}]${inits}`,
    );
  }
  if ([...containers, ...initContainers, ...names('ephemeralContainers')].includes(asked)) return asked;
  throw badRequest(`container ${asked} is not valid for pod ${podName}`);
}

/** API parameter → kubelet parameter (WIRE 9): the kubelet knows streams by other names, and yes as 1. */
const streamFlags: readonly (readonly [api: string, kubelet: string])[] = [
  ['stdin', 'input'],
  ['stdout', 'output'],
  ['stderr', 'error'],
  ['tty', 'tty'],
];
const logFlags = ['follow', 'previous', 'timestamps'];
const logParameters = ['sinceSeconds', 'sinceTime', 'tailLines', 'limitBytes', 'stream'];

/** The kubelet's path for a request to a pod's subresource, query included. Pure. */
export function kubeletPath(
  subresource: 'log' | 'exec' | 'attach' | 'portforward',
  target: { readonly namespace: string; readonly pod: string; readonly container: string },
  query: URLSearchParams,
): string {
  const segments = [target.namespace, target.pod].map(encodeURIComponent).join('/');
  const container = encodeURIComponent(target.container);
  const asked = new URLSearchParams();
  switch (subresource) {
    case 'log':
      for (const name of logFlags) {
        if (queryBoolean(query, name) === true) asked.set(name, 'true');
      }
      for (const name of logParameters) {
        const value = query.get(name);
        if (value !== null && value !== '') asked.set(name, value);
      }
      return withQuery(`/containerLogs/${segments}/${container}`, asked);
    case 'portforward':
      for (const port of query.getAll('ports')) asked.append('port', port);
      return withQuery(`/portForward/${segments}`, asked);
    case 'exec':
    case 'attach':
      for (const command of query.getAll('command')) asked.append('command', command);
      for (const [api, kubelet] of streamFlags) {
        if (queryBoolean(query, api) === true) asked.set(kubelet, '1');
      }
      return withQuery(`/${subresource}/${segments}/${container}`, asked);
    default:
      return subresource satisfies never;
  }
}

function withQuery(path: string, query: URLSearchParams): string {
  const text = query.toString();
  return text === '' ? path : `${path}?${text}`;
}
