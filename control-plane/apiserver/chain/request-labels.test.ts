import { expect, it } from 'vitest';
import { createKindCatalogue } from '#api/schema/kind-catalogue.ts';
import type { ApiRequest } from '#control-plane/apiserver/serve/request.ts';
import { labelsOf } from './request-labels.ts';
import { parseRoute } from './route.ts';

const kinds = createKindCatalogue();
const pods = '/api/v1/namespaces/n/pods';

it.each([
  ['GET', '/api/v1/pods', 'LIST /v1/pods cluster'],
  ['GET', pods, 'LIST /v1/pods namespace'],
  ['GET', `${pods}?watch=1`, 'WATCH /v1/pods namespace'],
  ['GET', `${pods}?watch=1&sendInitialEvents=true`, 'WATCHLIST /v1/pods namespace'],
  ['GET', `${pods}?watch&sendInitialEvents=T`, 'WATCHLIST /v1/pods namespace'],
  ['POST', `${pods}?dryRun=All`, 'POST /v1/pods namespace All'],
  ['GET', `${pods}/p`, 'GET /v1/pods resource'],
  ['PUT', `${pods}/p/status`, 'PUT /v1/pods/status resource'],
  ['PATCH', '/apis/apps/v1/namespaces/n/deployments/d', 'PATCH apps/v1/deployments resource'],
  ['DELETE', pods, 'DELETECOLLECTION /v1/pods namespace'],
  ['POST', `${pods}/p/exec`, 'CONNECT /v1/pods/exec resource'],
  ['GET', `${pods}/p/log`, 'GET /v1/pods/log resource'],
  ['GET', '/api/v1/nodes/n/proxy/stats', 'CONNECT /v1/nodes/proxy resource'],
  ['GET', '/apis/nobody.example/v9', 'GET /'],
  ['BREW', '/pot', 'OTHER /'],
])('labelsOf() %s %s', (method, target, want) => {
  const url = new URL(target, 'https://x');
  const request = { method, path: url.pathname, query: url.searchParams, headers: {} } as ApiRequest;
  const { verb, group, version, resource, subresource, scope, dryRun, systemClient } = labelsOf(
    request,
    parseRoute(kinds, request),
  );
  const path = [`${group}/${version}`, resource, subresource].filter((part) => part !== '').join('/');
  expect([verb, path, scope, dryRun, systemClient].filter((part) => part !== '').join(' ')).toBe(want);
});

it('labelsOf() knows the scheduler and the controllers by their user agent', () => {
  const headers = { 'user-agent': 'kube-scheduler/v1.36.2 (linux/amd64)' };
  const request = {
    method: 'GET',
    path: '/x',
    query: new URLSearchParams(),
    headers,
  } as unknown as ApiRequest;
  expect(labelsOf(request, undefined).systemClient).toBe('kube-scheduler');
});
