import {
  duplicateField,
  forbiddenField,
  invalidField,
  notFoundField,
  notSupportedField,
  requiredField,
  type FieldError,
} from '#api/errors/field-error.ts';
import { isObject, listOf, numberOf, objectOf, objectsOf, stringOf } from '#api/wire/json.ts';
import type { JsonObject } from '#api/meta/object.ts';
import { ipText } from '#api/validation/address.ts';
import { familyOfIp } from '#base/ip.ts';
import { choiceErrors, givenChoiceErrors, tooManyErrors } from '#api/validation/field.ts';
import { dnsLabel, isPortNumber, portName, portNumberText, requiredText } from '#api/validation/format.ts';
import { envErrors, envFromErrors } from './env.ts';
import { backstepErrors, localPathErrors } from './paths.ts';
import { resourceErrors, type ClaimNames } from './resources.ts';
import { containerSecurityErrors } from './security.ts';

/** What is around a container. */
export interface ContainerContext {
  readonly spec: JsonObject;
  /** The pod's volumes by name, without those that are refused themselves. */
  readonly volumes: ReadonlyMap<string, JsonObject>;
  readonly claims: ClaimNames;
}

/** Complaints about a container of any kind, without its name's uniqueness (validateContainerCommon). */
export function validateContainer(
  container: JsonObject,
  path: string,
  context: ContainerContext,
): readonly FieldError[] {
  const { spec, claims } = context;
  return [
    ...requiredText(container, 'name', path, dnsLabel),
    ...(stringOf(container['image']) === '' ? [requiredField(`${path}.image`)] : []),
    ...choiceErrors(`${path}.terminationMessagePolicy`, container['terminationMessagePolicy'], [
      'File',
      'FallbackToLogsOnError',
    ]),
    ...portErrors(objectsOf(container['ports']), `${path}.ports`),
    ...envErrors(objectsOf(container['env']), `${path}.env`),
    ...envFromErrors(objectsOf(container['envFrom']), `${path}.envFrom`),
    ...mountErrors(container, path, context),
    ...deviceErrors(container, path, context),
    ...pullPolicyErrors(container['imagePullPolicy'], `${path}.imagePullPolicy`),
    ...resourceErrors(objectOf(container['resources']), `${path}.resources`, claims),
    ...resizePolicyErrors(container, spec, `${path}.resizePolicy`),
    ...containerSecurityErrors(container['securityContext'], spec, `${path}.securityContext`),
  ];
}

/** When an image is fetched. */
export function pullPolicyErrors(policy: unknown, field: string): readonly FieldError[] {
  return choiceErrors(field, policy, ['Always', 'IfNotPresent', 'Never']);
}

/** What only pods have to mind; templates may have it otherwise (validateContainerOnlyForPod). */
export function imageErrors(container: JsonObject, path: string): readonly FieldError[] {
  const image = stringOf(container['image']);
  return image === image.trim()
    ? []
    : [invalidField(`${path}.image`, image, 'must not have leading or trailing whitespace')];
}

const protocols = ['SCTP', 'TCP', 'UDP'];

function portErrors(ports: readonly JsonObject[], path: string): readonly FieldError[] {
  const names = new Set<string>();
  return ports.flatMap((port, index) => {
    const field = `${path}[${index}]`;
    const [number, hostPort] = [numberOf(port['containerPort']), numberOf(port['hostPort'])];
    const wrong = (name: string, value: number): readonly FieldError[] =>
      isPortNumber(value) ? [] : [invalidField(`${field}.${name}`, value, portNumberText)];
    return [
      ...portNameErrors(stringOf(port['name']), `${field}.name`, names),
      ...(number === 0 ? [requiredField(`${field}.containerPort`)] : wrong('containerPort', number)),
      ...(hostPort === 0 ? [] : wrong('hostPort', hostPort)),
      ...choiceErrors(`${field}.protocol`, port['protocol'], protocols),
      // More than kube-apiserver asks for: a node must be able to open it (docs/bugs.md).
      ...hostIpErrors(`${field}.hostIP`, stringOf(port['hostIP'])),
    ];
  });
}

function hostIpErrors(field: string, text: string): readonly FieldError[] {
  return text === '' || familyOfIp(text) !== undefined ? [] : [invalidField(field, text, ipText)];
}

function portNameErrors(name: string, field: string, names: Set<string>): readonly FieldError[] {
  if (name === '') return [];
  const errors = portName(name).map((detail) => invalidField(field, name, detail));
  if (errors.length > 0) return errors;
  if (names.has(name)) return [duplicateField(field, name)];
  names.add(name);
  return [];
}

/** Complaints about ports of the node that two containers ask for (checkHostPortConflicts). */
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

/** What is said of paths within a volume, and of how it is shared, has no index (ValidateVolumeMounts). */
function mountErrors(
  container: JsonObject,
  path: string,
  { volumes }: ContainerContext,
): readonly FieldError[] {
  const devices = objectsOf(container['volumeDevices']);
  const taken = new Set(devices.map(({ name }) => name));
  const devicePaths = new Set(devices.map(({ devicePath }) => devicePath));
  const seen = new Set<string>();
  const base = `${path}.volumeMounts`;
  return objectsOf(container['volumeMounts']).flatMap((mount, index) => {
    const [name, mountPath] = [stringOf(mount['name']), stringOf(mount['mountPath'])];
    const field = (key: string): string => `${base}[${index}].${key}`;
    const isTwice = seen.has(mountPath);
    seen.add(mountPath);
    return [
      ...(name === '' ? [requiredField(field('name'))] : []),
      ...(volumes.has(name) ? [] : [notFoundField(field('name'), name)]),
      ...(mountPath === '' ? [requiredField(field('mountPath'))] : []),
      ...(isTwice ? [invalidField(field('mountPath'), mountPath, 'must be unique')] : []),
      ...(taken.has(name)
        ? [invalidField(field('name'), name, 'must not already exist in volumeDevices')]
        : []),
      ...(devicePaths.has(mountPath)
        ? [invalidField(field('mountPath'), mountPath, 'must not already exist as a path in volumeDevices')]
        : []),
      ...subPathErrors(mount, base, field('subPathExpr')),
      ...propagationErrors(mount, container, `${base}.mountPropagation`),
      ...recursiveErrors(mount, `${base}.recursiveReadOnly`),
    ];
  });
}

function subPathErrors(mount: JsonObject, base: string, both: string): readonly FieldError[] {
  const [plain, expression] = [stringOf(mount['subPath']), stringOf(mount['subPathExpr'])];
  return [
    ...localPathErrors(plain, `${base}.subPath`),
    ...(plain !== '' && expression !== ''
      ? [invalidField(both, expression, 'subPathExpr and subPath are mutually exclusive')]
      : []),
    ...localPathErrors(expression, `${base}.subPathExpr`),
  ];
}

function propagationErrors(mount: JsonObject, container: JsonObject, field: string): readonly FieldError[] {
  const { mountPropagation: mode } = mount;
  const isPrivileged = objectOf(container['securityContext'])['privileged'] === true;
  const detail = 'Bidirectional mount propagation is available only to privileged containers';
  return [
    ...givenChoiceErrors(field, mode, ['Bidirectional', 'HostToContainer', 'None']),
    ...(mode === 'Bidirectional' && !isPrivileged ? [forbiddenField(field, detail)] : []),
  ];
}

function recursiveErrors(mount: JsonObject, field: string): readonly FieldError[] {
  const { recursiveReadOnly: mode, mountPropagation = 'None', readOnly } = mount;
  if (mode !== 'Enabled' && mode !== 'IfPossible') {
    return givenChoiceErrors(field, mode, ['Disabled', 'Enabled', 'IfPossible']);
  }
  const propagated = 'may only be specified when mountPropagation is None or not specified';
  return [
    ...(readOnly === true ? [] : [forbiddenField(field, 'may only be specified when readOnly is true')]),
    ...(mountPropagation === 'None' ? [] : [forbiddenField(field, propagated)]),
  ];
}

/** Volumes as block devices (ValidateVolumeDevices). */
function deviceErrors(
  container: JsonObject,
  path: string,
  { volumes }: ContainerContext,
): readonly FieldError[] {
  const mounts = objectsOf(container['volumeMounts']);
  const taken = new Set(mounts.map(({ name }) => name));
  const mountPaths = new Set(mounts.map(({ mountPath }) => mountPath));
  const [names, paths] = [new Set<string>(), new Set<string>()];
  return objectsOf(container['volumeDevices']).flatMap((device, index) => {
    const [name, devicePath] = [stringOf(device['name']), stringOf(device['devicePath'])];
    const field = (key: string): string => `${path}.volumeDevices[${index}].${key}`;
    const volume = volumes.get(name);
    const isClaim = isObject(volume?.['persistentVolumeClaim']) || isObject(volume?.['ephemeral']);
    const notClaim = 'can only use volume source type of PersistentVolumeClaim or Ephemeral for block mode';
    const climbs = backstepErrors(devicePath, '').length > 0;
    const errors = [
      ...(name === '' ? [requiredField(field('name'))] : []),
      ...(names.has(name) ? [invalidField(field('name'), name, 'must be unique')] : []),
      ...(volume !== undefined && !isClaim ? [invalidField(field('name'), name, notClaim)] : []),
      ...(volume === undefined ? [notFoundField(field('name'), name)] : []),
      ...(devicePath === '' ? [requiredField(field('devicePath'))] : []),
      ...(paths.has(devicePath) ? [invalidField(field('devicePath'), devicePath, 'must be unique')] : []),
      ...(climbs ? [invalidField(field('devicePath'), devicePath, "can not contain backsteps ('..')")] : []),
      ...(taken.has(name)
        ? [invalidField(field('name'), name, 'must not already exist in volumeMounts')]
        : []),
      ...(mountPaths.has(devicePath)
        ? [invalidField(field('devicePath'), devicePath, 'must not already exist as a path in volumeMounts')]
        : []),
    ];
    if (!climbs) paths.add(devicePath);
    if (name !== '') names.add(name);
    return errors;
  });
}

/** What is wrong with one is said of all; only one that is there twice has its place (validateResizePolicy). */
function resizePolicyErrors(container: JsonObject, spec: JsonObject, field: string): readonly FieldError[] {
  const seen = new Set<string>();
  return objectsOf(container['resizePolicy']).flatMap((policy, index) => {
    const [resource, restart] = [stringOf(policy['resourceName']), stringOf(policy['restartPolicy'])];
    const isDuplicate = seen.has(resource);
    seen.add(resource);
    const never = "must be 'NotRequired' when pod `restartPolicy` is 'Never'";
    return [
      ...(isDuplicate ? [duplicateField(`${field}[${index}]`, resource)] : []),
      ...choiceErrors(field, resource, ['cpu', 'memory']),
      ...choiceErrors(field, restart, ['NotRequired', 'RestartContainer']),
      ...(spec['restartPolicy'] === 'Never' && restart !== 'NotRequired'
        ? [invalidField(field, restart, never)]
        : []),
    ];
  });
}

/** What becomes of a container that ends (validateContainerRestartPolicy, KEP-5307 and KEP-5532). */
export function restartErrors(container: JsonObject, path: string): readonly FieldError[] {
  const rules = objectsOf(container['restartPolicyRules']);
  const { restartPolicy: policy } = container;
  const field = `${path}.restartPolicyRules`;
  return [
    ...(policy === undefined && rules.length > 0
      ? [requiredField(`${path}.restartPolicy`, 'must specify restartPolicy when restart rules are used')]
      : givenChoiceErrors(`${path}.restartPolicy`, policy, ['Always', 'Never', 'OnFailure'])),
    ...tooManyErrors(field, rules.length, 20),
    ...rules.flatMap((rule, index) => restartRuleErrors(rule, `${field}[${index}]`)),
  ];
}

const actions = ['Restart', 'RestartAllContainers'];
const operators = ['In', 'NotIn'];

function restartRuleErrors(rule: JsonObject, path: string): readonly FieldError[] {
  const [action, codes] = [stringOf(rule['action']), rule['exitCodes']];
  const field = `${path}.exitCodes`;
  const errors = actions.includes(action) ? [] : [notSupportedField(`${path}.action`, action, actions)];
  if (!isObject(codes)) return [...errors, requiredField(field, 'must be specified')];
  const operator = stringOf(codes['operator']);
  return [
    ...errors,
    ...(operators.includes(operator) ? [] : [notSupportedField(`${field}.operator`, operator, operators)]),
    ...tooManyErrors(`${field}.values`, listOf(codes['values']).length, 255),
  ];
}
