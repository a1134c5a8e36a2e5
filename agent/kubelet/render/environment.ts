import { memberOf } from '#api/wire/json.ts';
import { PodwrightError } from '#base/errors.ts';
import type {
  ConfigMap,
  Container,
  EnvVar,
  EphemeralContainer,
  FileKeySelector,
  Pod,
  Secret,
  Service,
} from '#api/generated/objects.ts';
import type { DownwardValues } from '#agent/volume/volume.ts';
import { createArgumentRoom, expandWithin } from './argument-room.ts';

export interface EnvironmentInput {
  readonly pod: Pod;
  readonly container: Container | EphemeralContainer;
  /** By name, of the pod's namespace; undefined: there is none. */
  readonly configMaps: ReadonlyMap<string, ConfigMap>;
  readonly secrets: ReadonlyMap<string, Secret>;
  readonly services: readonly Service[];
  readonly downward: DownwardValues;
  /** By volume and path in it, as `envFileKey` joins them; undefined: there is no such file. */
  readonly envFiles: ReadonlyMap<string, ReadonlyMap<string, string>>;
}

/** A file that variables are taken from. */
export function envFileKey({ volumeName, path }: Pick<FileKeySelector, 'volumeName' | 'path'>): string {
  return `${volumeName}/${path}`;
}

export interface EnvEntry {
  readonly name: string;
  readonly value: string;
}

/** The names of the ConfigMaps and Secrets that a container's environment refers to. */
export function environmentReferences(container: Container | EphemeralContainer): {
  readonly configMaps: readonly string[];
  readonly secrets: readonly string[];
  readonly files: readonly FileKeySelector[];
} {
  const { env = [], envFrom = [] } = container;
  const maps = [
    ...envFrom.map((from) => from.configMapRef?.name),
    ...env.map((entry) => entry.valueFrom?.configMapKeyRef?.name),
  ];
  const hidden = [
    ...envFrom.map((from) => from.secretRef?.name),
    ...env.map((entry) => entry.valueFrom?.secretKeyRef?.name),
  ];
  const names = (list: readonly (string | undefined)[]): readonly string[] => [
    ...new Set(list.filter((name) => name !== undefined)),
  ];
  const files = env.flatMap((entry) => entry.valueFrom?.fileKeyRef ?? []);
  return { configMaps: names(maps), secrets: names(hidden), files };
}

/**
 * The environment of a container, laid over the image's: services, then envFrom in order, then env in order, where
 * `$(NAME)` stands for what came before. @throws E_NOT_FOUND for a missing object or key, with Kubernetes' words;
 * E_LIMIT, with the name of the variable, for what execve(2) would not take
 */
export function renderEnvironment(input: EnvironmentInput): readonly EnvEntry[] {
  const room = createArgumentRoom();
  const result = new Map<string, string>();
  const set = (name: string, value: string, what = `environment variable ${name}`): void => {
    room.take(Buffer.byteLength(name) + 1 + Buffer.byteLength(value), what);
    result.set(name, value);
  };
  for (const [name, value] of serviceEnvironment(input.pod, input.services)) {
    set(name, value, `environment variable ${name} of a Service (enableServiceLinks: false leaves them out)`);
  }
  for (const from of input.container.envFrom ?? []) {
    for (const [name, value] of envFromEntries(from, input)) set(name, value);
  }
  for (const entry of input.container.env ?? []) {
    const value =
      entry.valueFrom === undefined
        ? expandWithin(entry.value ?? '', (name) => result.get(name), `environment variable ${entry.name}`)
        : referredValue(entry, input);
    if (value !== undefined) set(entry.name, value);
  }
  return [...result].map(([name, value]) => ({ name, value }));
}

function envFromEntries(
  from: NonNullable<Container['envFrom']>[number],
  { configMaps, secrets }: EnvironmentInput,
): readonly [string, string][] {
  const prefix = from.prefix ?? '';
  const { configMapRef, secretRef } = from;
  if (configMapRef !== undefined) {
    const object = configMaps.get(configMapRef.name ?? '');
    if (object === undefined && configMapRef.optional !== true) throw missing('configmap', configMapRef.name);
    return Object.entries(object?.data ?? {}).map(([key, value]) => [prefix + key, value]);
  }
  if (secretRef === undefined) return [];
  const object = secrets.get(secretRef.name ?? '');
  if (object === undefined && secretRef.optional !== true) throw missing('secret', secretRef.name);
  return Object.entries(object?.data ?? {}).map(([key, value]) => [prefix + key, fromBase64(value)]);
}

/** Undefined: an optional reference to nothing, which leaves the variable out. */
function referredValue({ name, valueFrom }: EnvVar, input: EnvironmentInput): string | undefined {
  const { configMapKeyRef, secretKeyRef, fieldRef, resourceFieldRef, fileKeyRef } = valueFrom ?? {};
  const namespace = input.pod.metadata?.namespace ?? '';
  if (fieldRef !== undefined) return input.downward.field(fieldRef.fieldPath);
  if (resourceFieldRef !== undefined) {
    const { containerName, resource, divisor } = resourceFieldRef;
    return input.downward.resource(containerName ?? input.container.name, resource, divisor);
  }
  if (configMapKeyRef !== undefined) {
    const { name: objectName = '', key, optional } = configMapKeyRef;
    const object = input.configMaps.get(objectName);
    if (object === undefined && optional !== true) throw missing('configmap', objectName);
    const value = memberOf(object?.data, key);
    if (value === undefined && optional !== true)
      throw missingKey(key, 'ConfigMap', `${namespace}/${objectName}`);
    return value;
  }
  if (secretKeyRef !== undefined) {
    const { name: objectName = '', key, optional } = secretKeyRef;
    const object = input.secrets.get(objectName);
    if (object === undefined && optional !== true) throw missing('secret', objectName);
    const value = memberOf(object?.data, key);
    if (value === undefined && optional !== true)
      throw missingKey(key, 'Secret', `${namespace}/${objectName}`);
    return value === undefined ? undefined : fromBase64(value);
  }
  if (fileKeyRef !== undefined) {
    const { key, path, volumeName, optional } = fileKeyRef;
    const value = input.envFiles.get(envFileKey(fileKeyRef))?.get(key);
    if (value === undefined && optional !== true)
      throw new PodwrightError(
        'E_NOT_FOUND',
        `environment variable key "${key}" not found in file "${path}" of volume "${volumeName}"`,
      );
    return value;
  }
  throw new PodwrightError(
    'E_UNSUPPORTED',
    `env ${name}: valueFrom of nothing is not supported by this node`,
  );
}

function missing(kind: string, name: string | undefined): PodwrightError {
  return new PodwrightError('E_NOT_FOUND', `${kind} "${name ?? ''}" not found`);
}

function missingKey(key: string, kind: string, where: string): PodwrightError {
  return new PodwrightError('E_NOT_FOUND', `couldn't find key ${key} in ${kind} ${where}`);
}

function fromBase64(value: string): string {
  return Buffer.from(value, 'base64').toString('utf8');
}

/** `NAME_SERVICE_HOST` and its like of the services of the pod's namespace; of the API server's always. */
export function serviceEnvironment(pod: Pod, services: readonly Service[]): readonly [string, string][] {
  const namespace = pod.metadata?.namespace ?? '';
  const isLinked = pod.spec?.enableServiceLinks !== false;
  const isMaster = (service: Service): boolean =>
    service.metadata?.namespace === 'default' && service.metadata.name === 'kubernetes';
  const own = services.filter((s) => s.metadata?.namespace === namespace && isLinked && !isMaster(s));
  return [...services.filter(isMaster), ...own].flatMap(oneServiceEnvironment);
}

function oneServiceEnvironment(service: Service): readonly [string, string][] {
  const { clusterIP: ip = '', ports = [] } = service.spec ?? {};
  const [first] = ports;
  if (ip === '' || ip === 'None' || first === undefined) return [];
  const prefix = envName(service.metadata?.name ?? '');
  const url = (port: typeof first): string =>
    `${(port.protocol ?? 'TCP').toLowerCase()}://${hostPort(ip, port.port)}`;
  const named = ports.flatMap((port): [string, string][] =>
    port.name === undefined || port.name === ''
      ? []
      : [[`${prefix}_SERVICE_PORT_${envName(port.name)}`, String(port.port)]],
  );
  const links = ports.flatMap((port): [string, string][] => {
    const protocol = port.protocol ?? 'TCP';
    const link = `${prefix}_PORT_${port.port}_${protocol}`;
    return [
      [link, url(port)],
      [`${link}_PROTO`, protocol.toLowerCase()],
      [`${link}_PORT`, String(port.port)],
      [`${link}_ADDR`, ip],
    ];
  });
  return [
    [`${prefix}_SERVICE_HOST`, ip],
    [`${prefix}_SERVICE_PORT`, String(first.port)],
    ...named,
    [`${prefix}_PORT`, url(first)],
    ...links,
  ];
}

function envName(name: string): string {
  return name.toUpperCase().replaceAll('-', '_').replaceAll('.', '_');
}

function hostPort(ip: string, port: number): string {
  return ip.includes(':') ? `[${ip}]:${port}` : `${ip}:${port}`;
}
