import type { RequestObservation } from '#control-plane/apiserver/serve/request-counts.ts';
import { PassThrough } from 'node:stream';
import { describe, expect, it } from 'vitest';
import { createKindCatalogue } from '#api/schema/kind-catalogue.ts';
import { createFakeClock } from '#base/clock.ts';
import { anybody } from './authn/anonymous.ts';
import { createAuthentication } from './authn/authenticate.ts';
import { refused, tokenUnionOf } from './authn/authenticator.ts';
import type { Decision } from './authz/authorizer.ts';
import type { Upgrade } from '#control-plane/apiserver/serve/http-server.ts';
import { handleUpgrade } from '#control-plane/apiserver/nodes/upgrade.ts';
import type { ApiRequest } from '#control-plane/apiserver/serve/request.ts';
import type { ServerContext } from '#control-plane/apiserver/server-context.ts';
import type { Entering } from './flow-control/flow-control.ts';
import { silentLogger } from '#base/log.ts';
import { Audit } from './audit/audit.ts';
import { RequestRecord } from './audit/record.ts';
import { handle } from './handle.ts';
import { Seat } from './flow-control/seat.ts';
import { InFlight, inFlightMax } from './in-flight.ts';

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
    aggregation: { find: () => undefined },
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
    flowControl: {
      enter: ({ attributes }: Entering) => {
        links.push(`${attributes.user.name} enters`);
        return new Seat({}, undefined, () => links.push('leaves'));
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
    authentication: createAuthentication({
      apiAudiences: ['here'],
      isIdentityHeader: () => false,
      anonymous: () => anybody,
      tokens: tokenUnionOf([]),
      authenticators: [
        {
          name: 'recording',
          authenticate: ({ caller, headers }) => {
            if (caller.kind === 'in-process') return { user: caller.user };
            links.push('authenticate');
            return headers['authorization'] === undefined ? undefined : refused('no token of ours');
          },
        },
      ],
    }),
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

/** Where every stage is written down, in few words. */
function auditInto(links: string[], isTaken = true): Audit {
  const audit = new Audit(
    { policy: { rules: [{ level: 'Metadata' }] }, log: undefined, webhook: undefined },
    { clock: createFakeClock(), logger: silentLogger },
  );
  audit.open = (asked) =>
    new RequestRecord({
      ...asked,
      ruling: { level: 'Metadata', omitStages: new Set(), omitManagedFields: false },
      clock: createFakeClock(),
      isAwaited: true,
      write: ({ json }) => {
        const { stage, user, responseStatus } = JSON.parse(json);
        links.push(`${stage} ${user.username ?? 'nobody'} ${responseStatus?.code ?? ''}`.trimEnd());
        return isTaken;
      },
    });
  return audit;
}

describe.each(entries)('$entry, recorded,', ({ enter }) => {
  const recorded = (links: string[], decision: Decision['decision'], isTaken = true): ServerContext => ({
    ...recordingContext(links, decision),
    audit: auditInto(links, isTaken),
  });

  it('is told of before it is judged, and when it is over', async () => {
    const links: string[] = [];
    await enter(recorded(links, 'allow'), requestOf({}));
    expect(links).toEqual([
      ...['in flight', 'RequestReceived alice', 'alice enters', 'alice get pods p', 'serve', 'leaves'],
      ...['ResponseStarted alice 404', 'ResponseComplete alice 404', 'counted GET pods 404', 'done'],
    ]);
  });

  it('is told of where it is refused, and where nobody knows who asks', async () => {
    const links: string[] = [];
    await enter(recorded(links, 'deny'), requestOf({}));
    expect(links).toContain('ResponseComplete alice 403');
    const [headers, caller] = [{ authorization: 'Bearer x' }, { kind: 'network' } as const];
    await enter(recorded(links, 'allow'), requestOf({ headers, caller }));
    expect(links.slice(-3)).toEqual(['ResponseStarted nobody 401', 'counted GET pods 401', 'done']);
  });

  it('ends in a panic where the server fails', async () => {
    const links: string[] = [];
    const registry = {
      read: async (): Promise<never> => {
        throw new TypeError('undefined is not a function');
      },
    };
    const context = { ...recorded(links, 'allow'), registry } as unknown as ServerContext;
    await enter(context, requestOf({}));
    expect(links).toContain('Panic alice 500');
    expect(links).not.toContain('ResponseComplete alice 500');
  });

  it('is not done where it must be recorded and cannot be', async () => {
    const links: string[] = [];
    await enter(recorded(links, 'allow', false), requestOf({}));
    expect(links).not.toContain('serve');
    expect(links).toContain('counted GET pods 500');
  });
});

describe.each(entries)('$entry', ({ enter }) => {
  it('passes every link, in order', async () => {
    const links: string[] = [];
    await enter(recordingContext(links, 'allow'), requestOf({}));
    expect(links).toEqual([
      'in flight',
      'alice enters',
      'alice get pods p',
      'serve',
      'leaves',
      'counted GET pods 404',
      'done',
    ]);
  });

  it.each(['deny', 'noOpinion'] as const)('ends where the authorizer says %s', async (decision) => {
    const links: string[] = [];
    await enter(recordingContext(links, decision), requestOf({}));
    const want = [
      'in flight',
      'alice enters',
      'alice get pods p',
      'request refused',
      'leaves',
      'counted GET pods 403',
      'done',
    ];
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
      'alice impersonate-on:user-info:get pods p',
      'alice impersonate:user-info users eve',
      'alice impersonate:user-info uids u',
      'alice impersonate:user-info groups g',
      'eve enters',
      'eve get pods p',
      'serve',
      'leaves',
      'counted GET pods 404',
      'done',
    ]);
  });

  it('has a place among those in flight, or is told to come again', async () => {
    const context = recordingContext([], 'allow');
    const places = Array.from({ length: inFlightMax }, () => context.inFlight.take('GET'));
    const links: string[] = [];
    await enter({ ...recordingContext(links, 'allow'), inFlight: context.inFlight }, requestOf({}));
    expect(links).toEqual([]);
    for (const place of places) place[Symbol.dispose]();
  });
});
