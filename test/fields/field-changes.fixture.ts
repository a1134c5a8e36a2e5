/**
 * For fields of a pod's spec, a change of the field alone that a node must act on: what it makes of the pod with it is something else than
 * without. `field-changes.test.ts` makes both.
 */
import type { PodSpec } from '#api/generated/objects.ts';

export interface FieldChange {
  /** Where in `spec`: `containers.0.workingDir`. The field is the last that has a type of its own on the way there. */
  readonly at: string;
  readonly to: unknown;
  /** What is there otherwise; undefined: nothing. */
  readonly from?: unknown;
  /** What else the pod has. */
  readonly on?: Partial<PodSpec>;
}

const image = 'i:1';
export const c: PodSpec['containers'][number] = { name: 'c', image };
const one = (more: Partial<typeof c>): Partial<PodSpec> => ({ containers: [{ ...c, ...more }] });
const change = (at: string, to: unknown, from?: unknown, on?: Partial<PodSpec>): FieldChange => ({
  at,
  to,
  ...(from === undefined ? {} : { from }),
  ...(on === undefined ? {} : { on }),
});

const command = ['x'];
const exec = { command };
/** A probe whose every number shows within half a minute. */
const probe = { exec, periodSeconds: 2 };
const withVolume = (volume: object): Partial<PodSpec> => ({
  volumes: [{ name: 'v', ...volume }],
  ...one({ volumeMounts: [{ name: 'v', mountPath: '/m' }] }),
});
const empty = withVolume({ emptyDir: {} });
const onVolume = (source: string, given: object): Partial<PodSpec> => withVolume({ [source]: given });

const ofPods: readonly FieldChange[] = [
  change('activeDeadlineSeconds', 5),
  change('containers', [c, { ...c, name: 'd' }], [c]),
  change('dnsConfig', { searches: ['x.example'] }),
  change('dnsConfig.nameservers', ['192.0.2.7'], undefined, { dnsConfig: {} }),
  change('dnsConfig.searches', ['x.example'], undefined, { dnsConfig: {} }),
  change('dnsConfig.options', [{ name: 'edns0' }], undefined, { dnsConfig: {} }),
  change('dnsConfig.options.0.name', 'a', 'b', { dnsConfig: { options: [{ name: 'b', value: '1' }] } }),
  change('dnsConfig.options.0.value', '2', undefined, { dnsConfig: { options: [{ name: 'b' }] } }),
  change('dnsPolicy', 'Default'),
  change('enableServiceLinks', false),
  change('ephemeralContainers', [{ name: 'e', image }]),
  change('hostAliases', [{ ip: '192.0.2.9', hostnames: ['n'] }]),
  change('hostAliases.0.ip', '192.0.2.9', '192.0.2.8', { hostAliases: [{ ip: 'x', hostnames: ['n'] }] }),
  change('hostAliases.0.hostnames', ['n'], ['o'], { hostAliases: [{ ip: '192.0.2.9' }] }),
  change('hostIPC', true),
  change('hostNetwork', true),
  change('hostPID', true),
  change('hostUsers', false),
  change('hostname', 'h'),
  change('hostnameOverride', 'h'),
  change('imagePullSecrets', [{ name: 's' }]),
  change('imagePullSecrets.0.name', 's', 't', { imagePullSecrets: [{}] }),
  change('initContainers', [{ name: 'i', image }]),
  change('nodeName', 'm', 'n', one({ env: [fieldEnv('spec.nodeName')] })),
  change('os', { name: 'windows' }),
  change('os.name', 'windows', 'linux', { os: { name: 'linux' } }),
  change('overhead', { cpu: '1' }),
  change('priority', 2_000_000_000),
  change('readinessGates', [{ conditionType: 'g' }]),
  change('readinessGates.0.conditionType', 'g', 'h', { readinessGates: [{ conditionType: 'h' }] }),
  change('resourceClaims', [{ name: 'gpu', resourceClaimName: 'x' }]),
  change('resources', { limits: { memory: '64Mi' } }),
  change('restartPolicy', 'Never'),
  change('runtimeClassName', 'kata'),
  change('securityContext', { runAsUser: 7 }),
  change('serviceAccountName', 'a', 'b', onVolume('projected', { sources: [tokenSource({})] })),
  change('setHostnameAsFQDN', true, undefined, { subdomain: 's' }),
  change('shareProcessNamespace', true),
  change('subdomain', 's'),
  change('terminationGracePeriodSeconds', 77),
  change('volumes', [{ name: 'v', emptyDir: {} }]),
];

function fieldEnv(fieldPath: string): { name: string; valueFrom: { fieldRef: { fieldPath: string } } } {
  return { name: 'F', valueFrom: { fieldRef: { fieldPath } } };
}

function tokenSource(more: object): { serviceAccountToken: { path: string } } {
  return { serviceAccountToken: { path: 'token', ...more } };
}

/** Of containers of every kind; those of the second list the API lets ephemeral ones not have. */
const ofContainers: readonly FieldChange[] = [
  change('containers.0.args', ['a']),
  change('containers.0.command', command),
  change('containers.0.env', [{ name: 'A', value: '1' }]),
  change('containers.0.envFrom', [{ configMapRef: { name: 'm' } }]),
  change('containers.0.image', 'j:2', image),
  change('containers.0.imagePullPolicy', 'Always'),
  change('containers.0.securityContext', { privileged: true }),
  change('containers.0.stdin', true),
  change('containers.0.stdinOnce', true, undefined, one({ stdin: true })),
  change('containers.0.terminationMessagePath', '/t'),
  change('containers.0.terminationMessagePolicy', 'FallbackToLogsOnError'),
  change('containers.0.tty', true),
  change('containers.0.volumeDevices', [{ name: 'device', devicePath: '/dev/x' }], undefined, device()),
  change('containers.0.volumeMounts', [{ name: 'v', mountPath: '/m' }], undefined, {
    volumes: [{ name: 'v', emptyDir: {} }],
  }),
  change('containers.0.workingDir', '/w'),
];

const notOfEphemeral: readonly FieldChange[] = [
  change('containers.0.lifecycle', { preStop: { exec } }),
  change('containers.0.livenessProbe', probe),
  change('containers.0.ports', [{ containerPort: 80, hostPort: 81 }]),
  change('containers.0.readinessProbe', probe),
  change('containers.0.resources', { limits: { cpu: '1' } }),
  change('containers.0.restartPolicy', 'Never'),
  change(
    'containers.0.restartPolicyRules',
    [{ action: 'Restart', exitCodes: { operator: 'In', values: [42] } }],
    undefined,
    one({ restartPolicy: 'Never' }),
  ),
  change('containers.0.startupProbe', probe),
];

function device(): Partial<PodSpec> {
  return { volumes: [{ name: 'device', persistentVolumeClaim: { claimName: 'c' } }] };
}

const env = (valueFrom: object): Partial<PodSpec> => one({ env: [{ name: 'A', valueFrom }] });
const from = 'containers.0.env.0.valueFrom';
const files = withVolume({ emptyDir: {} });
const ofEnvironments: readonly FieldChange[] = [
  change('containers.0.env.0.name', 'A', 'B', one({ env: [{ name: 'B', value: '1' }] })),
  change('containers.0.env.0.value', '1', '2', one({ env: [{ name: 'B', value: '2' }] })),
  change(
    from,
    { fieldRef: { fieldPath: 'metadata.name' } },
    undefined,
    one({ env: [{ name: 'A', value: '' }] }),
  ),
  change(`${from}.configMapKeyRef`, { name: 'm', key: 'k' }, undefined, env({})),
  change(`${from}.configMapKeyRef.name`, 'm', 'n', env({ configMapKeyRef: { key: 'l' } })),
  change(`${from}.configMapKeyRef.key`, 'k', 'l', env({ configMapKeyRef: { name: 'm' } })),
  change(
    `${from}.configMapKeyRef.optional`,
    true,
    false,
    env({ configMapKeyRef: { name: 'm', key: 'none' } }),
  ),
  change(`${from}.secretKeyRef`, { name: 's', key: 'k' }, undefined, env({})),
  change(`${from}.secretKeyRef.name`, 's', 'n', env({ secretKeyRef: { key: 'l' } })),
  change(`${from}.secretKeyRef.key`, 'k', 'l', env({ secretKeyRef: { name: 's' } })),
  change(`${from}.secretKeyRef.optional`, true, false, env({ secretKeyRef: { name: 's', key: 'none' } })),
  change(`${from}.fieldRef`, { fieldPath: 'metadata.name' }, undefined, env({})),
  change(`${from}.fieldRef.fieldPath`, 'metadata.name', 'metadata.uid', env({ fieldRef: {} })),
  change(`${from}.resourceFieldRef`, { resource: 'limits.cpu' }, undefined, env({})),
  change(`${from}.resourceFieldRef.resource`, 'limits.cpu', 'limits.memory', env({ resourceFieldRef: {} })),
  change(
    `${from}.resourceFieldRef.divisor`,
    '1m',
    undefined,
    env({ resourceFieldRef: { resource: 'limits.cpu' } }),
  ),
  change(`${from}.resourceFieldRef.containerName`, 'd', undefined, {
    containers: [
      { ...c, env: [{ name: 'A', valueFrom: { resourceFieldRef: { resource: 'limits.cpu' } } }] },
      { ...c, name: 'd', resources: { limits: { cpu: '3' } } },
    ],
  }),
  change(`${from}.fileKeyRef`, { volumeName: 'v', path: 'p', key: 'k' }, undefined, { ...files, ...env({}) }),
  ...(['volumeName', 'path', 'key'] as const).map((field) =>
    change(`${from}.fileKeyRef.${field}`, 'x', 'y', {
      ...files,
      ...env({ fileKeyRef: { volumeName: 'v', path: 'p', key: 'k' } }),
    }),
  ),
  change(`${from}.fileKeyRef.optional`, true, undefined, {
    ...files,
    ...env({ fileKeyRef: { volumeName: 'v', path: 'none', key: 'k' } }),
  }),
  ...(['configMapRef', 'secretRef'] as const).map((kind) =>
    change(
      `containers.0.envFrom.0.${kind}.optional`,
      true,
      undefined,
      one({ envFrom: [{ [kind]: { name: 'none' } }] }),
    ),
  ),
  change(
    'containers.0.envFrom.0.prefix',
    'P_',
    undefined,
    one({ envFrom: [{ configMapRef: { name: 'm' } }] }),
  ),
  change('containers.0.envFrom.0.configMapRef', { name: 'm' }, undefined, one({ envFrom: [{}] })),
  change('containers.0.envFrom.0.configMapRef.name', 'm', 'n', one({ envFrom: [{ configMapRef: {} }] })),
  change('containers.0.envFrom.0.secretRef', { name: 's' }, undefined, one({ envFrom: [{}] })),
  change('containers.0.envFrom.0.secretRef.name', 's', 'n', one({ envFrom: [{ secretRef: {} }] })),
];

const ofWork: readonly FieldChange[] = [
  ...(['postStart', 'preStop'] as const).map((name) =>
    change(`containers.0.lifecycle.${name}`, { exec }, undefined, one({ lifecycle: {} })),
  ),
  change('containers.0.lifecycle.stopSignal', 'SIGUSR1', undefined, one({ lifecycle: {} })),
  change('containers.0.lifecycle.preStop.exec', exec, undefined, one({ lifecycle: { preStop: {} } })),
  change(
    'containers.0.lifecycle.preStop.exec.command',
    command,
    ['y'],
    one({ lifecycle: { preStop: { exec: {} } } }),
  ),
  change(
    'containers.0.lifecycle.preStop.sleep',
    { seconds: 3 },
    undefined,
    one({ lifecycle: { preStop: {} } }),
  ),
  change(
    'containers.0.lifecycle.preStop.sleep.seconds',
    3,
    4,
    one({ lifecycle: { preStop: { sleep: { seconds: 4 } } } }),
  ),
  change('containers.0.livenessProbe.exec', exec, undefined, one({ livenessProbe: { periodSeconds: 2 } })),
  change('containers.0.livenessProbe.failureThreshold', 1, undefined, one({ livenessProbe: probe })),
  change('containers.0.livenessProbe.initialDelaySeconds', 5, undefined, one({ livenessProbe: probe })),
  change('containers.0.livenessProbe.periodSeconds', 1, 2, one({ livenessProbe: probe })),
  change('containers.0.readinessProbe.successThreshold', 3, undefined, one({ readinessProbe: probe })),
  change(
    'containers.0.livenessProbe.terminationGracePeriodSeconds',
    9,
    undefined,
    one({ livenessProbe: probe }),
  ),
  change('containers.0.livenessProbe.timeoutSeconds', 9, undefined, one({ livenessProbe: probe })),
];

const port = { containerPort: 80, hostPort: 81 };
const rules = (more: object): Partial<PodSpec> =>
  one({
    restartPolicy: 'Never',
    restartPolicyRules: [{ action: 'Restart', exitCodes: { operator: 'In', values: [42], ...more } }],
  });
const rule = 'containers.0.restartPolicyRules.0';
const ofParts: readonly FieldChange[] = [
  change('containers.0.ports.0.containerPort', 80, 90, one({ ports: [port] })),
  change('containers.0.ports.0.hostPort', 81, 91, one({ ports: [port] })),
  change('containers.0.ports.0.hostIP', '192.0.2.1', undefined, one({ ports: [port] })),
  change('containers.0.ports.0.protocol', 'UDP', undefined, one({ ports: [port] })),
  change('containers.0.resources.limits', { cpu: '1' }, undefined, one({ resources: {} })),
  change('containers.0.resources.requests', { cpu: '1' }, undefined, one({ resources: {} })),
  change(`${rule}.action`, 'RestartAllContainers', 'Restart', rules({})),
  change(`${rule}.exitCodes`, { operator: 'In', values: [42] }, { operator: 'In', values: [7] }, rules({})),
  change(`${rule}.exitCodes.operator`, 'NotIn', 'In', rules({})),
  change(`${rule}.exitCodes.values`, [1], [42], rules({})),
];

const context = 'containers.0.securityContext';
const ofSecurity: readonly FieldChange[] = [
  ...(
    [
      ['allowPrivilegeEscalation', false],
      ['appArmorProfile', { type: 'RuntimeDefault' }],
      ['capabilities', { add: ['SYS_TIME'] }],
      ['privileged', true],
      ['procMount', 'Unmasked'],
      ['readOnlyRootFilesystem', true],
      ['runAsGroup', 7],
      ['runAsNonRoot', true],
      ['runAsUser', 7],
      ['seccompProfile', { type: 'RuntimeDefault' }],
    ] as const
  ).map(([field, to]) => change(`${context}.${field}`, to, undefined, one({ securityContext: {} }))),
  change(
    `${context}.capabilities.add`,
    ['SYS_TIME'],
    undefined,
    one({ securityContext: { capabilities: {} } }),
  ),
  change(`${context}.capabilities.drop`, ['ALL'], undefined, one({ securityContext: { capabilities: {} } })),
  ...(
    [
      ['appArmorProfile', { type: 'RuntimeDefault' }],
      ['fsGroup', 7],
      ['runAsGroup', 7],
      ['runAsNonRoot', true],
      ['runAsUser', 7],
      ['seccompProfile', { type: 'RuntimeDefault' }],
      ['supplementalGroups', [7]],
      ['supplementalGroupsPolicy', 'Strict'],
      ['sysctls', [{ name: 'kernel.shm_rmid_forced', value: '1' }]],
    ] as const
  ).map(([field, to]) =>
    change(`securityContext.${field}`, to, undefined, { ...empty, securityContext: {} }),
  ),
  change('securityContext.seccompProfile.type', 'RuntimeDefault', 'Unconfined', {
    securityContext: { seccompProfile: { type: 'Unconfined' } },
  }),
  change('securityContext.seccompProfile.localhostProfile', 'SCMP_ACT_ALLOW', 'none', {
    securityContext: { seccompProfile: { type: 'Localhost' } },
  }),
  change('securityContext.appArmorProfile.type', 'RuntimeDefault', 'Unconfined', {
    securityContext: { appArmorProfile: { type: 'Unconfined' } },
  }),
  change('securityContext.appArmorProfile.localhostProfile', 'mine', 'none', {
    securityContext: { appArmorProfile: { type: 'Localhost' } },
  }),
  change('securityContext.sysctls.0.name', 'net.ipv4.ip_local_port_range', 'kernel.shm_rmid_forced', {
    securityContext: { sysctls: [{ name: 'x', value: '1' }] },
  }),
  change('securityContext.sysctls.0.value', '1', '0', {
    securityContext: { sysctls: [{ name: 'kernel.shm_rmid_forced', value: '0' }] },
  }),
];

const mount = 'containers.0.volumeMounts.0';
const ofMounts: readonly FieldChange[] = [
  change(`${mount}.mountPath`, '/a', '/b', empty),
  change(`${mount}.mountPropagation`, 'Bidirectional', undefined, empty),
  change(`${mount}.name`, 'w', 'v', {
    ...empty,
    volumes: ['v', 'w'].map((name) => ({ name, emptyDir: {} })),
  }),
  change(`${mount}.readOnly`, true, undefined, empty),
  change(`${mount}.recursiveReadOnly`, 'Enabled', undefined, {
    ...empty,
    ...one({ volumeMounts: [{ name: 'v', mountPath: '/m', readOnly: true }] }),
  }),
  change(`${mount}.subPath`, 'x', undefined, empty),
  change(`${mount}.subPathExpr`, '$(A)', undefined, {
    ...empty,
    ...one({ env: [{ name: 'A', value: 'x' }], volumeMounts: [{ name: 'v', mountPath: '/m' }] }),
  }),
  change('containers.0.volumeDevices.0.devicePath', '/dev/x', '/dev/y', {
    ...device(),
    ...one({ volumeDevices: [{ name: 'device', devicePath: '' }] }),
  }),
  change('containers.0.volumeDevices.0.name', 'device', 'v', {
    volumes: [...(device().volumes ?? []), { name: 'v', emptyDir: {} }],
    ...one({ volumeDevices: [{ name: 'v', devicePath: '/dev/x' }] }),
  }),
];

const v = 'volumes.0';
const item = { key: 'k', path: 'p' };
const fieldItem = { path: 'p', fieldRef: { fieldPath: 'metadata.name' } };
const projected = (source: object): Partial<PodSpec> => onVolume('projected', { sources: [source] });
const apiData = (kind: 'configMap' | 'secret', nameField: string, name: string): readonly FieldChange[] => [
  change(`${v}.${kind}`, { [nameField]: name }, undefined, withVolume({})),
  change(`${v}.${kind}.defaultMode`, 0o400, undefined, onVolume(kind, { [nameField]: name })),
  change(`${v}.${kind}.items`, [item], undefined, onVolume(kind, { [nameField]: name })),
  change(`${v}.${kind}.${nameField}`, name, 'none', onVolume(kind, {})),
  change(`${v}.${kind}.optional`, true, undefined, onVolume(kind, { [nameField]: 'none' })),
];
const projection = (kind: 'configMap' | 'secret', name: string): readonly FieldChange[] => [
  change(`${v}.projected.sources.0.${kind}`, { name }, undefined, projected({})),
  change(`${v}.projected.sources.0.${kind}.items`, [item], undefined, projected({ [kind]: { name } })),
  change(`${v}.projected.sources.0.${kind}.name`, name, 'none', projected({ [kind]: {} })),
  change(
    `${v}.projected.sources.0.${kind}.optional`,
    true,
    undefined,
    projected({ [kind]: { name: 'none' } }),
  ),
];
const claim = { claimName: 'c' };
const token = `${v}.projected.sources.0.serviceAccountToken`;
const certificate = `${v}.projected.sources.0.podCertificate`;
const bundle = `${v}.projected.sources.0.clusterTrustBundle`;
const ofVolumes: readonly FieldChange[] = [
  change(`${v}.name`, 'w', 'v', { volumes: [{ name: 'v', emptyDir: {} }] }),
  ...apiData('configMap', 'name', 'm'),
  ...apiData('secret', 'secretName', 's'),
  change(`${v}.configMap.items.0.key`, 'l', 'k', onVolume('configMap', { name: 'm', items: [item] })),
  change(`${v}.configMap.items.0.path`, 'q', 'p', onVolume('configMap', { name: 'm', items: [item] })),
  change(
    `${v}.configMap.items.0.mode`,
    0o400,
    undefined,
    onVolume('configMap', { name: 'm', items: [item] }),
  ),
  change(`${v}.csi`, { driver: 'd' }, undefined, withVolume({})),
  change(`${v}.csi.driver`, 'd', 'e', onVolume('csi', {})),
  change(`${v}.downwardAPI`, { items: [fieldItem] }, undefined, withVolume({})),
  change(`${v}.downwardAPI.items`, [fieldItem], undefined, onVolume('downwardAPI', {})),
  change(`${v}.downwardAPI.defaultMode`, 0o400, undefined, onVolume('downwardAPI', { items: [fieldItem] })),
  change(`${v}.downwardAPI.items.0.path`, 'q', 'p', onVolume('downwardAPI', { items: [fieldItem] })),
  change(`${v}.downwardAPI.items.0.mode`, 0o400, undefined, onVolume('downwardAPI', { items: [fieldItem] })),
  change(
    `${v}.downwardAPI.items.0.fieldRef`,
    { fieldPath: 'metadata.uid' },
    { fieldPath: 'metadata.name' },
    onVolume('downwardAPI', { items: [{ path: 'p' }] }),
  ),
  change(
    `${v}.downwardAPI.items.0.resourceFieldRef`,
    { containerName: 'c', resource: 'limits.cpu' },
    { containerName: 'c', resource: 'limits.memory' },
    onVolume('downwardAPI', { items: [{ path: 'p' }] }),
  ),
  change(`${v}.emptyDir`, {}, undefined, withVolume({})),
  change(`${v}.emptyDir.medium`, 'Memory', undefined, empty),
  change(`${v}.emptyDir.sizeLimit`, '1Mi', undefined, onVolume('emptyDir', { medium: 'Memory' })),
  change(`${v}.ephemeral`, { volumeClaimTemplate: { spec: {} } }, undefined, withVolume({})),
  change(`${v}.hostPath`, { path: '/tmp' }, undefined, withVolume({})),
  change(`${v}.hostPath.path`, '/tmp', '/usr', onVolume('hostPath', {})),
  change(`${v}.hostPath.type`, 'File', undefined, onVolume('hostPath', { path: '/tmp' })),
  change(`${v}.image`, { reference: 'j:2' }, undefined, withVolume({})),
  change(`${v}.image.reference`, 'j:2', 'j:3', onVolume('image', {})),
  change(`${v}.image.pullPolicy`, 'Always', undefined, onVolume('image', { reference: 'j:2' })),
  change(`${v}.nfs`, { server: 's', path: '/p' }, undefined, withVolume({})),
  change(`${v}.nfs.server`, 's', 't', onVolume('nfs', { path: '/p' })),
  change(`${v}.nfs.path`, '/p', '/q', onVolume('nfs', { server: 's' })),
  change(`${v}.nfs.readOnly`, true, undefined, onVolume('nfs', { server: 's', path: '/p' })),
  change(`${v}.persistentVolumeClaim`, claim, undefined, withVolume({})),
  change(`${v}.persistentVolumeClaim.claimName`, 'c', 'd', onVolume('persistentVolumeClaim', {})),
  change(`${v}.persistentVolumeClaim.readOnly`, true, undefined, onVolume('persistentVolumeClaim', claim)),
  change(`${v}.projected`, { sources: [{ configMap: { name: 'm' } }] }, undefined, withVolume({})),
  change(`${v}.projected.sources`, [{ configMap: { name: 'm' } }], undefined, onVolume('projected', {})),
  change(`${v}.projected.defaultMode`, 0o400, undefined, projected({ configMap: { name: 'm' } })),
  ...projection('configMap', 'm'),
  ...projection('secret', 's'),
  change(`${v}.projected.sources.0.downwardAPI`, { items: [fieldItem] }, undefined, projected({})),
  change(
    `${v}.projected.sources.0.downwardAPI.items`,
    [fieldItem],
    undefined,
    projected({ downwardAPI: {} }),
  ),
  change(bundle, { name: 'b', path: 'p' }, undefined, projected({})),
  change(`${bundle}.path`, 'p', 'q', projected({ clusterTrustBundle: { name: 'b' } })),
  change(`${bundle}.name`, 'b', 'c', projected({ clusterTrustBundle: { path: 'p' } })),
  change(
    `${bundle}.signerName`,
    'x/one',
    'x/two',
    projected({ clusterTrustBundle: { labelSelector: {}, path: 'p' } }),
  ),
  change(
    `${bundle}.labelSelector`,
    {},
    undefined,
    projected({ clusterTrustBundle: { signerName: 'x/one', path: 'p' } }),
  ),
  change(
    `${bundle}.optional`,
    true,
    undefined,
    projected({ clusterTrustBundle: { name: 'none', path: 'p' } }),
  ),
  change(certificate, { keyType: 'ED25519', signerName: 's/x', keyPath: 'p' }, undefined, projected({})),
  ...(
    [
      ['keyPath', 'q', 'p'],
      ['certificateChainPath', 'q', undefined],
      ['credentialBundlePath', 'q', undefined],
      ['signerName', 's/y', 's/x'],
      ['keyType', 'ECDSAP256', 'ED25519'],
      ['maxExpirationSeconds', 3600, undefined],
      ['userAnnotations', { 'a/b': 'c' }, undefined],
    ] as const
  ).map(([field, to, from]) =>
    change(
      `${certificate}.${field}`,
      to,
      from,
      projected({ podCertificate: { keyType: 'ED25519', signerName: 's/x', keyPath: 'p' } }),
    ),
  ),
  change(token, { path: 'p' }, undefined, projected({})),
  change(`${token}.audience`, 'a', undefined, projected(tokenSource({}))),
  change(`${token}.expirationSeconds`, 700, 800, projected(tokenSource({}))),
  change(`${token}.path`, 'p', 'q', projected(tokenSource({}))),
];

/** The same of an ephemeral container beside the pod's own. */
function ephemeral({ at, to, from: was, on = {} }: FieldChange): FieldChange {
  const { containers: [container = c] = [], ...rest } = on;
  const extra = { ...container, name: 'e' };
  return {
    at: at.replace(/^containers/, 'ephemeralContainers'),
    to,
    ...(was === undefined ? {} : { from: was }),
    on: { ...rest, ephemeralContainers: [extra] },
  };
}

export const fieldChanges: readonly FieldChange[] = [
  ...ofPods,
  ...ofContainers,
  ...ofContainers.map(ephemeral),
  ...notOfEphemeral,
  change('ephemeralContainers.0.targetContainerName', 'c', undefined, {
    ephemeralContainers: [{ name: 'e', image }],
  }),
  ...ofEnvironments,
  ...ofWork,
  ...ofParts,
  ...ofSecurity,
  ...ofMounts,
  ...ofVolumes,
];
