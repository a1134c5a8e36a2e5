import { invalidField, invalidStruct, requiredField, type FieldError } from '#api/errors/field-error.ts';
import { goValue } from '#api/errors/go-value.ts';
import { at, equalJson, numberOf, objectOf, stringOf } from '#api/wire/json.ts';
import type { JsonObject } from '#api/meta/object.ts';
import { formatErrors, qualifiedName } from './format.ts';

/** Bytes of what an event says (k8s.io/kubernetes pkg/apis/core/validation, NoteLengthLimit and its neighbours). */
const noteBytesMax = 1024;
const wordBytesMax = 128;

/** Where the two versions of the kind keep what complaints call by the names of the older one. */
interface EventNames {
  readonly involvedObject: string;
  readonly message: string;
  readonly reportingController: string;
  readonly source: string;
  readonly firstTimestamp: string;
  readonly lastTimestamp: string;
  readonly count: string;
}

const coreNames: EventNames = {
  involvedObject: 'involvedObject',
  message: 'message',
  reportingController: 'reportingComponent',
  source: 'source',
  firstTimestamp: 'firstTimestamp',
  lastTimestamp: 'lastTimestamp',
  count: 'count',
};

const eventsNames: EventNames = {
  involvedObject: 'regarding',
  message: 'note',
  reportingController: 'reportingController',
  source: 'deprecatedSource',
  firstTimestamp: 'deprecatedFirstTimestamp',
  lastTimestamp: 'deprecatedLastTimestamp',
  count: 'deprecatedCount',
};

/** Complaints about an event of v1: one without eventTime, as older recorders send them, may say what it likes (legacyValidateEvent). */
export function validateCoreEvent(event: JsonObject): readonly FieldError[] {
  return commonErrors(event, coreNames);
}

/** What is asked of an event of events.k8s.io/v1 that is made or changed (legacyValidateEvent). */
export function validateEvent(event: JsonObject): readonly FieldError[] {
  return commonErrors(event, eventsNames);
}

/** What more is asked of one that is made: those of the older name are changed by the newer one as they are (ValidateEventCreate). */
export function validateNewEvent(event: JsonObject): readonly FieldError[] {
  const type = stringOf(event['type']);
  const old = (['firstTimestamp', 'lastTimestamp', 'count', 'source'] as const).filter((name) =>
    isSet(event[eventsNames[name]]),
  );
  return [
    ...seriesErrors(event),
    ...(isSet(event['eventTime']) ? [] : [requiredField('eventTime')]),
    ...(type === 'Normal' || type === 'Warning'
      ? []
      : [invalidField('type', '', `has invalid value: ${type}`)]),
    ...old.map((name) => invalidField(name, '', 'needs to be unset')),
  ];
}

type Shown = (field: string, value: unknown) => FieldError;

const fixed = 'field is immutable';
/** What Go has where nothing was given is shown as such. */
const plain =
  (zero: unknown): Shown =>
  (field, value) =>
    invalidField(field, value ?? zero, fixed);
const text = plain('');
const time = plain(null);
const struct =
  (type: string, zero?: JsonObject): Shown =>
  (field, value) =>
    invalidStruct(field, goValue(type, value ?? zero), fixed);
const reference = 'core.v1.ObjectReference';

/** What an update of an event of events.k8s.io/v1 leaves as it is, in the order it is asked in: the reason twice. */
const fixedFields: readonly (readonly [name: string, key: string, shown: Shown])[] = [
  ['involvedObject', eventsNames.involvedObject, struct(reference, {})],
  ['reason', 'reason', text],
  ['message', eventsNames.message, text],
  ['source', eventsNames.source, struct('core.v1.EventSource', {})],
  ['firstTimestamp', eventsNames.firstTimestamp, time],
  ['lastTimestamp', eventsNames.lastTimestamp, time],
  ['count', eventsNames.count, plain(0)],
  ['reason', 'reason', text],
  ['type', 'type', text],
  ['eventTime', 'eventTime', time],
  ['action', 'action', text],
  ['related', 'related', struct(reference)],
  ['reportingController', eventsNames.reportingController, text],
  ['reportingInstance', 'reportingInstance', text],
];

/** Complaints about an update of an event of events.k8s.io/v1, of which only the series may change (ValidateEventUpdate). */
export function validateEventUpdate(old: JsonObject, event: JsonObject): readonly FieldError[] {
  return [
    ...(equalJson(old['series'], event['series']) ? [] : seriesErrors(event)),
    ...fixedFields.flatMap(([name, key, shown]) =>
      (isSet(old[key]) || isSet(event[key])) && !equalJson(old[key], event[key])
        ? [shown(name, event[key])]
        : [],
    ),
  ];
}

function commonErrors(event: JsonObject, names: EventNames): readonly FieldError[] {
  const namespace = stringOf(at(event, 'metadata.namespace'));
  const about = stringOf(objectOf(event[names.involvedObject])['namespace']);
  const isModern = isSet(event['eventTime']);
  // Events about cluster-scoped objects live in the default namespace; those of now may in kube-system, too.
  const isRight = isModern
    ? about !== '' || namespace === 'default' || namespace === 'kube-system'
    : about === namespace || (about === '' && namespace === 'default');
  return [
    ...(isRight ? [] : [invalidField('involvedObject.namespace', about, 'does not match event.namespace')]),
    ...(isModern ? modernErrors(event, names) : []),
  ];
}

function modernErrors(event: JsonObject, names: EventNames): readonly FieldError[] {
  const controller = stringOf(event[names.reportingController]);
  return [
    ...(controller === '' ? [requiredField('reportingController')] : []),
    ...formatErrors('reportingController', controller, qualifiedName),
    ...['reportingInstance', 'action', 'reason'].flatMap((name) => [
      ...(stringOf(event[name]) === '' ? [requiredField(name)] : []),
      ...lengthErrors(name, stringOf(event[name]), wordBytesMax),
    ]),
    ...lengthErrors('message', stringOf(event[names.message]), noteBytesMax),
  ];
}

function lengthErrors(field: string, text: string, bytesMax: number): readonly FieldError[] {
  return Buffer.byteLength(text) > bytesMax
    ? [invalidField(field, '', `can have at most ${bytesMax} characters`)]
    : [];
}

function seriesErrors(event: JsonObject): readonly FieldError[] {
  if (!isSet(event['series'])) return [];
  const series = objectOf(event['series']);
  return [
    ...(numberOf(series['count']) < 2 ? [invalidField('series.count', '', 'should be at least 2')] : []),
    ...(isSet(series['lastObservedTime']) ? [] : [requiredField('series.lastObservedTime')]),
  ];
}

/** Not Go's zero value, which such a field has that was not given. */
function isSet(value: unknown): boolean {
  if (typeof value !== 'object') return value !== undefined && value !== '' && value !== 0;
  return value !== null && Object.values(value).some(isSet);
}
