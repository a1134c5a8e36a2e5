import type { Clock } from '#base/clock.ts';
import {
  histogramSamples,
  type MetricSample,
  type ReadMetric,
} from '#control-plane/apiserver/serve/read-metric.ts';
import type { BucketCounts } from '#base/counts/bucket-counts.ts';
import type { FairShares } from './flow-control.ts';
import type { RequestKind } from './kind-counts.ts';
import type { Level, RequestTicket } from './level.ts';
import type { SchemaCounts } from './level-counts.ts';
import type { RefusedFor } from './queue/ticket.ts';
import type { SharedSeats } from './shared-seats.ts';

/** What is read when somebody reads the metrics; requests only count. */
interface Source {
  readonly shares: FairShares;
  readonly shared: SharedSeats;
  readonly clock: Clock;
}

type Labels = Readonly<Record<string, string>>;
type Counts = ReturnType<BucketCounts['read']>;

const requestKinds: readonly RequestKind[] = ['mutating', 'readOnly'];
const phases = ['waiting', 'executing'] as const;
const reasons: readonly RefusedFor[] = ['concurrency-limit', 'queue-full', 'time-out', 'cancelled'];

/** Under upstream's names and labels (apiserver/pkg/util/flowcontrol/metrics, 1.36). */
export function flowMetrics(source: Source): readonly ReadMetric[] {
  return [
    ...numbersOfLevels(source),
    ...requestsOfSchemas(source),
    ...countsOfSchemas(source),
    ...useOverTime(source),
    ...virtualTime(source),
  ].map((metric) => ({ ...metric, name: `apiserver_${metric.name}` }));
}

function gauge(
  name: string,
  help: string,
  labelNames: readonly string[],
  read: ReadMetric['read'],
): ReadMetric {
  return { name: `flowcontrol_${name}`, help, type: 'gauge', labelNames, read };
}

function numbersOfLevels({ shared }: Source): readonly ReadMetric[] {
  const numbers: readonly (readonly [name: string, help: string, of: (level: Level) => number])[] = [
    ['nominal_limit_seats', 'Seats of each level by its shares.', ({ seats }) => seats.nominal],
    ['lower_limit_seats', 'Seats that each level keeps, whatever it lends.', ({ seats }) => seats.min],
    [
      'upper_limit_seats',
      'Seats that each level has at most, whatever it borrows.',
      ({ seats }) => seats.max,
    ],
    ['current_limit_seats', 'Seats of each level for now.', ({ queue }) => queue.setup.limit],
    ['target_seats', 'Seats that each level was to be given.', ({ demand }) => demand.target],
    [
      'demand_seats_average',
      'Seats that each level could use, in the last period.',
      ({ demand }) => demand.seen.average,
    ],
    ['demand_seats_stdev', 'The standard deviation of that.', ({ demand }) => demand.seen.deviation],
    ['demand_seats_high_watermark', 'The most of that.', ({ demand }) => demand.seen.highest],
    ['demand_seats_smoothed', 'The same over more periods.', ({ demand }) => demand.smoothed],
  ];
  return [
    ...numbers.map(([name, help, of]) => gauge(name, help, ['priority_level'], () => byLevel(shared, of))),
    gauge(
      'seat_fair_frac',
      'The part of what it wants that a level is given, where no bound holds it.',
      [],
      () => [{ labels: {}, value: shared.fairFraction }],
    ),
  ];
}

function byLevel({ levels }: SharedSeats, of: (level: Level) => number | undefined): readonly MetricSample[] {
  return [...levels.values()].flatMap((level) => {
    const value = of(level);
    return value === undefined ? [] : [{ labels: { priority_level: level.name }, value }];
  });
}

const ofSchema = ['flow_schema', 'priority_level'];

function bySchema(
  { levels }: SharedSeats,
  read: (counts: SchemaCounts, labels: Labels) => readonly MetricSample[],
): readonly MetricSample[] {
  return [...levels.values()].flatMap((level) =>
    [...level.counts].flatMap(([schema, counts]) =>
      read(counts, { flow_schema: schema, priority_level: level.name }),
    ),
  );
}

/** Of those that are there now, looked through when somebody asks. */
function requestsOfSchemas({ shared, shares }: Source): readonly ReadMetric[] {
  const isWaiting = ({ state }: RequestTicket): boolean => state === 'waiting';
  const seatsOf = ({ work }: RequestTicket): number => Math.max(work.seats, work.finalSeats);
  const sums: readonly (readonly [string, string, (ticket: RequestTicket) => number])[] = [
    ['current_inqueue_requests', 'Requests that wait.', (ticket) => (isWaiting(ticket) ? 1 : 0)],
    [
      'current_inqueue_seats',
      'Seats that they wait for.',
      (ticket) => (isWaiting(ticket) ? seatsOf(ticket) : 0),
    ],
    [
      'current_executing_requests',
      'Requests that are worked on.',
      ({ state }) => (state === 'seated' ? 1 : 0),
    ],
    [
      'current_executing_seats',
      'Seats that are taken.',
      (ticket) => (isWaiting(ticket) ? 0 : seatsOf(ticket)),
    ],
  ];
  const sum = (of: (ticket: RequestTicket) => number) => (): readonly MetricSample[] =>
    [...shared.levels.values()].flatMap((level) => {
      const tickets = Map.groupBy(level.queue.tickets(), ({ flow }) => flow.schema);
      return [...level.counts.keys()].map((schema) => ({
        labels: { flow_schema: schema, priority_level: level.name },
        value: (tickets.get(schema) ?? []).reduce((total, ticket) => total + of(ticket), 0),
      }));
    });
  return [
    ...sums.map(([name, help, of]) => gauge(name, help, ofSchema, sum(of))),
    {
      name: 'current_inqueue_requests',
      help: 'Requests that wait, by kind.',
      type: 'gauge',
      labelNames: ['request_kind'],
      read: () =>
        requestKinds.map((kind) => ({
          labels: { request_kind: kind },
          value: shares.kinds.now(kind).waiting,
        })),
    },
  ];
}

function countsOfSchemas({ shared }: Source): readonly ReadMetric[] {
  const counter = (
    name: string,
    help: string,
    labelNames: readonly string[],
    read: (counts: SchemaCounts, labels: Labels) => readonly MetricSample[],
  ): ReadMetric => ({
    name: `flowcontrol_${name}`,
    help,
    type: 'counter',
    labelNames: [...ofSchema, ...labelNames],
    read: () => bySchema(shared, read),
  });
  const histogram = (
    name: string,
    help: string,
    of: (counts: SchemaCounts) => readonly (readonly [Labels, BucketCounts])[],
  ): ReadMetric =>
    timed(name, help, [], () =>
      bySchema(shared, (counts, labels) =>
        of(counts).flatMap(([more, buckets]) => samples(name, { ...labels, ...more }, buckets.read())),
      ),
    );
  return [
    counter('dispatched_requests_total', 'Requests that got a seat.', [], ({ dispatched }, labels) => [
      { labels, value: dispatched },
    ]),
    counter('rejected_requests_total', 'Requests that were refused.', ['reason'], ({ refused }, labels) =>
      reasons.flatMap((reason) =>
        refused[reason] === 0 ? [] : [{ labels: { ...labels, reason }, value: refused[reason] }],
      ),
    ),
    histogram(
      'request_queue_length_after_enqueue',
      'How many waited in the queue of a request, itself among them.',
      ({ queueLengths }) => [[{}, queueLengths]],
    ),
    histogram('request_wait_duration_seconds', 'How long requests waited.', ({ waits }) => [
      [{ execute: 'true' }, waits.true],
      [{ execute: 'false' }, waits.false],
    ]),
    histogram('request_execution_seconds', 'How long requests had their seats.', ({ executions }) => [
      [{ type: 'regular' }, executions.regular],
      [{ type: 'watch' }, executions.watch],
    ]),
    histogram('watch_count_samples', 'How many watches are told of a write.', ({ watchers }) => [
      [{}, watchers],
    ]),
    histogram('work_estimated_seats', 'Seats that requests were thought to take.', ({ seats }) => [
      [{}, seats],
    ]),
  ];
}

function timed(
  name: string,
  help: string,
  labelNames: readonly string[],
  read: ReadMetric['read'],
): ReadMetric {
  return { name: `flowcontrol_${name}`, help, type: 'histogram', labelNames, read };
}

/** How long what was how much of what there is, in nanoseconds. */
function useOverTime({ shared, shares, clock }: Source): readonly ReadMetric[] {
  const ofLevels = (
    name: string,
    help: string,
    of: (level: Level, nowMs: number) => readonly (readonly [Labels, Counts])[],
  ): ReadMetric =>
    timed(name, help, ['priority_level'], () =>
      [...shared.levels.values()].flatMap((level) =>
        of(level, clock.monotonic()).flatMap(([labels, counts]) =>
          samples(name, { priority_level: level.name, ...labels }, counts),
        ),
      ),
    );
  return [
    ofLevels(
      'demand_seats',
      'Seats that each level could use, of its nominal ones, at each nanosecond.',
      ({ use }, nowMs) => [[{}, use.demand.read(nowMs)]],
    ),
    ofLevels(
      'priority_level_seat_utilization',
      'Seats of each level that are taken, at each nanosecond.',
      ({ use }, nowMs) => [[{ phase: 'executing' }, use.seats.read(nowMs)]],
    ),
    ofLevels(
      'priority_level_request_utilization',
      'Requests of each level, of those that it has room for, at each nanosecond.',
      ({ use }, nowMs) => [
        [{ phase: 'waiting' }, use.waiting.read(nowMs)],
        [{ phase: 'executing' }, use.seated.read(nowMs)],
      ],
    ),
    timed(
      'read_vs_write_current_requests',
      'Requests, of those that there is room for, at each nanosecond.',
      ['phase', 'request_kind'],
      () =>
        requestKinds.flatMap((kind) =>
          phases.flatMap((phase) =>
            samples(
              'read_vs_write_current_requests',
              { phase, request_kind: kind },
              shares.kinds.read(kind, phase, clock.monotonic()),
            ),
          ),
        ),
    ),
  ];
}

function virtualTime({ shared }: Source): readonly ReadMetric[] {
  const bounds = (
    name: string,
    help: string,
    of: (level: Level) => readonly [number, number] | undefined,
  ): ReadMetric =>
    gauge(name, help, ['bound', 'priority_level'], () =>
      [...shared.levels.values()].flatMap((level) => {
        const range = of(level);
        if (range === undefined) return [];
        return range.map((value, at) => ({
          labels: { bound: at === 0 ? 'min' : 'max', priority_level: level.name },
          value,
        }));
      }),
    );
  const read = (of: (level: Level) => number | undefined) => () => byLevel(shared, of);
  return [
    gauge(
      'current_r',
      'How far the meter of each level is.',
      ['priority_level'],
      read(({ queue }) => queue.r),
    ),
    gauge(
      'dispatch_r',
      'How far it was when a request of a queue got its seat.',
      ['priority_level'],
      read(({ queue }) => queue.lastDispatch?.r),
    ),
    gauge(
      'latest_s',
      'Where that request began, by the meter.',
      ['priority_level'],
      read(({ queue }) => queue.lastDispatch?.latestS),
    ),
    bounds('next_s_bounds', 'Where the next requests of queues begin.', ({ queue: { lastDispatch: last } }) =>
      last === undefined ? undefined : [last.min, last.max],
    ),
    bounds(
      'next_discounted_s_bounds',
      'The same, less the work under way.',
      ({ queue: { lastDispatch: last } }) =>
        last === undefined ? undefined : [last.discountedMin, last.discountedMax],
    ),
  ];
}

function samples(name: string, labels: Labels, counts: Counts): readonly MetricSample[] {
  return histogramSamples(`apiserver_flowcontrol_${name}`, labels, counts);
}
