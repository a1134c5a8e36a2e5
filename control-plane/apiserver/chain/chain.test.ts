import type { RequestObservation } from '#control-plane/apiserver/serve/metrics.ts';
import { PassThrough } from 'node:stream';
import { describe, expect, it } from 'vitest';
import { createKindCatalogue } from '#api/schema/kind-catalogue.ts';
import { createFakeClock } from '#base/clock.ts';
import type { Decision } from './authz/authorizer.ts';
import type { Upgrade } from '#control-plane/apiserver/serve/http-server.ts';
import { handleUpgrade } from '#control-plane/apiserver/nodes/upgrade.ts';
import type { ApiRequest } from '#control-plane/apiserver/serve/request.ts';
import type { ServerContext } from '#control-plane/apiserver/server-context.ts';
import { handle } from './handle.ts';
import { InFlight } from './in-flight.ts';

/** Ways into the server, by which the same request comes. */
const entries: readonly {
  readonly entry: string;

  readonly enter: (context: ServerContext, request: ApiRequest) => Promise<unknown>;
}[] = [
  { entry: 'a request', enter: handle },
  {
    entry: 'an upgrade',
    enter: (context, request) =>
      handleUpgrade(context, request, {
        socket: new PassThrough(),
        head: new Uint8Array(),
        message: { rawHeaders: [] },
      } as unknown as Upgrade),
  },
];

/** A server that writes down which links were passed. */
function recordingContext(links: string[], decision: Decision['decision']): ServerContext {
  const inFlight = new InFlight();
  const context = {
    kinds: createKindCatalogue(),
    clock: createFakeClock(),
    logger: {
      debug: (_fields: object, text: string) => links.push(text),
      warn: (_fields: object, text: string) => links.push(text),
      error: (_fields: object, text: string) => links.push(text),
    },
    inFlight: {
      take: () => {
        links.push('in flight');
        const place = inFlight.take('GET');
        return {
          [Symbol.dispose]: () => {
            links.push('done');
            place[Symbol.dispose]();
          },
        };
      },
    },
    metrics: {
      observeRequest: ({ labels: { verb, resource }, code }: RequestObservation) =>
        links.push(`counted ${verb} ${resource} ${code}`),
    },
    authorizer: {
      decide: (asked: { verb: string; resource: string; name: string; user: { name: string } }) => {
        links.push(`${asked.user.name} ${asked.verb} ${asked.resource} ${asked.name}`);
        return { decision, reason: '' };
      },
    },
    tokens: {
      verify: async () => {
        links.push('authenticate');
        return { claims: undefined, cause: 'no token of ours' };
      },
    },
    registry: {
      read: async () => {
        links.push('serve');
        return undefined;
      },
    },
  };
  return context as unknown as ServerContext;
}

const requestOf = (given: Partial<ApiRequest>): ApiRequest => ({
  method: 'GET',
  path: '/api/v1/namespaces/n/pods/p/log',
  query: new URLSearchParams(),
  headers: {},
  caller: { kind: 'in-process', user: { name: 'alice', groups: [] } },
  readBody: async () => new Uint8Array(),
  signal: new AbortController().signal,
  ...given,
});

describe.each(entries)('$entry', ({ enter }) => {
  it('passes every link, in order', async () => {
    const links: string[] = [];
    await enter(recordingContext(links, 'allow'), requestOf({}));
    expect(links).toEqual(['in flight', 'alice get pods p', 'serve', 'counted GET pods 404', 'done']);
  });

  it.each(['deny', 'noOpinion'] as const)('ends where the authorizer says %s', async (decision) => {
    const links: string[] = [];
    await enter(recordingContext(links, decision), requestOf({}));
    const want = ['in flight', 'alice get pods p', 'request refused', 'counted GET pods 403', 'done'];
    expect(links).toEqual(want);
  });

  it('ends where nobody knows who asks', async () => {
    const links: string[] = [];
    const [headers, caller] = [{ authorization: 'Bearer x' }, { kind: 'network' } as const];
    await enter(recordingContext(links, 'allow'), requestOf({ headers, caller }));
    const want = ['in flight', 'authenticate', 'authentication failed', 'counted GET pods 401', 'done'];
    expect(links).toEqual(want);
  });

  it('is done as another user only where each right for that is there', async () => {
    const links: string[] = [];
    const headers = { 'impersonate-user': 'eve', 'impersonate-group': 'g', 'impersonate-uid': 'u' };
    await enter(recordingContext(links, 'allow'), requestOf({ headers }));
    expect(links).toEqual([
      'in flight',
      'alice impersonate users eve',
      'alice impersonate groups g',
      'alice impersonate uids u',
      'eve get pods p',
      'serve',
      'counted GET pods 404',
      'done',
    ]);
  });

  it('has a place among those in flight, or is told to come again', async () => {
    const context = recordingContext([], 'allow');
    const places = Array.from({ length: 1000 }, () => context.inFlight.take('GET'));
    const links: string[] = [];
    await enter({ ...recordingContext(links, 'allow'), inFlight: context.inFlight }, requestOf({}));
    expect(links).toEqual([]);
    for (const place of places) place[Symbol.dispose]();
  });
});
