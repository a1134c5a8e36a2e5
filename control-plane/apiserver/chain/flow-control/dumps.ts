import { formatDuration } from '#api/meta/duration.ts';
import { formatGroupVersion } from '#api/schema/kinds.ts';
import type { Level, RequestTicket } from './level.ts';

/** When who looks does so: of the clock that tickets go by, and of the wall. Milliseconds. */
export interface Moment {
  readonly monotonicMs: number;
  readonly wallMs: number;
}

/** Queues of one level that are shown. */
const queuesShownMax = 4_096;
const cellWidthMin = 8;
const noTime = '0001-01-01T00:00:00Z';

/** Cells in columns, as Go's text/tabwriter makes them of cells that end in a comma. */
function table(rows: readonly (readonly string[])[]): string {
  const widths = rows[0]?.map((_cell, at) =>
    Math.max(cellWidthMin, ...rows.map((row) => `${row[at] ?? ''},`.length + 1)),
  );
  const line = (row: readonly string[]): string =>
    row.map((cell, at) => (at === row.length - 1 ? cell : `${cell},`.padEnd(widths?.[at] ?? 0))).join('');
  return rows.map((row) => `${line(row)}\n`).join('');
}

/** `/debug/api_priority_and_fairness/dump_priority_levels`, in the columns of a kube-apiserver. */
export function dumpLevels(levels: Iterable<Level>): string {
  const head = [
    ...['PriorityLevelName', 'ActiveQueues', 'IsIdle', 'IsQuiescing', 'WaitingRequests'],
    ...[
      'ExecutingRequests',
      'DispatchedRequests',
      'RejectedRequests',
      'TimedoutRequests',
      'CancelledRequests',
    ],
  ];
  const rows = sorted(levels).map(({ name, queue, isQuiescing, counts }) => {
    const all = [...counts.values()];
    const sum = (of: (each: (typeof all)[number]) => number): number =>
      all.reduce((total, each) => total + of(each), 0);
    return [
      name,
      queue.queuesSeen().filter(({ waiting }) => waiting > 0).length,
      queue.isIdle,
      isQuiescing,
      queue.waiting,
      queue.seated,
      sum(({ dispatched }) => dispatched),
      sum(({ refused }) => Object.values(refused).reduce((total, count) => total + count, 0)),
      sum(({ refused }) => refused['time-out']),
      sum(({ refused }) => refused.cancelled),
    ].map(String);
  });
  return table([head, ...rows]);
}

/** `dump_queues`: every queue of every level that has some. */
export function dumpQueues(levels: Iterable<Level>): string {
  const head = [
    ...['PriorityLevelName', 'Index', 'PendingRequests', 'ExecutingRequests', 'SeatsInUse'],
    ...['NextDispatchR', 'InitialSeatsSum', 'MaxSeatsSum', 'TotalWorkSum'],
  ];
  const rows = sorted(levels).flatMap(({ name, queue }) => {
    const seen = new Map(queue.queuesSeen().map((each) => [each.index, each]));
    const count = Math.min(queuesShownMax, queue.setup.queuing?.queues ?? 0);
    return Array.from({ length: count }, (_none, index) => {
      const each = seen.get(index);
      return [
        name,
        String(index),
        String(each?.waiting ?? 0),
        String(each?.seated ?? 0),
        String(each?.seatsInUse ?? 0),
        seatSeconds(each?.nextR ?? 0),
        String(each?.seatsSum ?? 0),
        String(each?.seatsMaxSum ?? 0),
        seatSeconds(each?.workSum ?? 0),
      ];
    });
  });
  return table([head, ...rows]);
}

/** `dump_requests`: those that wait and those that are worked on. */
export function dumpRequests(
  levels: Iterable<Level>,
  { moment, hasDetails }: { readonly moment: Moment; readonly hasDetails: boolean },
): string {
  const head = [
    ...['PriorityLevelName', 'FlowSchemaName', 'QueueIndex', 'RequestIndexInQueue', 'FlowDistingsher'],
    ...['ArriveTime', 'InitialSeats', 'FinalSeats', 'AdditionalLatency', 'StartTime'],
  ];
  const details = [
    'UserName',
    'Verb',
    'APIPath',
    'Namespace',
    'Name',
    'APIVersion',
    'Resource',
    'SubResource',
  ];
  const rows = sorted(levels).flatMap(({ name, queue }) => {
    const placeOf = places();
    return queue
      .tickets()
      .filter(({ state }) => state !== 'lingering')
      .map((ticket) => [
        ...requestCells(name, ticket, { place: placeOf(ticket), moment }),
        ...(hasDetails ? detailCells(ticket) : []),
      ]);
  });
  return table([hasDetails ? [...head, ...details] : head, ...rows]);
}

/** Counts those that wait in each queue; -1 for the others. */
function places(): (ticket: RequestTicket) => number {
  const next = new Map<number, number>();
  return ({ state, queueIndex }) => {
    if (state !== 'waiting') return -1;
    const place = next.get(queueIndex) ?? 0;
    next.set(queueIndex, place + 1);
    return place;
  };
}

function requestCells(
  level: string,
  { flow, work, arrivedMs, startedMs, queueIndex }: RequestTicket,
  { place, moment }: { readonly place: number; readonly moment: Moment },
): readonly string[] {
  const wall = (ms: number): string => new Date(moment.wallMs - (moment.monotonicMs - ms)).toISOString();
  return [
    level,
    flow.schema,
    String(queueIndex),
    String(place),
    flow.distinguisher,
    wall(arrivedMs),
    String(work.seats),
    String(work.finalSeats),
    formatDuration(work.finalMs),
    startedMs < 0 ? noTime : wall(startedMs),
  ];
}

function detailCells({ about: { attributes, request, route } }: RequestTicket): readonly string[] {
  const isResource = attributes.kind === 'resource';
  return [
    attributes.user.name,
    attributes.verb,
    request.path,
    isResource ? attributes.namespace : '',
    isResource ? attributes.name : '',
    route?.kind === 'resource' ? formatGroupVersion(route.route.kind) : '',
    isResource ? attributes.resource : '',
    isResource ? attributes.subresource : '',
  ];
}

function seatSeconds(value: number): string {
  return `${value.toFixed(8)}ss`;
}

function sorted(levels: Iterable<Level>): readonly Level[] {
  return [...levels].toSorted((a, b) => (a.name < b.name ? -1 : 1));
}
