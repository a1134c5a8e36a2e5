import {
  duplicateField,
  forbiddenField,
  invalidField,
  notFoundField,
  notSupportedField,
  requiredField,
  type FieldError,
} from '#api/errors/field-error.ts';
import { isObject, numberOf, objectOf, objectsOf, stringOf } from '#api/wire/json.ts';
import type { JsonObject } from '#api/meta/object.ts';
import { compareQuantity, tryParseQuantity } from '#api/meta/quantity.ts';
import { ipErrors } from '#api/validation/address.ts';
import { amountErrors, containerResourceErrors, mayBeOvercommitted } from '#api/validation/resource-name.ts';
import { containerSecurityErrors } from './security.ts';
import {
  dnsLabel,
  envName,
  formatErrors,
  isPortNumber,
  portName,
  portNumberText,
  requiredText,
} from '#api/validation/format.ts';

/** Where a container is, and what is around it. */
export interface ContainerContext {
  readonly path: string;
  /** Names of the pod's volumes. */
  readonly volumes: ReadonlySet<string>;
  readonly isInit: boolean;
}

/** Complaints about one container, without its name's uniqueness. */
export function validateContainer(container: JsonObject, context: ContainerContext): readonly FieldError[] {
  const { path } = context;
  return [
    ...requiredText(container, 'name', path, dnsLabel),
    ...imageErrors(container, path),
    ...portErrors(objectsOf(container['ports']), `${path}.ports`),
    ...envErrors(objectsOf(container['env']), `${path}.env`),
    ...envFromErrors(objectsOf(container['envFrom']), `${path}.envFrom`),
    ...mountErrors(objectsOf(container['volumeMounts']), context),
    ...containerSecurityErrors(container, path),
    ...probeErrors(container, context),
    ...lifecycleErrors(container, context),
    ...policyErrors(container, path),
    ...resourceErrors(objectOf(container['resources']), `${path}.resources`),
  ];
}

/** Complaints about requests and limits. */
export function resourceErrors(resources: JsonObject, path: string): readonly FieldError[] {
  const limits = objectOf(resources['limits']);
  const requests = objectOf(resources['requests']);
  return [
    ...listErrors(limits, `${path}.limits`),
    ...listErrors(requests, `${path}.requests`),
    ...uncommittedErrors(limits, requests, path),
  ].concat(
    Object.entries(requests).flatMap(([name, value]) => {
      const request = tryParseQuantity(value);
      const limit = tryParseQuantity(limits[name]);
      if (request === undefined || limit === undefined || compareQuantity(request, limit) <= 0) return [];
      if (!mayBeOvercommitted(name)) return []; // Said by uncommittedErrors.
      const detail = `must be less than or equal to ${name} limit of ${String(limits[name])}`;
      return [invalidField(`${path}.requests`, value, detail)];
    }),
  );
}

function isHugePages(name: string): boolean {
  return name.startsWith('hugepages-');
}

/** What is not given out twice: what is asked for is the limit; of huge pages with memory or cpu beside it. */
function uncommittedErrors(limits: JsonObject, requests: JsonObject, path: string): readonly FieldError[] {
  const names = [...new Set([...Object.keys(limits), ...Object.keys(requests)])];
  const errors = Object.keys(requests)
    .filter((name) => !mayBeOvercommitted(name))
    .flatMap((name) => {
      if (limits[name] === undefined) {
        return [requiredField(`${path}.limits`, 'Limit must be set for non overcommitable resources')];
      }
      const [request, limit] = [tryParseQuantity(requests[name]), tryParseQuantity(limits[name])];
      if (request === undefined || limit === undefined || compareQuantity(request, limit) === 0) return [];
      const detail = `must be equal to ${name} limit of ${String(limits[name])}`;
      return [invalidField(`${path}.requests`, requests[name], detail)];
    });
  return names.some(isHugePages) && !names.includes('cpu') && !names.includes('memory')
    ? [...errors, forbiddenField(path, 'HugePages require cpu or memory')]
    : errors;
}

function imageErrors(container: JsonObject, path: string): readonly FieldError[] {
  const image = stringOf(container['image']);
  if (image === '') return [requiredField(`${path}.image`)];
  if (image === image.trim()) return [];
  return [invalidField(`${path}.image`, image, 'must not have leading or trailing whitespace')];
}

function listErrors(amounts: JsonObject, path: string): readonly FieldError[] {
  return Object.entries(amounts).flatMap(([name, value]) => [
    ...containerResourceErrors(`${path}[${name}]`, name),
    ...amountErrors(`${path}[${name}]`, name, value),
  ]);
}

function portErrors(ports: readonly JsonObject[], path: string): readonly FieldError[] {
  const names = new Set<string>();
  return ports.flatMap((port, index) => {
    const field = `${path}[${index}]`;
    const name = stringOf(port['name']);
    const errors: FieldError[] = [];
    if (name !== '') {
      errors.push(...formatErrors(`${field}.name`, name, portName));
      if (names.has(name)) errors.push(duplicateField(`${field}.name`, name));
      names.add(name);
    }
    const number = numberOf(port['containerPort']);
    if (number === 0) errors.push(requiredField(`${field}.containerPort`));
    else if (!isPortNumber(number))
      errors.push(invalidField(`${field}.containerPort`, number, portNumberText));
    const hostPort = numberOf(port['hostPort']);
    if (hostPort !== 0 && !isPortNumber(hostPort)) {
      errors.push(invalidField(`${field}.hostPort`, hostPort, portNumberText));
    }
    if (stringOf(port['hostIP']) !== '') errors.push(...ipErrors(`${field}.hostIP`, port['hostIP']));
    return errors;
  });
}

/** Complaints about ports of the node that two containers of one pod ask for (AccumulateUniqueHostPorts). */
export function hostPortErrors(containers: readonly JsonObject[], path: string): readonly FieldError[] {
  const seen = new Set<string>();
  return containers.flatMap((container, index) =>
    objectsOf(container['ports']).flatMap((port, position) => {
      const hostPort = numberOf(port['hostPort']);
      if (hostPort === 0) return [];
      const key = `${stringOf(port['protocol'])}/${stringOf(port['hostIP'])}/${hostPort}`;
      const isDuplicate = seen.has(key);
      seen.add(key);
      return isDuplicate ? [duplicateField(`${path}[${index}].ports[${position}].hostPort`, key)] : [];
    }),
  );
}

const envSources = ['fieldRef', 'resourceFieldRef', 'configMapKeyRef', 'secretKeyRef', 'fileKeyRef'];
const podFieldPaths =
  /^(metadata\.(name|namespace|uid)|metadata\.(labels|annotations)\['.+'\]|spec\.(nodeName|serviceAccountName)|status\.(hostIP|hostIPs|podIP|podIPs))$/;

function envErrors(variables: readonly JsonObject[], path: string): readonly FieldError[] {
  return variables.flatMap((variable, index) => {
    const field = `${path}[${index}]`;
    const name = requiredText(variable, 'name', field, envName);
    return variable['valueFrom'] === undefined ? name : [...name, ...valueFromErrors(variable, field)];
  });
}

function valueFromErrors(variable: JsonObject, path: string): readonly FieldError[] {
  const field = `${path}.valueFrom`;
  const source = objectOf(variable['valueFrom']);
  const given = envSources.filter((name) => source[name] !== undefined);
  if (given.length === 0)
    return [invalidField(field, '', `must specify one of: ${envSources.map(quote).join(', ')}`)];
  if (stringOf(variable['value']) !== '') {
    return [invalidField(field, '', 'may not be specified when `value` is not empty')];
  }
  if (given.length > 1)
    return [invalidField(field, '', 'may not have more than one field specified at a time')];
  const { fieldPath } = objectOf(source['fieldRef']);
  if (typeof fieldPath !== 'string' || fieldPath === '' || podFieldPaths.test(fieldPath)) return [];
  return [
    notSupportedField(`${field}.fieldRef.fieldPath`, fieldPath, [
      'metadata.name',
      'metadata.namespace',
      'metadata.uid',
      'spec.nodeName',
      'spec.serviceAccountName',
      'status.hostIP',
      'status.hostIPs',
      'status.podIP',
      'status.podIPs',
    ]),
  ];
}

function quote(text: string): string {
  return `\`${text}\``;
}

function envFromErrors(sources: readonly JsonObject[], path: string): readonly FieldError[] {
  return sources.flatMap((source, index) => {
    const field = `${path}[${index}]`;
    const kinds = ['configMapRef', 'secretRef'].filter((kind) => source[kind] !== undefined);
    if (kinds.length === 0)
      return [invalidField(field, '', 'must specify one of: `configMapRef` or `secretRef`')];
    if (kinds.length > 1)
      return [invalidField(field, '', 'may not have more than one field specified at a time')];
    const [kind = ''] = kinds;
    return requiredText(objectOf(source[kind]), 'name', `${field}.${kind}`);
  });
}

function mountErrors(
  mounts: readonly JsonObject[],
  { path, volumes }: ContainerContext,
): readonly FieldError[] {
  const seen = new Set<string>();
  return mounts.flatMap((mount, index) => {
    const field = `${path}.volumeMounts[${index}]`;
    const [name, mountPath] = ['name', 'mountPath'].map((key) => stringOf(mount[key]));
    const errors: FieldError[] = [];
    if (name === undefined || name === '') errors.push(requiredField(`${field}.name`));
    else if (!volumes.has(name)) errors.push(notFoundField(`${field}.name`, name));
    if (mountPath === undefined || mountPath === '') errors.push(requiredField(`${field}.mountPath`));
    else if (seen.has(mountPath))
      errors.push(invalidField(`${field}.mountPath`, mountPath, 'must be unique'));
    seen.add(mountPath ?? '');
    for (const kind of ['subPath', 'subPathExpr']) {
      // Without an index, as kube-apiserver has it.
      errors.push(...localPathErrors(stringOf(mount[kind]), `${path}.volumeMounts.${kind}`));
    }
    return errors;
  });
}

/** A path within a volume: relative, and not up and out of it. */
export function localPathErrors(path: string, field: string): readonly FieldError[] {
  if (path.startsWith('/')) return [invalidField(field, path, 'must be a relative path')];
  return path.split('/').includes('..') ? [invalidField(field, path, "must not contain '..'")] : [];
}

const handlers = ['exec', 'httpGet', 'tcpSocket', 'grpc', 'sleep'];

function probeErrors(container: JsonObject, { path, isInit }: ContainerContext): readonly FieldError[] {
  const isSidecar = container['restartPolicy'] === 'Always';
  return ['livenessProbe', 'readinessProbe', 'startupProbe'].flatMap((name) => {
    const probe = container[name];
    if (!isObject(probe)) return [];
    const field = `${path}.${name}`;
    if (isInit && !isSidecar)
      return [forbiddenField(field, 'may not be set for init containers without restartPolicy=Always')];
    const counts = [
      'initialDelaySeconds',
      'timeoutSeconds',
      'periodSeconds',
      'successThreshold',
      'failureThreshold',
    ];
    const errors = counts.flatMap((count) =>
      numberOf(probe[count]) < 0
        ? [invalidField(`${field}.${count}`, probe[count], 'must be greater than or equal to 0')]
        : [],
    );
    if (name !== 'readinessProbe' && numberOf(probe['successThreshold']) > 1) {
      errors.push(invalidField(`${field}.successThreshold`, probe['successThreshold'], 'must be 1'));
    }
    return [...handlerErrors(probe, field), ...errors];
  });
}

function lifecycleErrors(container: JsonObject, { path, isInit }: ContainerContext): readonly FieldError[] {
  const lifecycle = objectOf(container['lifecycle']);
  if (isInit && container['lifecycle'] !== undefined && container['restartPolicy'] !== 'Always') {
    return [
      forbiddenField(`${path}.lifecycle`, 'may not be set for init containers without restartPolicy=Always'),
    ];
  }
  return ['postStart', 'preStop'].flatMap((hook) => {
    const handler = lifecycle[hook];
    return isObject(handler) ? handlerErrors(handler, `${path}.lifecycle.${hook}`) : [];
  });
}

function handlerErrors(holder: JsonObject, path: string): readonly FieldError[] {
  const given = handlers.filter((handler) => holder[handler] !== undefined);
  const [first = ''] = given;
  if (first === '') return [requiredField(path, 'must specify a handler type')];
  const more = given
    .slice(1)
    .map((name) => forbiddenField(`${path}.${name}`, 'may not specify more than 1 handler type'));
  const handler = objectOf(holder[first]);
  const field = `${path}.${first}`;
  if (first === 'exec') {
    return Array.isArray(handler['command']) ? more : [requiredField(`${field}.command`), ...more];
  }
  return first === 'sleep' ? more : [...portReferenceErrors(handler['port'], `${field}.port`), ...more];
}

/** A port by number or by name. */
export function portReferenceErrors(port: unknown, field: string): readonly FieldError[] {
  if (typeof port === 'string') return formatErrors(field, port, portName);
  return isPortNumber(port) ? [] : [invalidField(field, port ?? 0, portNumberText)];
}

/** Checked in this order by kube-apiserver; the values sorted. */
function policyErrors(container: JsonObject, path: string): readonly FieldError[] {
  const policies: readonly (readonly [string, readonly string[]])[] = [
    ['imagePullPolicy', ['Always', 'IfNotPresent', 'Never']],
    ['terminationMessagePolicy', ['FallbackToLogsOnError', 'File']],
  ];
  return policies.flatMap(([name, allowed]) => {
    const value = stringOf(container[name]);
    if (value === '') return [requiredField(`${path}.${name}`)];
    return allowed.includes(value) ? [] : [notSupportedField(`${path}.${name}`, value, allowed)];
  });
}
