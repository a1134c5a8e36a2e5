import { queryBoolean } from '#api/wire/query.ts';
import type { ApiRequest } from '#control-plane/apiserver/serve/request.ts';
import type { RequestLabels } from '#control-plane/apiserver/serve/request-counts.ts';
import type { Route, Verb } from './route.ts';

/** Upper case, and a write by its method: kube-apiserver's metrics (apiserver/pkg/endpoints/metrics, CanonicalVerb and CleanVerb). */
const verbs: Readonly<Record<Verb, string>> = {
  get: 'GET',
  list: 'LIST',
  watch: 'WATCH',
  create: 'POST',
  update: 'PUT',
  patch: 'PATCH',
  delete: 'DELETE',
  deletecollection: 'DELETECOLLECTION',
};
const methods: ReadonlySet<string> = new Set(['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS']);
const connecting: ReadonlySet<string> = new Set(['exec', 'attach', 'portforward', 'proxy']);
/** Its own parts, of which Kubernetes' dashboards want to know. */
const systemClients: ReadonlySet<string> = new Set(['kube-controller-manager', 'kube-scheduler']);

/** Who and what a request is to metrics. Pure; few of each, whatever clients make up. */
export function labelsOf(request: ApiRequest, route: Route | undefined): RequestLabels {
  const dryRun = request.query.get('dryRun') === 'All' ? 'All' : '';
  const systemClient = systemClientOf(request.headers['user-agent']);
  if (route?.kind !== 'resource') {
    const verb = methods.has(request.method) ? request.method : 'OTHER';
    const [group, version] = groupVersionOf(request.path);
    return { ...nothing, verb, group, version, dryRun, systemClient };
  }
  const { kind, name, namespace, subresource } = route.route;
  const verb = connecting.has(subresource?.name ?? '') ? 'CONNECT' : verbOf(route.route.verb, request);
  return {
    verb,
    group: kind.group,
    version: kind.version,
    resource: kind.resource,
    subresource: subresource?.name ?? '',
    scope: name !== '' ? 'resource' : namespace !== '' ? 'namespace' : 'cluster',
    dryRun,
    systemClient,
  };
}

const nothing = { group: '', version: '', resource: '', subresource: '', scope: '' } as const;

function verbOf(verb: Verb, { query, headers }: ApiRequest): string {
  if (verb === 'watch' && queryBoolean(query, 'sendInitialEvents') === true) return 'WATCHLIST';
  const isApply = verb === 'patch' && headers['content-type']?.startsWith('application/apply-patch') === true;
  return isApply ? 'APPLY' : verbs[verb];
}

/** Of discovery; what is no path of an API has none, and clients may make up the others. */
function groupVersionOf(path: string): readonly [string, string] {
  return path === '/api/v1' || path.startsWith('/api/v1/') ? ['', 'v1'] : ['', ''];
}

function systemClientOf(userAgent: string | undefined): string {
  const [name = ''] = (userAgent ?? '').split('/', 1);
  return systemClients.has(name) ? name : '';
}
