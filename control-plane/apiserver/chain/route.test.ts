import { describe, expect, it } from 'vitest';
import { kinds } from '#api/schema/kinds.ts';
import { createKindCatalogue } from '#api/schema/kind-catalogue.ts';
import { parseRoute } from './route.ts';
import { keyPrefix, storageKey } from '#control-plane/apiserver/objects/storage-key.ts';

const catalogue = createKindCatalogue();

const route = (method: string, target: string): unknown => {
  const [path = '', query = ''] = target.split('?');
  const parsed = parseRoute(catalogue, { method, path, query: new URLSearchParams(query) });
  if (parsed.kind === 'path') return 'path';
  const { verb, kind, namespace, name, subresource, rest } = parsed.route;
  return [verb, `${kind.group}/${kind.resource}`, namespace, name, subresource?.name ?? '', rest]
    .join(' ')
    .trimEnd();
};

describe('parseRoute()', () => {
  it.each([
    ['GET', '/api/v1/pods', 'list /pods'],
    ['GET', '/api/v1/namespaces/ns/pods', 'list /pods ns'],
    ['GET', '/api/v1/namespaces/ns/pods?watch=true', 'watch /pods ns'],
    ['GET', '/api/v1/watch/namespaces/ns/pods/p', 'watch /pods ns p'],
    ['GET', '/api/v1/namespaces/ns/pods/p?watch=1', 'get /pods ns p'],
    ['HEAD', '/api/v1/namespaces/ns/pods/p', 'get /pods ns p'],
    ['GET', '/api/v1/namespaces/ns', 'get /namespaces  ns'],
    ['GET', '/api/v1/namespaces', 'list /namespaces'],
    ['PUT', '/api/v1/namespaces/ns/finalize', 'update /namespaces  ns finalize'],
    ['PATCH', '/api/v1/namespaces/ns/status', 'patch /namespaces  ns status'],
    ['POST', '/api/v1/namespaces/ns/pods/p/exec', 'create /pods ns p exec'],
    ['DELETE', '/api/v1/namespaces/ns/pods', 'deletecollection /pods ns'],
    ['GET', '/api/v1/nodes/n/proxy/stats/summary', 'get /nodes  n proxy /stats/summary'],
    ['GET', '/apis/apps/v1/deployments', 'list apps/deployments'],
    ['GET', '/apis/apps/v1/deployments/', 'list apps/deployments'],
    ['GET', '/api/v1/namespaces/ns/', 'get /namespaces  ns'],
    ['GET', '/api/v1/namespaces/ns/pods/p/log/', 'get /pods ns p log'],
    ['GET', '/api/v1/nodes/n/proxy/', 'get /nodes  n proxy /'],
    ['GET', '/api/v1/nodes/n/proxy/a/', 'get /nodes  n proxy /a/'],
    [
      'GET',
      '/apis/rbac.authorization.k8s.io/v1/clusterroles/system%3Anode',
      'get rbac.authorization.k8s.io/clusterroles  system:node',
    ],
    ['GET', '/apis/apps', 'path'],
    ['GET', '/apis/apps/v1', 'path'],
    ['GET', '/healthz', 'path'],
    ['GET', '/apis/nope/v1/things', 'path'],
  ])('reads %s %s', (method, target, want) => {
    expect(route(method, target)).toBe(want);
  });

  it.each([
    ['GET', '/api/v1/nopes', 404],
    ['GET', '/api/v1/pods/p', 404],
    ['GET', '/api/v1/namespaces/ns/nodes/n', 404],
    ['GET', '/api/v1/namespaces/ns/pods/p/nope', 404],
    ['GET', '/api/v1/namespaces/ns/pods/p/log/more', 404],
    ['GET', '/api/v1/namespaces/ns/pods/%ff', 404],
    ['POST', '/api/v1/namespaces/ns/pods/p', 405],
    ['PUT', '/api/v1/namespaces/ns/pods', 405],
    ['TRACE', '/api/v1/pods', 405],
    ['POST', '/api/v1/pods', 405],
    ['DELETE', '/api/v1/pods', 405],
    ['DELETE', '/apis/apps/v1/deployments', 405],
    ['POST', '/api/v1/bindings', 405],
    ['GET', '/apis/authorization.k8s.io/v1/subjectaccessreviews', 405],
  ])('refuses %s %s with %i', (method, target, code) => {
    expect(() => route(method, target)).toThrow(
      expect.objectContaining({ detail: expect.objectContaining({ httpCode: code }) }),
    );
  });

  it('knows every kind by its path', () => {
    for (const kind of kinds.filter(({ verbs }) => verbs.includes('get'))) {
      const group = kind.group === '' ? '/api' : `/apis/${kind.group}`;
      const scope = kind.namespaced ? '/namespaces/ns' : '';
      const want = ['get', `${kind.group}/${kind.resource}`, kind.namespaced ? 'ns' : '', 'x'].join(' ');
      expect(route('GET', `${group}/${kind.version}${scope}/${kind.resource}/x`)).toBe(want);
    }
  });
});

describe('storageKey()', () => {
  it('is what a real cluster has in etcd', () => {
    const key = (resource: string, group = ''): string => {
      const kind = kinds.find((candidate) => candidate.resource === resource && candidate.group === group);
      return kind === undefined ? '' : storageKey(kind, kind.namespaced ? 'ns' : '', 'x');
    };
    expect(['pods', 'services', 'endpoints', 'nodes', 'namespaces'].map((resource) => key(resource))).toEqual(
      [
        '/registry/pods/ns/x',
        '/registry/services/specs/ns/x',
        '/registry/services/endpoints/ns/x',
        '/registry/minions/x',
        '/registry/namespaces/x',
      ],
    );
    expect(key('deployments', 'apps')).toBe('/registry/deployments/ns/x');
  });

  it('gives each stored kind a prefix of its own', () => {
    const shared = new Set(['events', 'horizontalpodautoscalers']);
    const stored = kinds.filter(
      ({ verbs, resource }) => verbs.includes('create') && verbs.includes('get') && !shared.has(resource),
    );
    const prefixes = stored.map((kind) => keyPrefix(kind, ''));
    expect(new Set(prefixes).size).toBe(prefixes.length);
    for (const prefix of prefixes)
      expect(prefixes.filter((other) => other.startsWith(prefix))).toEqual([prefix]);
  });
});
