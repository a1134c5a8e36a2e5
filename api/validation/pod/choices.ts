import {
  duplicateField,
  forbiddenField,
  invalidField,
  notFoundField,
  notSupportedField,
  requiredField,
  type FieldError,
} from '#api/errors/field-error.ts';
import { at, isObject, listOf, numberOf, objectOf, objectsOf, stringOf } from '#api/wire/json.ts';
import type { JsonObject } from '#api/meta/object.ts';
import { dnsSubdomain, formatErrors } from '#api/validation/format.ts';

/** Complaints about choices of containers that hang together with each other or with the pod's. */
export function choiceErrorsOfContainers(spec: JsonObject, path: string): readonly FieldError[] {
  return ['initContainers', 'containers'].flatMap((list) =>
    objectsOf(spec[list]).flatMap((container, index) => {
      const field = `${path}.${list}[${index}]`;
      return [
        ...resizePolicyErrors(container, spec, field),
        ...restartErrors(container, field),
        ...mountErrors(objectsOf(container['volumeMounts']), field),
        ...probeErrors(container, field),
        ...lifecycleErrors(container, spec, field),
        ...securityErrors(objectOf(container['securityContext']), spec, `${field}.securityContext`),
      ];
    }),
  );
}

/** Complaints about the host name that a pod may give itself. */
export function hostnameErrors(spec: JsonObject, path: string): readonly FieldError[] {
  const field = `${path}.hostnameOverride`;
  const name = stringOf(spec['hostnameOverride']);
  if (name === '') return [];
  const others = ['hostNetwork', 'setHostnameAsFQDN'].filter((other) => spec[other] === true);
  return [
    ...formatErrors(field, name, dnsSubdomain),
    ...(name.length > 64 ? [invalidField(field, name, 'must be no more than 64 characters')] : []),
    ...others.map((other) => forbiddenField(field, `may not be set when \`${other}\` is true`)),
  ];
}

function resizePolicyErrors(container: JsonObject, spec: JsonObject, path: string): readonly FieldError[] {
  const seen = new Set<string>();
  const field = `${path}.resizePolicy`;
  return objectsOf(container['resizePolicy']).flatMap((policy) => {
    const [resource, restart] = [stringOf(policy['resourceName']), stringOf(policy['restartPolicy'])];
    const isDuplicate = seen.has(resource);
    seen.add(resource);
    return [
      ...(isDuplicate ? [duplicateField(field, resource)] : []),
      ...oneOf(field, resource, ['cpu', 'memory']),
      ...oneOf(field, restart, ['NotRequired', 'RestartContainer']),
      ...(restart === 'RestartContainer' && spec['restartPolicy'] === 'Never'
        ? [invalidField(field, restart, "must be 'NotRequired' when `restartPolicy` is 'Never'")]
        : []),
    ];
  });
}

/** A container's own policy and rules (KEP-5307). */
function restartErrors(container: JsonObject, path: string): readonly FieldError[] {
  const policy = stringOf(container['restartPolicy']);
  const rules = objectsOf(container['restartPolicyRules']);
  const field = `${path}.restartPolicy`;
  return [
    ...(policy === '' ? [] : oneOf(field, policy, ['Always', 'Never', 'OnFailure'])),
    ...(policy === '' && rules.length > 0
      ? [requiredField(field, 'must specify restartPolicy when restart rules are used')]
      : []),
    ...rules.flatMap((rule, index) => restartRuleErrors(rule, `${path}.restartPolicyRules[${index}]`)),
  ];
}

function restartRuleErrors(rule: JsonObject, path: string): readonly FieldError[] {
  const action = oneOf(`${path}.action`, stringOf(rule['action']), ['Restart', 'RestartAllContainers']);
  const codes = rule['exitCodes'];
  const field = `${path}.exitCodes`;
  if (!isObject(codes)) return [...action, requiredField(field, 'must be specified')];
  const values = listOf(codes['values']);
  return [
    ...action,
    ...oneOf(`${field}.operator`, stringOf(codes['operator']), ['In', 'NotIn']),
    ...(values.length === 0 || values.length > 255
      ? [invalidField(`${field}.values`, values, 'must have 1 to 255 values')]
      : []),
  ];
}

function mountErrors(mounts: readonly JsonObject[], path: string): readonly FieldError[] {
  return mounts.flatMap((mount, index) => {
    const field = `${path}.volumeMounts[${index}]`;
    const isBoth = stringOf(mount['subPath']) !== '' && stringOf(mount['subPathExpr']) !== '';
    const errors = isBoth
      ? [
          invalidField(
            `${field}.subPathExpr`,
            mount['subPathExpr'],
            'subPathExpr and subPath are mutually exclusive',
          ),
        ]
      : [];
    const recursive = stringOf(mount['recursiveReadOnly']);
    const own = `${field}.recursiveReadOnly`;
    if (recursive === '') return errors;
    errors.push(...oneOf(own, recursive, ['Disabled', 'Enabled', 'IfPossible']));
    if (recursive === 'Disabled') return errors;
    if (mount['readOnly'] !== true)
      errors.push(forbiddenField(own, 'may only be specified when readOnly is true'));
    if (!['', 'None'].includes(stringOf(mount['mountPropagation'])))
      errors.push(
        forbiddenField(own, 'may only be specified when mountPropagation is None or not specified'),
      );
    return errors;
  });
}

function probeErrors(container: JsonObject, path: string): readonly FieldError[] {
  return ['livenessProbe', 'readinessProbe', 'startupProbe'].flatMap((name) => {
    const grace = objectOf(container[name])['terminationGracePeriodSeconds'];
    const field = `${path}.${name}.terminationGracePeriodSeconds`;
    if (grace === undefined) return [];
    if (name === 'readinessProbe') return [invalidField(field, grace, 'must not be set for readinessProbes')];
    return numberOf(grace) > 0 ? [] : [invalidField(field, grace, 'must be greater than 0')];
  });
}

function lifecycleErrors(container: JsonObject, spec: JsonObject, path: string): readonly FieldError[] {
  const lifecycle = objectOf(container['lifecycle']);
  const grace = numberOf(spec['terminationGracePeriodSeconds']);
  const sleeps = ['postStart', 'preStop'].flatMap((hook) => {
    const seconds = at(lifecycle, [hook, 'sleep', 'seconds']);
    if (typeof seconds !== 'number' || (seconds >= 0 && seconds <= grace)) return [];
    const text = `must be non-negative and less than terminationGracePeriodSeconds (${grace})`;
    return [invalidField(`${path}.lifecycle.${hook}.sleep.seconds`, seconds, text)];
  });
  const isBare = lifecycle['stopSignal'] !== undefined && stringOf(at(spec, 'os.name')) === '';
  const field = `${path}.lifecycle.stopSignal`;
  return isBare
    ? [...sleeps, forbiddenField(field, 'may not be set for containers with empty `spec.os.name`')]
    : sleeps;
}

function securityErrors(context: JsonObject, spec: JsonObject, path: string): readonly FieldError[] {
  return [
    ...(context['procMount'] === 'Unmasked' && spec['hostUsers'] !== false
      ? [invalidField(`${path}.procMount`, 'Unmasked', '`hostUsers` must be false to use `Unmasked`')]
      : []),
    ...windowsErrors(context, spec, path),
  ];
}

/** Options for Windows in a pod that says it is none. */
export function windowsErrors(context: JsonObject, spec: JsonObject, path: string): readonly FieldError[] {
  return at(spec, 'os.name') === 'linux' && context['windowsOptions'] !== undefined
    ? [forbiddenField(`${path}.windowsOptions`, 'windows options cannot be set for a linux pod')]
    : [];
}

/** What a container may have that is added to a running pod; it is never restarted, and nobody waits for it. */
const ephemeralFields: ReadonlySet<string> = new Set([
  'args',
  'command',
  'env',
  'envFrom',
  'image',
  'imagePullPolicy',
  'name',
  'securityContext',
  'stdin',
  'stdinOnce',
  'targetContainerName',
  'terminationMessagePath',
  'terminationMessagePolicy',
  'tty',
  'volumeDevices',
  'volumeMounts',
  'workingDir',
]);

/** Complaints about an ephemeral container of a pod whose other containers have these names. */
export function ephemeralErrors(
  container: JsonObject,
  others: ReadonlySet<unknown>,
  path: string,
): readonly FieldError[] {
  const text = 'cannot be set for an Ephemeral Container';
  const isSet = (value: unknown): boolean =>
    isObject(value) ? Object.keys(value).length > 0 : value !== undefined;
  const target = stringOf(container['targetContainerName']);
  return [
    ...Object.keys(container)
      .filter((field) => !ephemeralFields.has(field) && isSet(container[field]))
      .map((field) => forbiddenField(`${path}.${field}`, text)),
    ...objectsOf(container['volumeMounts']).flatMap((mount, index) =>
      ['subPath', 'subPathExpr']
        .filter((field) => stringOf(mount[field]) !== '')
        .map((field) => forbiddenField(`${path}.volumeMounts[${index}].${field}`, text)),
    ),
    ...(target === '' || others.has(target) ? [] : [notFoundField(`${path}.targetContainerName`, target)]),
  ];
}

function oneOf(field: string, value: string, allowed: readonly string[]): readonly FieldError[] {
  if (value === '') return [requiredField(field)];
  return allowed.includes(value) ? [] : [notSupportedField(field, value, allowed)];
}
