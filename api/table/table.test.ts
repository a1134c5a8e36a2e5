import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { columnFacts } from '#api/facts/facts.ts';
import { findKind, findKindByName, kinds, type Kind } from '#api/schema/kinds.ts';
import type { JsonObject } from '#api/meta/object.ts';
import { tableColumns, tableRow } from './table.ts';

const now = Date.parse('2026-11-20T10:00:00Z');
const observed: {
  readonly objects: Readonly<
    Record<string, { readonly out: { readonly apiVersion: string; readonly kind: string } & JsonObject }>
  >;
} = JSON.parse(readFileSync(new URL('../fixtures/defaults-observed-1.36.2.json', import.meta.url), 'utf8'));
const facts = columnFacts() as ReturnType<typeof columnFacts> & {
  readonly sampleCells: Readonly<Record<string, readonly (readonly unknown[])[]>>;
};

describe('tableRow()', () => {
  it.each(
    kinds
      .filter((kind) => kind.verbs.includes('list'))
      .map((kind) => [`${kind.group}/${kind.kind}`, kind] as const),
  )('has a cell for every column: %s', (_name, kind) => {
    const { cells } = tableRow(kind, { metadata: { name: 'x' }, ...minimal[kind.kind] }, now);
    expect(cells).toHaveLength(tableColumns(kind).length);
  });

  // The sample of events.k8s.io is the core Event again: both are views of one store.
  const shown = Object.entries(observed.objects).filter(([name]) => name !== 'events Event');
  it.each(shown)('shows what kube-apiserver showed: %s', (_name, { out }) => {
    const kind = kindOf(out.apiVersion, out.kind);
    const { name } = out['metadata'] as { readonly name: string };
    const sample = facts.sampleCells[`${kind.group}/${kind.version}/${kind.resource}`]?.find(
      (cells) => cells[0] === name || cells.at(-1) === name,
    );
    if (sample === undefined) return;
    const { cells } = tableRow(kind, out, now);
    expect(withoutTimes(cells, kind)).toEqual(withoutTimes(sample, kind));
  });
});

/** What `metadata` alone leaves out of a kind whose lists are never absent. */
const minimal: Readonly<Record<string, JsonObject>> = {
  Event: { involvedObject: {}, regarding: {} },
  HorizontalPodAutoscaler: { spec: { scaleTargetRef: {} } },
};

/** Ages, generated names and addresses differ from run to run. */
function withoutTimes(cells: readonly unknown[], kind: Kind): readonly unknown[] {
  const columns = tableColumns(kind).map(({ name }) => name);
  return cells.map((cell, index) => {
    const name = columns[index] ?? '';
    if (['Age', 'Created At', 'Cluster-IP', 'Last Seen', 'First Seen'].includes(name)) return typeof cell;
    return typeof cell === 'string' ? cell.replace(/[0-9a-f]{8}-[0-9a-f-]{27}/, 'UID') : cell;
  });
}

function kindOf(apiVersion: string, name: string): Kind {
  const kind = findKindByName(apiVersion, name);
  if (kind === undefined) throw new Error(`no kind ${name}`);
  return kind;
}

const pods = findKind('', 'v1', 'pods') as Kind;

interface PodCase {
  readonly name: string;
  readonly spec?: JsonObject;
  readonly status: JsonObject;
  readonly metadata?: JsonObject;
  /** Ready, Status, Restarts. */
  readonly want: readonly string[];
}

const running = { running: { startedAt: '2026-11-20T09:00:00Z' } };
const done = { terminated: { exitCode: 0, reason: 'Completed' } };
const ready = { name: 'c', ready: true, restartCount: 0, state: running };
const isReady = [{ type: 'Ready', status: 'True' }];

const podCases: readonly PodCase[] = [
  { name: 'nothing known', status: { phase: 'Pending' }, want: ['0/1', 'Pending', '0'] },
  {
    name: 'running',
    status: { phase: 'Running', containerStatuses: [ready] },
    want: ['1/1', 'Running', '0'],
  },
  {
    name: 'waiting',
    status: {
      phase: 'Pending',
      containerStatuses: [{ ...ready, ready: false, state: { waiting: { reason: 'ImagePullBackOff' } } }],
    },
    want: ['0/1', 'ImagePullBackOff', '0'],
  },
  {
    name: 'restarted',
    status: {
      phase: 'Running',
      containerStatuses: [
        {
          ...ready,
          restartCount: 3,
          lastState: { terminated: { exitCode: 3, finishedAt: '2026-11-20T09:55:00Z' } },
        },
      ],
    },
    want: ['1/1', 'Running', '3 (5m ago)'],
  },
  {
    name: 'exit code without reason',
    status: {
      phase: 'Failed',
      containerStatuses: [{ ...ready, ready: false, state: { terminated: { exitCode: 3 } } }],
    },
    want: ['0/1', 'ExitCode:3', '0'],
  },
  {
    name: 'completed beside a running one',
    spec: { containers: [{ name: 'c' }, { name: 'd' }] },
    status: {
      phase: 'Running',
      conditions: isReady,
      containerStatuses: [{ ...ready, name: 'd', ready: false, state: done }, ready],
    },
    want: ['1/2', 'Running', '0'],
  },
  {
    name: 'init container running',
    spec: { containers: [{ name: 'c' }], initContainers: [{ name: 'i' }, { name: 'j' }] },
    status: { phase: 'Pending', initContainerStatuses: [{ ...ready, name: 'i', ready: false }] },
    want: ['0/1', 'Init:0/2', '0'],
  },
  {
    name: 'init container failed',
    spec: { containers: [{ name: 'c' }], initContainers: [{ name: 'i' }] },
    status: {
      phase: 'Pending',
      initContainerStatuses: [
        { ...ready, name: 'i', ready: false, restartCount: 2, state: { terminated: { exitCode: 1 } } },
      ],
    },
    want: ['0/1', 'Init:ExitCode:1', '2'],
  },
  {
    name: 'sidecar counts',
    spec: { containers: [{ name: 'c' }], initContainers: [{ name: 'i', restartPolicy: 'Always' }] },
    status: {
      phase: 'Running',
      initContainerStatuses: [{ ...ready, name: 'i', started: true }],
      containerStatuses: [ready],
    },
    want: ['2/2', 'Running', '0'],
  },
  {
    name: 'terminating',
    metadata: { deletionTimestamp: '2026-11-20T10:00:30Z' },
    status: { phase: 'Running', containerStatuses: [ready] },
    want: ['1/1', 'Terminating', '0'],
  },
  {
    name: 'finished and deleted',
    metadata: { deletionTimestamp: '2026-11-20T10:00:30Z' },
    status: { phase: 'Succeeded', containerStatuses: [{ ...ready, ready: false, state: done }] },
    want: ['0/1', 'Completed', '0'],
  },
];

describe('tableRow() of a ComponentStatus', () => {
  const componentStatuses = findKind('', 'v1', 'componentstatuses') as Kind;
  it.each([
    {
      condition: { type: 'Healthy', status: 'True', message: 'ok' },
      want: ['scheduler', 'Healthy', 'ok', ''],
    },
    {
      condition: { type: 'Healthy', status: 'False', message: 'm', error: 'e' },
      want: ['scheduler', 'Unhealthy', 'm', 'e'],
    },
    { condition: { type: 'Healthy', status: 'Unknown' }, want: ['scheduler', 'Unhealthy', '', ''] },
    { condition: { type: 'Other', status: 'True', message: 'm' }, want: ['scheduler', 'Unknown', '', ''] },
  ])('with $condition', ({ condition, want }) => {
    const object = { metadata: { name: 'scheduler' }, conditions: [condition] };
    expect(tableRow(componentStatuses, object, now).cells).toEqual(want);
  });
});

it.each([
  ['networking.k8s.io', 'ingressclasses', 'ingressclass.kubernetes.io/is-default-class'],
  ['storage.k8s.io', 'storageclasses', 'storageclass.kubernetes.io/is-default-class'],
  ['storage.k8s.io', 'storageclasses', 'storageclass.beta.kubernetes.io/is-default-class'],
])('tableRow() of %s/%s that %s marks as the default says so', (group, resource, mark) => {
  const kind = findKind(group, 'v1', resource) as Kind;
  const names = ['true', 'false'].map(
    (value) => tableRow(kind, { metadata: { name: 'x', annotations: { [mark]: value } } }, now).cells[0],
  );
  expect(names).toEqual(['x (default)', 'x']);
});

describe('tableRow() of pods', () => {
  it.each(podCases)('$name', ({ spec, status, metadata, want }) => {
    const pod = {
      metadata: { name: 'p', ...metadata },
      spec: spec ?? { containers: [{ name: 'c' }] },
      status,
    };
    expect(tableRow(pods, pod, now).cells.slice(1, 4)).toEqual(want);
  });

  it('marks finished pods by a row condition', () => {
    const pod = { metadata: { name: 'p' }, spec: { containers: [] }, status: { phase: 'Succeeded' } };
    expect(tableRow(pods, pod, now).conditions).toEqual([
      {
        type: 'Completed',
        status: 'True',
        reason: 'Succeeded',
        message: 'The pod has completed successfully.',
      },
    ]);
  });
});
