import { describe, expect, it } from 'vitest';
import { renderFieldError, type FieldError } from '#api/errors/field-error.ts';
import { findKindByName } from '#api/schema/kinds.ts';
import type { JsonObject } from '#api/meta/object.ts';
import { validateCreate, validateUpdate } from './validation.ts';

const core = findKindByName('v1', 'Event') ?? expect.unreachable();
const events = findKindByName('events.k8s.io/v1', 'Event') ?? expect.unreachable();
const metadata = { name: 'e', namespace: 'x' };
const regarding = { kind: 'Pod', namespace: 'x', name: 'p' };
const eventTime = '2026-01-02T03:04:05.000000Z';

/** As client-go's older recorder sends them: without eventTime. */
const legacy: JsonObject = { metadata, involvedObject: regarding, reason: 'R', message: 'm', type: 'Normal' };
const modern: JsonObject = {
  metadata,
  involvedObject: regarding,
  eventTime,
  reason: 'R',
  action: 'A',
  type: 'Normal',
  reportingComponent: 'a.b/c',
  reportingInstance: 'i',
  message: 'm',
};
const served: JsonObject = {
  metadata,
  regarding,
  eventTime,
  reason: 'R',
  action: 'A',
  type: 'Normal',
  reportingController: 'a.b/c',
  reportingInstance: 'i',
  note: 'm',
};

const long = (count: number): string => 'a'.repeat(count);
const other = { ...regarding, namespace: 'y' };

describe('validateCreate() of an event', () => {
  it.each([
    ['one of old', core, legacy, []],
    ['one of old with a long message', core, { ...legacy, message: long(2000), reason: long(200) }, []],
    [
      'one of old of another namespace',
      core,
      { ...legacy, involvedObject: other },
      ['involvedObject.namespace: Invalid value: "y": does not match event.namespace'],
    ],
    [
      'one of old of no namespace',
      core,
      { ...legacy, involvedObject: { kind: 'Node', name: 'n' } },
      ['involvedObject.namespace: Invalid value: "": does not match event.namespace'],
    ],
    ['one of now', core, modern, []],
    [
      'a message of 1,025 bytes',
      core,
      { ...modern, message: long(1025) },
      ['message: Invalid value: "": can have at most 1024 characters'],
    ],
    [
      'a message of 1,026 bytes in 342 characters',
      core,
      { ...modern, message: '€'.repeat(342) },
      ['message: Invalid value: "": can have at most 1024 characters'],
    ],
    ['a message of 1,024 bytes', core, { ...modern, message: long(1024) }, []],
    [
      'long words',
      core,
      { ...modern, reason: long(129), action: long(129), reportingInstance: long(129) },
      ['reportingInstance', 'action', 'reason'].map(
        (field) => `${field}: Invalid value: "": can have at most 128 characters`,
      ),
    ],
    [
      'nothing said',
      core,
      { metadata, involvedObject: regarding, eventTime },
      [
        'reportingController: Required value',
        'reportingController: Invalid value: "": name part must be non-empty',
        expect.stringContaining('reportingController: Invalid value: "": name part must consist'),
        'reportingInstance: Required value',
        'action: Required value',
        'reason: Required value',
      ],
    ],
    ['one of events.k8s.io', events, served, []],
    [
      'a note of 3 MB',
      events,
      { ...served, note: long(2_900_000) },
      ['message: Invalid value: "": can have at most 1024 characters'],
    ],
    [
      'one of events.k8s.io with what is old',
      events,
      {
        ...served,
        deprecatedCount: 1,
        deprecatedSource: { component: 'c' },
        deprecatedFirstTimestamp: eventTime,
        deprecatedLastTimestamp: eventTime,
        type: 'Odd',
      },
      [
        'type: Invalid value: "": has invalid value: Odd',
        'firstTimestamp: Invalid value: "": needs to be unset',
        'lastTimestamp: Invalid value: "": needs to be unset',
        'count: Invalid value: "": needs to be unset',
        'source: Invalid value: "": needs to be unset',
      ],
    ],
    [
      'one of events.k8s.io without a time',
      events,
      { metadata, regarding, note: 'm', type: 'Normal' },
      ['eventTime: Required value'],
    ],
    [
      'a series of one',
      events,
      { ...served, series: { count: 1 } },
      ['series.count: Invalid value: "": should be at least 2', 'series.lastObservedTime: Required value'],
    ],
  ] as const)('%s', (_name, kind, event, want) => {
    expect(validateCreate(kind, event).map((error) => `${error.field}: ${renderFieldError(error)}`)).toEqual(
      want,
    );
  });
});

const told = (errors: readonly FieldError[]): readonly string[] =>
  errors.map((error) => `${error.field}: ${renderFieldError(error)}`);
const shown = (namespace: string): string =>
  `{"Kind":"Pod","Namespace":"${namespace}","Name":"p","UID":"","APIVersion":"","ResourceVersion":"","FieldPath":""}`;

describe('validateUpdate() of an event', () => {
  it('lets a series grow, and nothing else of events.k8s.io', () => {
    const grown = { ...served, series: { count: 2, lastObservedTime: eventTime } };
    expect(validateUpdate(events, served, grown)).toEqual([]);
    const changed = { ...served, note: 'n', regarding: other, reason: 'S' };
    expect(told(validateUpdate(events, served, changed))).toEqual([
      `involvedObject: Invalid value: ${shown('y')}: field is immutable`,
      'reason: Invalid value: "S": field is immutable',
      'message: Invalid value: "n": field is immutable',
      'reason: Invalid value: "S": field is immutable',
    ]);
    expect(validateUpdate(core, legacy, { ...legacy, message: 'n', count: 2 })).toEqual([]);
    expect(validateUpdate(core, modern, { ...modern, message: long(1025) })).toHaveLength(1);
  });

  it('shows what is absent as what Go has there', () => {
    const whole = {
      ...served,
      ...{ deprecatedSource: { host: 'h' }, deprecatedCount: 2, deprecatedFirstTimestamp: eventTime },
      related: regarding,
    };
    const changed = { ...served, deprecatedSource: { component: 'c' }, reason: undefined };
    expect(told(validateUpdate(events, whole, changed))).toEqual([
      'reason: Required value',
      'reason: Invalid value: "": field is immutable',
      'source: Invalid value: {"Component":"c","Host":""}: field is immutable',
      'firstTimestamp: Invalid value: null: field is immutable',
      'count: Invalid value: 0: field is immutable',
      'reason: Invalid value: "": field is immutable',
      'related: Invalid value: null: field is immutable',
    ]);
  });
});
