import { describe, expect, it } from 'vitest';
import { createKindCatalogue } from '#api/schema/kind-catalogue.ts';
import { createFakeClock, type FakeClock } from '#base/clock.ts';
import { attributesOf } from '#control-plane/apiserver/chain/attributes.ts';
import { parseRoute } from '#control-plane/apiserver/chain/route.ts';
import { Registry } from '#control-plane/apiserver/objects/registry.ts';
import type { ApiRequest, ApiResponse, ByteSink } from '#control-plane/apiserver/serve/request.ts';
import { createFakeStore } from '#control-plane/store/store.fake.ts';
import { bootstrapObjects, newObject } from './bootstrap-objects.ts';
import { dumpLevels, dumpQueues, dumpRequests } from './dumps.ts';
import { FairShares, type Entered, type FlowControl } from './flow-control.ts';
import { ObjectCounts } from './object-counts.ts';
import { PlainLimits } from './plain-limits.ts';
import { Seat, StreamedSeats } from './seat.ts';
import { SharedSeats } from './shared-seats.ts';

const kinds = createKindCatalogue();
const tenant = { name: 'tenant', groups: ['system:authenticated'] };

function requestOf(path: string, given: Partial<ApiRequest> = {}): ApiRequest {
  const [bare = '', query = ''] = path.split('?');
  return {
    method: 'GET',
    path: bare,
    query: new URLSearchParams(query),
    headers: {},
    caller: { kind: 'network' },
    readBody: async () => new Uint8Array(),
    signal: new AbortController().signal,
    ...given,
  };
}

function enter(
  control: FlowControl,
  request: ApiRequest,
  user: { readonly name: string; readonly groups: readonly string[] } = tenant,
): Entered | Promise<Entered> {
  const route = parseRoute(kinds, request);
  return control.enter({ request, route, attributes: attributesOf(request, route, user) });
}

/** A server's stage with so many seats, and the objects of every cluster. */
function sharesOf(total: number): {
  readonly control: FairShares;
  readonly clock: FakeClock;
  readonly shared: SharedSeats;
  readonly streamed: StreamedSeats;
} {
  const clock = createFakeClock();
  const shared = new SharedSeats(total, clock);
  const of = (resource: string): readonly object[] =>
    bootstrapObjects.filter((object) => object.resource === resource).map(newObject);
  shared.outdate(() => ({
    schemas: of('flowschemas') as never,
    levels: of('prioritylevelconfigurations') as never,
  }));
  const streamed = new StreamedSeats(clock);
  const objects = new ObjectCounts(new Registry(createFakeStore(), () => 0), clock);
  return { control: new FairShares({ shared, clock, objects, streamed }), clock, shared, streamed };
}

const version = (): ApiRequest => requestOf('/version');
const bodyOf = ({ body }: ApiResponse): string =>
  body instanceof Uint8Array ? Buffer.from(body).toString() : '';

/** Takes all seats of the level that a user's requests are of: at least one. */
function takeAll(control: FairShares, level: string, user = tenant): readonly Seat[] {
  const limit = control.shared.levels.get(level)?.queue.setup.limit ?? 0;
  return Array.from({ length: Math.max(1, limit) }, () => enter(control, version(), user)).filter(
    (entered) => entered instanceof Seat,
  );
}

function takeOne(control: FairShares): Seat | undefined {
  const entered = enter(control, version());
  return entered instanceof Seat ? entered : undefined;
}

describe('FairShares', () => {
  it('gives seats at once while there are some, then lets requests wait', async () => {
    const { control, shared } = sharesOf(12);
    const [seat, ...others] = takeAll(control, 'global-default');
    const later = enter(control, version());
    expect(later).toBeInstanceOf(Promise);
    seat?.end();
    const mine = await later;
    expect(mine).toBeInstanceOf(Seat);
    for (const each of [...others, mine]) if (each instanceof Seat) each.end();
    expect(shared.levels.get('global-default')?.queue).toMatchObject({ seatsInUse: 0, isIdle: true });
  });

  it("refuses who waited a quarter of its time, in upstream's words", async () => {
    const { control, clock } = sharesOf(12);
    takeAll(control, 'global-default');
    const [later, sooner] = [enter(control, version()), enter(control, requestOf('/version?timeout=4s'))];
    clock.advance(1_000);
    const refused = await sooner;
    expect(refused).toMatchObject({
      status: 429,
      headers: { 'retry-after': '1', 'content-type': 'text/plain; charset=utf-8' },
    });
    expect(bodyOf(refused as ApiResponse)).toBe('Too many requests, please try again later.\n');
    clock.advance(14_000);
    expect(await later).toMatchObject({ status: 429 });
  });

  it('forgets who went while it waited', async () => {
    const { control, shared } = sharesOf(12);
    const level = shared.levels.get('global-default');
    takeAll(control, 'global-default');
    const leaving = new AbortController();
    const waiting = enter(control, requestOf('/version', { signal: leaving.signal }));
    expect(level?.queue.waiting).toBe(1);
    leaving.abort();
    expect(await waiting).toMatchObject({ status: 429 });
    expect(level?.queue.waiting).toBe(0);
    expect(await enter(control, requestOf('/version', { signal: AbortSignal.abort() }))).toMatchObject({
      status: 429,
    });
  });

  it('asks those that come while others wait to come later, the more there are', async () => {
    const { control, clock } = sharesOf(12);
    const nobody = { name: 'x', groups: [] }; // Of no group: nothing but catch-all has it.
    takeAll(control, 'catch-all', nobody);
    const after = async (): Promise<string> => {
      const entered = await enter(control, version(), nobody);
      return entered instanceof Seat ? '' : String(entered.headers['retry-after']);
    };
    for (let i = 0; i < 5; i++) expect(await after()).toBe('1');
    clock.advance(1_000);
    expect(await after()).toBe('2');
  });

  it('lets watches and what lasts go, once they have begun', async () => {
    const { control, shared } = sharesOf(600);
    const level = shared.levels.get('global-default');
    const watch = await enter(control, requestOf('/api/v1/pods?watch=1&resourceVersion=5'));
    expect(level?.queue.seatsInUse).toBe(1);
    if (watch instanceof Seat) watch.end();
    for (const path of ['pods/p/log', 'pods/p/exec', 'services/s/proxy'])
      expect(enter(control, requestOf(`/api/v1/namespaces/n/${path}`))).toBe(Seat.none);
    expect(level?.queue.seatsInUse).toBe(0);
  });

  it('gives a seat away that is held by an answer that nobody reads', async () => {
    const { control, clock, shared, streamed } = sharesOf(600);
    const level = shared.levels.get('global-default');
    const slow = takeOne(control);
    const body = async (sink: ByteSink): Promise<void> => {
      while (!sink.write(Buffer.alloc(1))) await sink.drained();
    };
    const answered = slow?.answer({ method: 'GET' }, { status: 200, headers: {}, body });
    slow?.[Symbol.dispose]();
    const never = Promise.withResolvers<void>();
    const sink = { write: () => false, drained: () => never.promise, pendingBytes: 0 };
    if (typeof answered?.body === 'function') void answered.body(sink);
    expect(level?.queue.seatsInUse).toBe(1);
    clock.advance(1_000);
    expect([level?.queue.seatsInUse, streamed.size]).toEqual([0, 0]);
  });

  it('never keeps one longer than its bound, though its body is never asked for', async () => {
    const { control, clock, shared } = sharesOf(600);
    const left = takeOne(control);
    left?.answer({ method: 'GET' }, { status: 200, headers: {}, body: async () => {} });
    left?.[Symbol.dispose]();
    clock.advance(9_000);
    expect(shared.levels.get('global-default')?.queue.seatsInUse).toBe(1);
    clock.advance(2_000);
    expect(shared.levels.get('global-default')?.queue.seatsInUse).toBe(0);
  });

  it('lends the seats of levels that want none', async () => {
    const { control, clock, shared } = sharesOf(600);
    const account = {
      name: 'system:serviceaccount:n:a',
      groups: ['system:serviceaccounts', 'system:authenticated'],
    };
    const level = shared.levels.get('workload-low');
    const before = level?.queue.setup.limit ?? 0;
    for (let i = 0; i < 400; i++)
      void enter(control, version(), { ...account, name: `${account.name}${i % 40}` });
    expect(level?.queue.seatsInUse).toBe(before);
    clock.advance(5_000);
    shared.adjust();
    const after = level?.queue.setup.limit ?? 0;
    expect(after).toBeGreaterThan(before + 50);
    expect(level?.queue.seatsInUse).toBe(Math.min(after, 400));
    // What others keep for themselves, they keep.
    for (const { name, seats, queue } of shared.levels.values())
      expect(queue.setup.limit, name).toBeGreaterThanOrEqual(seats.min);
  });

  it('shows what is there in the columns of a kube-apiserver', async () => {
    const { control, clock, shared } = sharesOf(12);
    takeAll(control, 'global-default');
    void enter(control, requestOf('/api/v1/namespaces/n/pods/p/status'));
    const levels = dumpLevels(shared.levels.values()).split('\n');
    expect(levels[0]).toBe(
      'PriorityLevelName, ActiveQueues, IsIdle, IsQuiescing, WaitingRequests, ExecutingRequests, DispatchedRequests, RejectedRequests, TimedoutRequests, CancelledRequests',
    );
    expect(levels[3]).toMatch(/^global-default, {4}1, {12}false, {2}false, {7}1, {15}\d, /);
    const queues = dumpQueues(shared.levels.values()).split('\n');
    expect(queues).toHaveLength(530);
    expect(queues[0]).toBe(
      'PriorityLevelName, Index,  PendingRequests, ExecutingRequests, SeatsInUse, NextDispatchR, InitialSeatsSum, MaxSeatsSum, TotalWorkSum',
    );
    expect(queues.find((line) => line.startsWith('leader-election'))).toBe(
      'leader-election,   0,      0,               0,                 0,          0.00000000ss,  0,               0,           0.00000000ss',
    );
    const moment = { monotonicMs: clock.monotonic(), wallMs: 1_000 };
    const requests = dumpRequests(shared.levels.values(), { moment, hasDetails: true }).split('\n');
    expect(requests.at(-2)).toMatch(
      /^global-default, +global-default, +\d+, +0, +tenant, +1970-01-01T00:00:01.000Z, +1, +0, +0s, +0001-01-01T00:00:00Z, +tenant, +get, +\/api\/v1\/namespaces\/n\/pods\/p\/status, n, +p, +v1, +pods, +status$/,
    );
  });
});

describe('PlainLimits', () => {
  it('counts those who write apart from those who read, and lets administrators through', () => {
    const control = new PlainLimits({ readOnly: 1, mutating: 1 }, new StreamedSeats(createFakeClock()));
    const first = enter(control, version());
    expect(first).toBeInstanceOf(Seat);
    expect(enter(control, version())).toMatchObject({ status: 429, headers: { 'retry-after': '1' } });
    expect(enter(control, requestOf('/api/v1/namespaces', { method: 'POST' }))).toBeInstanceOf(Seat);
    expect(enter(control, version(), { name: 'a', groups: ['system:masters'] })).toBeInstanceOf(Seat);
    if (first instanceof Seat) first.end();
    expect(enter(control, requestOf('/api/v1/pods?watch=1'))).toBe(Seat.none);
  });
});
