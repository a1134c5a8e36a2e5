import { describe, expect, it } from 'vitest';
import { findKindByName, type Kind } from '#api/schema/kinds.ts';
import { rulesOf } from '#api/kinds/rules-of.ts';
import type { JsonObject } from '#api/meta/object.ts';
import { at } from '#api/wire/json.ts';
import { prepareCreate, prepareUpdate } from './strategy.ts';

const now = Date.parse('2026-01-02T03:04:05Z');
const counter = ['metadata', 'annotations', 'deprecated.daemonset.template.generation'];
const daemons = (generation: string): JsonObject => ({
  metadata: { annotations: { 'deprecated.daemonset.template.generation': generation } },
  spec: { template: {} },
});
const volume = (phase: string, time?: string): JsonObject => ({
  status: { phase, ...(time === undefined ? {} : { lastPhaseTransitionTime: time }) },
});
const told = (type: string, generation?: number): JsonObject => ({
  type,
  ...(generation === undefined ? {} : { observedGeneration: generation }),
});
const time = 'status.lastPhaseTransitionTime';

interface Row {
  readonly kind: string;
  readonly name: string;
  /** undefined: the object is made. */
  readonly old?: JsonObject;
  readonly object: JsonObject;
  readonly part?: string;
  readonly at: string | readonly string[];
  readonly want: unknown;
}

/** What upstream's strategies set, keep or leave out (PrepareForCreate and PrepareForUpdate of 1.36). */
const rows: readonly Row[] = [
  {
    kind: 'v1 Pod',
    name: 'says that gates hold it',
    object: { spec: { schedulingGates: [{ name: 'a.b/c' }] } },
    at: 'status.conditions',
    want: [
      expect.objectContaining({
        type: 'PodScheduled',
        status: 'False',
        reason: 'SchedulingGated',
        message: 'Scheduling is blocked due to non-empty scheduling gates',
      }),
    ],
  },
  {
    kind: 'v1 Pod',
    name: 'has no condition',
    object: { spec: {} },
    at: 'status.conditions',
    want: undefined,
  },
  {
    kind: 'v1 Pod',
    name: 'keeps which generation it was told of',
    old: { status: { observedGeneration: 3 } },
    object: { status: { phase: 'Running' } },
    part: 'status',
    at: 'status.observedGeneration',
    want: 3,
  },
  {
    kind: 'v1 Pod',
    name: 'keeps which generation its conditions were told of, one after the other',
    old: { status: { conditions: [told('A', 1), told('B', 2), told('A', 3)] } },
    object: { status: { conditions: [told('A'), told('A'), told('A'), told('B', 5), told('C')] } },
    part: 'status',
    at: 'status.conditions',
    want: [told('A', 1), told('A', 3), told('A'), told('B', 5), told('C')],
  },
  {
    kind: 'v1 PersistentVolume',
    name: 'keeps since when it is in its phase',
    old: volume('Bound', 'then'),
    object: volume('Bound'),
    part: 'status',
    at: time,
    want: 'then',
  },
  {
    kind: 'v1 PersistentVolume',
    name: 'is dated when its phase is another, whether the writer left the date out or as it was',
    old: volume('Bound', 'then'),
    object: volume('Released'),
    part: 'status',
    at: time,
    want: '2026-01-02T03:04:05Z',
  },
  {
    kind: 'v1 PersistentVolume',
    name: 'has the date of its writer',
    old: volume('Bound', 'then'),
    object: volume('Released', 'mine'),
    part: 'status',
    at: time,
    want: 'mine',
  },
  {
    kind: 'apps/v1 DaemonSet',
    name: 'counts from where it was',
    object: daemons('3'),
    at: counter,
    want: '3',
  },
  { kind: 'apps/v1 DaemonSet', name: 'counts from 1', object: daemons('-1'), at: counter, want: '1' },
  {
    kind: 'apps/v1 DaemonSet',
    name: 'does not count by its status',
    old: daemons('3'),
    object: daemons('9'),
    part: 'status',
    at: counter,
    want: '3',
  },
];

function kindOf(text: string): Kind {
  const [apiVersion = '', name = ''] = text.split(' ');
  const kind = findKindByName(apiVersion, name);
  if (kind === undefined) throw new Error(`no kind ${text}`);
  return kind;
}

describe('prepareCreate() and prepareUpdate(), kind by kind', () => {
  it.each(rows)('$kind $name', ({ kind: text, old, object, part, at: place, want }) => {
    const kind = kindOf(text);
    const prepared =
      old === undefined
        ? prepareCreate(kind, object, { now, uid: 'u' })
        : prepareUpdate(kind, old, object, part);
    const dated = old === undefined ? undefined : rulesOf(kind).dateUpdate?.(old, prepared, now);
    expect(at(dated ?? prepared, place)).toEqual(want);
  });
});
