import {
  forbiddenField,
  invalidField,
  notSupportedField,
  requiredField,
  type FieldError,
} from '#api/errors/field-error.ts';
import { at, isObject, listOf, numberOf, objectsOf, stringOf } from '#api/wire/json.ts';
import type { JsonObject } from '#api/meta/object.ts';
import { formatErrors, headerName, isPortNumber, portName, portNumberText } from '#api/validation/format.ts';
import { givenChoiceErrors, negativeErrors } from '#api/validation/field.ts';
import { linuxSignals, windowsSignals } from './signals.ts';

/** The probes of a container, in the order in which they are looked at. */
const probes = ['livenessProbe', 'readinessProbe', 'startupProbe'];

/** Complaints about hooks and probes of a container that runs beside others (validateLifecycle, validateProbe). */
export function lifecycleErrors(
  container: JsonObject,
  spec: JsonObject,
  path: string,
): readonly FieldError[] {
  const { lifecycle } = container;
  return [
    ...(isObject(lifecycle) ? hookErrors(lifecycle, spec, `${path}.lifecycle`) : []),
    ...probes.flatMap((name) => {
      const probe = container[name];
      return isObject(probe) ? probeErrors(probe, name, `${path}.${name}`) : [];
    }),
  ];
}

/** An init container that ends has neither. */
export function noLifecycleErrors(container: JsonObject, path: string): readonly FieldError[] {
  const detail = 'may not be set for init containers without restartPolicy=Always';
  return ['lifecycle', ...probes].flatMap((name) =>
    container[name] === undefined ? [] : [forbiddenField(`${path}.${name}`, detail)],
  );
}

function hookErrors(lifecycle: JsonObject, spec: JsonObject, path: string): readonly FieldError[] {
  const grace = spec['terminationGracePeriodSeconds'];
  return [
    ...['postStart', 'preStop'].flatMap((name) => {
      const hook = lifecycle[name];
      return isObject(hook) ? handlerErrors(hook, hookHandlers(grace), `${path}.${name}`) : [];
    }),
    ...(lifecycle['stopSignal'] === undefined
      ? []
      : signalErrors(lifecycle['stopSignal'], at(spec, 'os.name'), `${path}.stopSignal`)),
  ];
}

function signalErrors(signal: unknown, os: unknown, field: string): readonly FieldError[] {
  if (os === undefined) {
    return [forbiddenField(field, 'may not be set for containers with empty `spec.os.name`')];
  }
  const allowed = os === 'windows' ? windowsSignals : linuxSignals;
  return os === 'windows' || os === 'linux' ? givenChoiceErrors(field, signal, allowed) : [];
}

const counts = [
  'initialDelaySeconds',
  'timeoutSeconds',
  'periodSeconds',
  'successThreshold',
  'failureThreshold',
];

function probeErrors(probe: JsonObject, name: string, path: string): readonly FieldError[] {
  const grace = probe['terminationGracePeriodSeconds'];
  const [field, isReadiness] = [`${path}.terminationGracePeriodSeconds`, name === 'readinessProbe'];
  const { successThreshold } = probe;
  return [
    ...handlerErrors(probe, probeHandlers, path),
    ...negativeErrors(probe, counts, path),
    ...(grace !== undefined && numberOf(grace) <= 0
      ? [invalidField(field, grace, 'must be greater than 0')]
      : []),
    ...(isReadiness && grace !== undefined
      ? [invalidField(field, grace, 'must not be set for readinessProbes')]
      : []),
    ...(isReadiness || successThreshold === 1
      ? []
      : [invalidField(`${path}.successThreshold`, successThreshold ?? 0, 'must be 1')]),
  ];
}

type Handler = readonly [name: string, check: (action: JsonObject, path: string) => readonly FieldError[]];

const commonHandlers: readonly Handler[] = [
  [
    'exec',
    (action, path) => (listOf(action['command']).length === 0 ? [requiredField(`${path}.command`)] : []),
  ],
  ['httpGet', httpErrors],
  ['tcpSocket', (action, path) => portReferenceErrors(action['port'], `${path}.port`)],
];
const probeHandlers: readonly Handler[] = [
  ...commonHandlers,
  ['grpc', (action, path) => portReferenceErrors(action['port'], `${path}.port`)],
];

function hookHandlers(grace: unknown): readonly Handler[] {
  return [...commonHandlers, ['sleep', (action, path) => sleepErrors(action, grace, path)]];
}

function sleepErrors(action: JsonObject, grace: unknown, path: string): readonly FieldError[] {
  const seconds = numberOf(action['seconds']);
  if (typeof grace !== 'number' || (seconds >= 0 && seconds <= grace)) return [];
  const detail = `must be non-negative and less than terminationGracePeriodSeconds (${grace})`;
  return [invalidField(path, seconds, detail)];
}

/** Of several handlers the first is looked at (validateHandler). */
function handlerErrors(
  holder: JsonObject,
  handlers: readonly Handler[],
  path: string,
): readonly FieldError[] {
  const [first, ...more] = handlers.filter(([name]) => holder[name] !== undefined);
  if (first === undefined) return [requiredField(path, 'must specify a handler type')];
  const [name, check] = first;
  const action = holder[name];
  return [
    ...(isObject(action) ? check(action, `${path}.${name}`) : []),
    ...more.map(([other]) => forbiddenField(`${path}.${other}`, 'may not specify more than 1 handler type')),
  ];
}

const schemes = ['HTTP', 'HTTPS'];

function httpErrors(action: JsonObject, path: string): readonly FieldError[] {
  const scheme = stringOf(action['scheme']);
  return [
    ...(stringOf(action['path']) === '' ? [requiredField(`${path}.path`)] : []),
    ...portReferenceErrors(action['port'], `${path}.port`),
    ...(schemes.includes(scheme) ? [] : [notSupportedField(`${path}.scheme`, scheme, schemes)]),
    ...objectsOf(action['httpHeaders']).flatMap(({ name }) =>
      formatErrors(`${path}.httpHeaders`, stringOf(name), headerName),
    ),
  ];
}

/** A port by number or by name (ValidatePortNumOrName). */
export function portReferenceErrors(port: unknown, field: string): readonly FieldError[] {
  if (typeof port === 'string') return formatErrors(field, port, portName);
  return isPortNumber(port) ? [] : [invalidField(field, port ?? 0, portNumberText)];
}
