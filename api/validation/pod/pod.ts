import {
  duplicateField,
  forbiddenField,
  invalidField,
  notSupportedField,
  requiredField,
  type FieldError,
} from '#api/errors/field-error.ts';
import {
  at,
  equalJson,
  goJson,
  listOf,
  numberOf,
  objectOf,
  objectsOf,
  stringOf,
  withPath,
} from '#api/wire/json.ts';
import type { JsonObject } from '#api/meta/object.ts';
import { tryParseQuantity } from '#api/meta/quantity.ts';
import { hostPortErrors, localPathErrors, resourceErrors, validateContainer } from './container.ts';
import { dnsLabel, dnsSubdomain, formatErrors, requiredText } from '#api/validation/format.ts';
import { labelErrors } from '#api/validation/labels.ts';
import { choiceErrorsOfContainers, ephemeralErrors, hostnameErrors, windowsErrors } from './choices.ts';
import { nameServiceErrors } from './dns.ts';
import { contextErrors, profileErrors } from './profiles.ts';
import { podSecurityErrors } from './security.ts';
import { spreadErrors } from './spread.ts';
import { sysctlErrors } from './sysctls.ts';

/** Complaints about a pod. */
export function validatePod(pod: JsonObject): readonly FieldError[] {
  return validatePodSpec(objectOf(pod['spec']), 'spec');
}

/** Complaints about the spec of a pod or template at `path`; `givenVolumes` are the names of those that its pods get from elsewhere. */
export function validatePodSpec(
  spec: JsonObject,
  path: string,
  givenVolumes: readonly string[] = [],
): readonly FieldError[] {
  const volumes = objectsOf(spec['volumes']);
  const names = new Set([...volumes.map(({ name }) => stringOf(name)), ...givenVolumes]);
  return [
    ...volumeErrors(volumes, `${path}.volumes`),
    ...containerErrors(spec, { path, volumes: names }),
    ...choiceErrors(spec, path),
    ...choiceErrorsOfContainers(spec, path),
    ...hostnameErrors(spec, path),
    ...windowsErrors(objectOf(spec['securityContext']), spec, `${path}.securityContext`),
    ...sysctlErrors(objectOf(spec['securityContext']), `${path}.securityContext`),
    ...podSecurityErrors(spec, path),
    ...profileErrors(spec, path),
    ...nameServiceErrors(spec, path),
    ...spreadErrors(spec, path),
    ...timeErrors(spec, path),
    ...labelErrors(spec['nodeSelector'], `${path}.nodeSelector`),
    ...nameErrors(spec, path),
    ...tolerationErrors(objectsOf(spec['tolerations']), `${path}.tolerations`),
    ...hostNetworkErrors(spec, path),
    ...hostPortErrors(objectsOf(spec['containers']), `${path}.containers`),
    ...resourceErrors(objectOf(spec['resources']), `${path}.resources`),
    ...resourceErrors({ limits: spec['overhead'] }, `${path}.overhead`),
  ];
}

const updateText =
  'pod updates may not change fields other than `spec.containers[*].image`,`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing tolerations),`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)';

/** What may change in the spec of a pod that exists: images, a shorter deadline, more tolerations, and gates that open. */
export function validatePodUpdate(old: JsonObject, pod: JsonObject): readonly FieldError[] {
  const [before, after] = [objectOf(old['spec']), objectOf(pod['spec'])];
  const errors = tolerationsKept(before, after)
    ? []
    : [
        forbiddenField(
          'spec.tolerations',
          'existing toleration can not be modified except its tolerationSeconds',
        ),
      ];
  const [fixedBefore, fixedAfter] = [
    fixedPart(before),
    fixedPart(withImagesOf(before, withGraceOf(before, after))),
  ];
  if (equalJson(fixedBefore, fixedAfter)) return errors;
  return [...errors, forbiddenField('spec', `${updateText}\n${renderDifference(fixedBefore, fixedAfter)}`)];
}

/** Ephemeral containers are only added, and only through their subresource. */
export function validateEphemeralContainers(old: JsonObject, pod: JsonObject): readonly FieldError[] {
  const path = 'spec.ephemeralContainers';
  const added = objectsOf(at(pod, path));
  const known = objectsOf(at(old, path));
  const others = new Set(
    ['containers', 'initContainers'].flatMap((list) =>
      objectsOf(at(pod, ['spec', list])).map(({ name }) => name),
    ),
  );
  const taken = new Set(others);
  const texts = new Set(added.map(goJson));
  const kept = known.flatMap((container, index) =>
    texts.has(goJson(container))
      ? []
      : [forbiddenField(`${path}[${index}]`, 'existing ephemeral containers may not be changed or removed')],
  );
  const volumes = new Set(objectsOf(at(pod, 'spec.volumes')).map(({ name }) => stringOf(name)));
  return [
    ...added.flatMap((container, index) => {
      const field = `${path}[${index}]`;
      const errors = [
        ...validateContainer(container, { path: field, volumes, isInit: false }),
        ...ephemeralErrors(container, others, field),
        ...contextErrors(container['securityContext'], `${field}.securityContext`),
      ];
      const isTaken = taken.has(container['name']);
      taken.add(container['name']);
      return isTaken ? [...errors, duplicateField(`${field}.name`, container['name'])] : errors;
    }),
    ...kept,
  ];
}

function containerErrors(
  spec: JsonObject,
  { path, volumes }: { readonly path: string; readonly volumes: ReadonlySet<string> },
): readonly FieldError[] {
  const containers = objectsOf(spec['containers']);
  if (containers.length === 0) return [requiredField(`${path}.containers`)];
  const names = new Set<unknown>();
  const check = (list: string, isInit: boolean): readonly FieldError[] =>
    objectsOf(spec[list]).flatMap((container, index) => {
      const field = `${path}.${list}[${index}]`;
      const errors = validateContainer(container, { path: field, volumes, isInit });
      const isDuplicate = stringOf(container['name']) !== '' && names.has(container['name']);
      names.add(container['name']);
      return isDuplicate ? [...errors, duplicateField(`${field}.name`, container['name'])] : errors;
    });
  return [...check('containers', false), ...check('initContainers', true)];
}

/** The values in the order in which kube-apiserver names them. */
const choices: readonly (readonly [string, readonly string[]])[] = [
  ['restartPolicy', ['Always', 'OnFailure', 'Never']],
  ['dnsPolicy', ['ClusterFirst', 'ClusterFirstWithHostNet', 'Default', 'None']],
];

function choiceErrors(spec: JsonObject, path: string): readonly FieldError[] {
  return choices.flatMap(([name, allowed]) => {
    const value = stringOf(spec[name]);
    if (value === '') return [requiredField(`${path}.${name}`)];
    return allowed.includes(value) ? [] : [notSupportedField(`${path}.${name}`, value, allowed)];
  });
}

function timeErrors(spec: JsonObject, path: string): readonly FieldError[] {
  const deadline = spec['activeDeadlineSeconds'];
  return [
    ...(typeof deadline === 'number' && (deadline < 1 || deadline > 2_147_483_647)
      ? [
          invalidField(
            `${path}.activeDeadlineSeconds`,
            deadline,
            'must be between 1 and 2147483647, inclusive',
          ),
        ]
      : []),
  ];
}

function nameErrors(spec: JsonObject, path: string): readonly FieldError[] {
  const subdomains = ['serviceAccountName', 'nodeName', 'priorityClassName', 'runtimeClassName'];
  const labels = ['hostname', 'subdomain'];
  return [...subdomains, ...labels].flatMap((name) => {
    const text = stringOf(spec[name]);
    return text === ''
      ? []
      : formatErrors(`${path}.${name}`, text, labels.includes(name) ? dnsLabel : dnsSubdomain);
  });
}

function tolerationErrors(tolerations: readonly JsonObject[], path: string): readonly FieldError[] {
  return tolerations.flatMap((toleration, index) => {
    const { key, operator, effect, value, tolerationSeconds } = toleration;
    const field = `${path}[${index}]`;
    const errors: FieldError[] = [];
    if (stringOf(key) === '' && operator !== 'Exists') {
      errors.push(
        invalidField(
          `${field}.operator`,
          operator ?? '',
          'operator must be Exists when `key` is empty, which means "match all values and all keys"',
        ),
      );
    }
    if (operator === 'Exists' && stringOf(value) !== '') {
      errors.push(
        invalidField(`${field}.operator`, toleration, "value must be empty when `operator` is 'Exists'"),
      );
    }
    if (tolerationSeconds !== undefined && effect !== 'NoExecute') {
      errors.push(
        invalidField(
          `${field}.effect`,
          effect ?? '',
          "effect must be 'NoExecute' when `tolerationSeconds` is set",
        ),
      );
    }
    return errors;
  });
}

function hostNetworkErrors(spec: JsonObject, path: string): readonly FieldError[] {
  if (spec['hostNetwork'] !== true) return [];
  return objectsOf(spec['containers']).flatMap((container, index) =>
    objectsOf(container['ports']).flatMap((port, portIndex) =>
      numberOf(port['hostPort']) === numberOf(port['containerPort'])
        ? []
        : [
            invalidField(
              `${path}.containers[${index}].ports[${portIndex}].containerPort`,
              port['containerPort'],
              'must match `hostPort` when `hostNetwork` is true',
            ),
          ],
    ),
  );
}

function volumeErrors(volumes: readonly JsonObject[], path: string): readonly FieldError[] {
  const names = new Set<string>();
  return volumes.flatMap((volume, index) => {
    const field = `${path}[${index}]`;
    const name = stringOf(volume['name']);
    const errors = [...requiredText(volume, 'name', field, dnsLabel)];
    if (errors.length === 0 && names.has(name)) errors.push(duplicateField(`${field}.name`, name));
    names.add(name);
    return [...errors, ...volumeSourceErrors(volume, field)];
  });
}

function volumeSourceErrors(volume: JsonObject, path: string): readonly FieldError[] {
  const sources = Object.keys(volume).filter((key) => key !== 'name');
  const [first = ''] = sources;
  if (first === '') return [requiredField(path, 'must specify a volume type')];
  const more = sources
    .slice(1)
    .map((key) => forbiddenField(`${path}.${key}`, 'may not specify more than 1 volume type'));
  const source = objectOf(volume[first]);
  const field = `${path}.${first}`;
  switch (first) {
    case 'secret':
      return [...requiredText(source, 'secretName', field), ...itemErrors(source, field), ...more];
    case 'configMap':
      return [...requiredText(source, 'name', field), ...itemErrors(source, field), ...more];
    case 'hostPath':
      return [...hostPathErrors(source, field), ...more];
    case 'projected':
      return [...projectedErrors(source, field), ...more];
    case 'downwardAPI':
      return [...itemErrors(source, field), ...more];
    case 'emptyDir':
      return [...sizeLimitErrors(source, field), ...more];
    default:
      return more; // Required fields of the others are the schema's.
  }
}

function sizeLimitErrors(source: JsonObject, field: string): readonly FieldError[] {
  const limit = tryParseQuantity(source['sizeLimit']);
  return limit !== undefined && limit.nanos < 0n
    ? [forbiddenField(`${field}.sizeLimit`, 'SizeLimit field must be a valid resource quantity')]
    : [];
}

function hostPathErrors(source: JsonObject, field: string): readonly FieldError[] {
  const path = stringOf(source['path']);
  if (path === '') return [requiredField(`${field}.path`)];
  return path.split('/').includes('..') ? [invalidField(`${field}.path`, path, "must not contain '..'")] : [];
}

/** Files of a token are not among those that may conflict, as kube-apiserver has it. */
function projectedErrors(source: JsonObject, field: string): readonly FieldError[] {
  const taken = new Set<string>();
  return [
    ...objectsOf(source['sources']).flatMap((projection, index) => {
      const kinds = Object.keys(projection);
      const path = `${field}.sources[${index}]`;
      if (kinds.length > 1)
        return [forbiddenField(path, 'may not specify more than 1 volume type per source')];
      const [kind = ''] = kinds;
      const one = objectOf(projection[kind]);
      const conflicts = filesOf(kind, one).filter((file) => taken.has(file) || taken.add(file) === undefined);
      return [
        ...projectionErrors(kind, one, `${path}.${kind}`),
        ...conflicts.map((file) =>
          invalidField(field, stringOf(one['name']) || file, 'conflicting duplicate paths'),
        ),
      ];
    }),
    ...defaultModeErrors(source, field),
  ];
}

function projectionErrors(kind: string, source: JsonObject, path: string): readonly FieldError[] {
  switch (kind) {
    case 'secret':
    case 'configMap':
      return [...requiredText(source, 'name', path), ...itemErrors(source, path)];
    case 'serviceAccountToken':
      return [...expirationErrors(source, path), ...itemPathErrors(source, path)];
    case 'clusterTrustBundle':
      return itemPathErrors(source, path);
    default:
      return itemErrors(source, path);
  }
}

function filesOf(kind: string, source: JsonObject): readonly string[] {
  if (kind === 'clusterTrustBundle') return [stringOf(source['path'])];
  return objectsOf(source['items']).map((item) => stringOf(item['path']));
}

const expirationSecondsMin = 600;
const expirationSecondsMax = 2 ** 32;

/** As of a TokenRequest. */
function expirationErrors(source: JsonObject, path: string): readonly FieldError[] {
  const seconds = source['expirationSeconds'];
  const field = `${path}.expirationSeconds`;
  if (typeof seconds !== 'number') return [];
  if (seconds < expirationSecondsMin)
    return [invalidField(field, seconds, 'may not specify a duration less than 10 minutes')];
  return seconds > expirationSecondsMax
    ? [invalidField(field, seconds, 'may not specify a duration larger than 2^32 seconds')]
    : [];
}

const modeText = 'must be a number between 0 and 0777 (octal), both inclusive';

function defaultModeErrors(source: JsonObject, field: string): readonly FieldError[] {
  const mode = source['defaultMode'];
  return typeof mode === 'number' && (mode < 0 || mode > 0o777)
    ? [invalidField(`${field}.defaultMode`, mode, modeText)]
    : [];
}

function itemErrors(source: JsonObject, field: string): readonly FieldError[] {
  return [
    ...defaultModeErrors(source, field),
    ...objectsOf(source['items']).flatMap((item, index) => itemPathErrors(item, `${field}.items[${index}]`)),
  ];
}

/** Names that begin with two dots are those of the directories by which a volume is switched. */
function itemPathErrors(item: JsonObject, field: string): readonly FieldError[] {
  const path = stringOf(item['path']);
  if (path === '') return [requiredField(`${field}.path`)];
  const errors = localPathErrors(path, `${field}.path`);
  const isReserved = errors.length === 0 && path.startsWith('..');
  const { mode } = item;
  const isMode = mode === undefined || (typeof mode === 'number' && mode >= 0 && mode <= 0o777);
  return [
    ...errors,
    ...(isReserved ? [invalidField(`${field}.path`, path, "must not start with '..'")] : []),
    ...(isMode ? [] : [invalidField(`${field}.mode`, mode, modeText)]),
  ];
}

/** Everything in a spec but what may change. */
function fixedPart(spec: JsonObject): JsonObject {
  const {
    activeDeadlineSeconds: _deadline,
    tolerations: _tolerations,
    ephemeralContainers: _ephemeral,
    ...fixed
  } = spec;
  return fixed;
}

/** A negative grace period, which is treated as 1, may become 1. */
function withGraceOf(before: JsonObject, after: JsonObject): JsonObject {
  const name = 'terminationGracePeriodSeconds';
  const mends = Number(before[name]) < 0 && after[name] === 1;
  return mends ? { ...after, [name]: before[name] } : after;
}

function withImagesOf(before: JsonObject, after: JsonObject): JsonObject {
  const gates = listOf(after['schedulingGates']);
  const isOpening = gates.length < listOf(before['schedulingGates']).length;
  const opened = isOpening ? { ...after, schedulingGates: before['schedulingGates'] } : after;
  return ['containers', 'initContainers'].reduce((spec, list) => {
    const old = objectsOf(before[list]);
    if (old.length !== objectsOf(spec[list]).length || old.length === 0) return spec;
    const containers = objectsOf(spec[list]).map((container, index) => ({
      ...container,
      image: old[index]?.['image'],
    }));
    return withPath(spec, list, containers);
  }, opened);
}

function tolerationsKept(before: JsonObject, after: JsonObject): boolean {
  const withoutSeconds = ({ tolerationSeconds: _seconds, ...rest }: JsonObject): JsonObject => rest;
  const kept = new Set(objectsOf(after['tolerations']).map((one) => goJson(withoutSeconds(one))));
  return objectsOf(before['tolerations']).every((old) => kept.has(goJson(withoutSeconds(old))));
}

/** The fields that differ, as `-` and `+` lines. */
function renderDifference(before: JsonObject, after: JsonObject): string {
  const names = [...new Set([...Object.keys(before), ...Object.keys(after)])].toSorted();
  return names
    .filter((name) => !equalJson(before[name], after[name]))
    .map((name) => {
      const line = (sign: string, value: unknown): string => `${sign} "${name}": ${goJson(value ?? null)},\n`;
      return `${line('-', before[name])}${line('+', after[name])}`;
    })
    .join('');
}
