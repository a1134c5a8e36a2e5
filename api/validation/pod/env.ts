import {
  invalidField,
  notFoundField,
  notSupportedField,
  requiredField,
  type FieldError,
} from '#api/errors/field-error.ts';
import { isObject, objectOf, objectsOf, stringOf } from '#api/wire/json.ts';
import type { JsonObject } from '#api/meta/object.ts';
import { formatQuantity, tryParseQuantity } from '#api/meta/quantity.ts';
import {
  configKey,
  dnsLabel,
  dnsSubdomain,
  envName,
  formatErrors,
  qualifiedName,
  requiredText,
} from '#api/validation/format.ts';
import { backstepErrors } from './paths.ts';

/** Complaints about the variables of a container (ValidateEnv). */
export function envErrors(variables: readonly JsonObject[], path: string): readonly FieldError[] {
  return variables.flatMap((variable, index) => {
    const field = `${path}[${index}]`;
    const name = requiredText(variable, 'name', field, envName);
    const { valueFrom } = variable;
    return isObject(valueFrom)
      ? [...name, ...valueFromErrors(valueFrom, stringOf(variable['value']), `${field}.valueFrom`)]
      : name;
  });
}

type Source = (source: JsonObject, path: string) => readonly FieldError[];

const envSources: readonly (readonly [string, Source])[] = [
  ['fieldRef', (source, path) => fieldRefErrors(source, envFields, path)],
  ['resourceFieldRef', (source, path) => resourceFieldErrors(source, path, false)],
  ['configMapKeyRef', keyRefErrors],
  ['secretKeyRef', keyRefErrors],
  ['fileKeyRef', fileKeyErrors],
];

function valueFromErrors(sources: JsonObject, value: string, field: string): readonly FieldError[] {
  const given = envSources.filter(([name]) => isObject(sources[name]));
  const errors = given.flatMap(([name, check]) => check(objectOf(sources[name]), `${field}.${name}`));
  if (given.length === 0) {
    const names = envSources.map(([name]) => `\`${name}\``);
    const list = `${names.slice(0, -1).join(', ')} or ${names.at(-1)}`;
    return [invalidField(field, '', `must specify one of: ${list}`)];
  }
  if (value !== '')
    return [...errors, invalidField(field, '', 'may not be specified when `value` is not empty')];
  return given.length > 1
    ? [...errors, invalidField(field, '', 'may not have more than one field specified at a time')]
    : errors;
}

/** What an environment variable may say of the pod. */
const envFields = [
  'metadata.name',
  'metadata.namespace',
  'metadata.uid',
  'spec.nodeName',
  'spec.serviceAccountName',
  'status.hostIP',
  'status.hostIPs',
  'status.podIP',
  'status.podIPs',
];

/** What a file may say of the pod. */
export const fileFields: readonly string[] = [
  'metadata.annotations',
  'metadata.labels',
  'metadata.name',
  'metadata.namespace',
  'metadata.uid',
];

/** What names a field of a pod at all (ConvertDownwardAPIFieldLabel). */
const podFields: ReadonlySet<string> = new Set([
  ...envFields,
  ...fileFields,
  'spec.restartPolicy',
  'spec.schedulerName',
  'status.phase',
]);

/** A field of the pod by its path, one of the `allowed` or one label or annotation (validateObjectFieldSelector). */
export function fieldRefErrors(
  source: JsonObject,
  allowed: readonly string[],
  path: string,
): readonly FieldError[] {
  const [version, text] = [stringOf(source['apiVersion']), stringOf(source['fieldPath'])];
  const field = `${path}.fieldPath`;
  if (version === '') return [requiredField(`${path}.apiVersion`)];
  if (text === '') return [requiredField(field)];
  const wrong = (detail: string): readonly FieldError[] => [
    invalidField(field, text, `error converting fieldPath: ${detail}`),
  ];
  if (version !== 'v1') return wrong(`unsupported pod version: ${version}`);
  const start = text.endsWith("']") ? text.indexOf("['") : -1;
  if (start > 0) {
    const [name, subscript] = [text.slice(0, start), text.slice(start + 2, -2)];
    if (name === 'metadata.labels') return formatErrors(path, subscript, qualifiedName);
    if (name === 'metadata.annotations') return formatErrors(path, subscript.toLowerCase(), qualifiedName);
    return wrong(`field label does not support subscript: ${text}`);
  }
  const known = text === 'spec.host' ? 'spec.nodeName' : text;
  if (!podFields.has(known)) return wrong(`field label not supported: ${text}`);
  return allowed.includes(known) ? [] : [notSupportedField(field, known, allowed)];
}

const resourceFields = ['limits', 'requests'].flatMap((list) =>
  ['cpu', 'ephemeral-storage', 'memory'].map((name) => `${list}.${name}`),
);
const sizes = '1, 1k, 1M, 1G, 1T, 1P, 1E, 1Ki, 1Mi, 1Gi, 1Ti, 1Pi, 1Ei';

/** An amount of a container; in a file, of a container by its name (validateContainerResourceFieldSelector). */
export function resourceFieldErrors(
  source: JsonObject,
  path: string,
  isFile: boolean,
): readonly FieldError[] {
  const resource = stringOf(source['resource']);
  const divisor = divisorErrors(resource, source['divisor'], `${path}.divisor`);
  if (isFile && stringOf(source['containerName']) === '') {
    return [requiredField(`${path}.containerName`), ...divisor];
  }
  if (resource === '') return [requiredField(`${path}.resource`), ...divisor];
  const isKnown = resourceFields.includes(resource) || /^(limits|requests)\.hugepages-/.test(resource);
  return isKnown ? divisor : [notSupportedField(`${path}.resource`, resource, resourceFields), ...divisor];
}

function divisorErrors(resource: string, value: unknown, field: string): readonly FieldError[] {
  const divisor = tryParseQuantity(value);
  if (divisor === undefined || divisor.nanos === 0n) return [];
  const [, kind = ''] =
    /^(?:limits|requests)\.(cpu$|memory$|ephemeral-storage$|hugepages-)/.exec(resource) ?? [];
  const names: Readonly<Record<string, string>> = {
    cpu: 'cpu',
    memory: 'memory',
    'ephemeral-storage': 'local ephemeral storage',
    'hugepages-': 'hugepages',
  };
  const name = names[kind];
  if (name === undefined) return [];
  const values = name === 'cpu' ? '1m and 1' : sizes;
  const isAllowed = values.split(/, | and /).includes(formatQuantity(divisor));
  const detail = `only divisor's values ${values} are supported with the ${name} resource`;
  return isAllowed ? [] : [invalidField(field, resource, detail)];
}

function keyRefErrors(source: JsonObject, path: string): readonly FieldError[] {
  return [
    ...formatErrors(`${path}.name`, stringOf(source['name']), dnsSubdomain),
    ...requiredText(source, 'key', path, configKey),
  ];
}

function fileKeyErrors(source: JsonObject, path: string): readonly FieldError[] {
  const file = stringOf(source['path']);
  return [
    ...requiredText(source, 'key', path, envName),
    ...requiredText(source, 'volumeName', path, dnsLabel),
    ...(file === '' ? [requiredField(`${path}.path`)] : backstepErrors(file, `${path}.path`)),
  ];
}

/** Complaints about ConfigMaps and Secrets whose keys become variables; what is said of all has no index (ValidateEnvFrom). */
export function envFromErrors(sources: readonly JsonObject[], path: string): readonly FieldError[] {
  return sources.flatMap((source, index) => {
    const prefix = stringOf(source['prefix']);
    const kinds = ['configMapRef', 'secretRef'].filter((kind) => isObject(source[kind]));
    const errors = [
      ...(prefix === '' ? [] : formatErrors(`${path}[${index}].prefix`, prefix, envName)),
      ...kinds.flatMap((kind) =>
        requiredText(objectOf(source[kind]), 'name', `${path}[${index}].${kind}`, namePrefix),
      ),
    ];
    if (kinds.length === 0) {
      return [...errors, invalidField(path, '', 'must specify one of: `configMapRef` or `secretRef`')];
    }
    return kinds.length > 1
      ? [...errors, invalidField(path, '', 'may not have more than one field specified at a time')]
      : errors;
  });
}

/** A name that may go on, and so may end in a dash, as kube-apiserver takes it here. */
function namePrefix(text: string): readonly string[] {
  return dnsSubdomain(text.length > 1 && text.endsWith('-') ? `${text.slice(0, -1)}a` : text);
}

/** Variables from files need an emptyDir (validateFileKeyRefVolumes). */
export function fileVolumeErrors(
  containers: readonly (readonly [JsonObject, string])[],
  volumes: readonly JsonObject[],
): readonly FieldError[] {
  const sources = new Map(volumes.map((volume) => [stringOf(volume['name']), volume]));
  return containers.flatMap(([container, path]) =>
    objectsOf(container['env']).flatMap((variable, index) => {
      const source = objectOf(variable['valueFrom'])['fileKeyRef'];
      if (!isObject(source)) return [];
      const field = `${path}.env[${index}].valueFrom.fileKeyRef.volumeName`;
      return fileVolumeError(field, stringOf(source['volumeName']), sources);
    }),
  );
}

function fileVolumeError(
  field: string,
  name: string,
  sources: ReadonlyMap<string, JsonObject>,
): readonly FieldError[] {
  const volume = sources.get(name);
  if (volume === undefined) return [notFoundField(field, name)];
  return isObject(volume['emptyDir'])
    ? []
    : [invalidField(field, name, 'referenced volume must be of type emptyDir')];
}
