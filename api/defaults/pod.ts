import type { PodSpec } from '#api/generated/objects.ts';
import { at, objectOf, stringOf, typed, type Draft } from '#api/wire/json.ts';
import { formatQuantity, zeroQuantity } from '#api/meta/quantity.ts';
import { runningAmounts } from '#api/pod/requests.ts';
import { applyRules, holdersAt, type DefaultRule } from './rule.ts';

const probeRules = ['livenessProbe', 'readinessProbe', 'startupProbe'].flatMap(
  (probe): readonly DefaultRule[] => [
    [`${probe}.timeoutSeconds`, 1],
    [`${probe}.periodSeconds`, 10],
    [`${probe}.successThreshold`, 1],
    [`${probe}.failureThreshold`, 3],
    ...httpGetRules(probe),
    [`${probe}.grpc.service`, () => ''],
  ],
);

const containerRules: readonly DefaultRule[] = [
  ['imagePullPolicy', (container) => pullPolicyOf(stringOf(container['image']))],
  ['terminationMessagePath', '/dev/termination-log'],
  ['terminationMessagePolicy', 'File'],
  ['resources', {}],
  ['ports[].protocol', 'TCP'],
  ['env[].valueFrom.fieldRef.apiVersion', 'v1'],
  ...probeRules,
  ...httpGetRules('lifecycle.postStart'),
  ...httpGetRules('lifecycle.preStop'),
];

/** Volumes, for pods and pod templates. */
const volumeRules: readonly DefaultRule[] = [
  ['volumes[].secret.defaultMode', 0o644],
  ['volumes[].configMap.defaultMode', 0o644],
  ['volumes[].downwardAPI.defaultMode', 0o644],
  ['volumes[].downwardAPI.items[].fieldRef.apiVersion', 'v1'],
  ['volumes[].projected.defaultMode', 0o644],
  ['volumes[].projected.sources[].serviceAccountToken.expirationSeconds', 3600],
  ['volumes[].projected.sources[].downwardAPI.items[].fieldRef.apiVersion', 'v1'],
  ['volumes[].hostPath.type', () => ''],
  ['volumes[].iscsi.iscsiInterface', 'default'],
  ['volumes[].image.pullPolicy', (image) => pullPolicyOf(stringOf(image['reference']))],
  ['volumes[].ephemeral.volumeClaimTemplate.spec.volumeMode', 'Filesystem'],
  ['volumes[].rbd.pool', 'rbd'],
  ['volumes[].rbd.user', 'admin'],
  ['volumes[].rbd.keyring', '/etc/ceph/keyring'],
  ['volumes[].azureDisk.cachingMode', 'ReadWrite'],
  ['volumes[].azureDisk.kind', 'Shared'],
  ['volumes[].azureDisk.fsType', 'ext4'],
  ['volumes[].azureDisk.readOnly', false],
  ['volumes[].scaleIO.storageMode', 'ThinProvisioned'],
  ['volumes[].scaleIO.fsType', 'xfs'],
];

const specRules: readonly DefaultRule[] = [
  ['restartPolicy', 'Always'],
  ['dnsPolicy', 'ClusterFirst'],
  ['terminationGracePeriodSeconds', 30],
  ['schedulerName', 'default-scheduler'],
  ['securityContext', {}],
  // The two names of the field are kept equal (conversion of core/v1).
  ['serviceAccountName', (spec) => spec['serviceAccount']],
  ['serviceAccount', (spec) => spec['serviceAccountName']],
  ...volumeRules,
];

const containerLists = ['containers[]', 'initContainers[]', 'ephemeralContainers[]'];

/** Defaults of a pod template's spec, in place (pkg/apis/core/v1 SetDefaults_PodSpec and those of its parts). */
export function defaultPodTemplateSpec(spec: Draft): void {
  for (const volume of holdersAt(spec, 'volumes[]')) {
    if (Object.keys(volume).every((key) => key === 'name')) volume['emptyDir'] = {};
  }
  applyRules(spec, specRules);
  for (const path of containerLists) {
    for (const container of holdersAt(spec, path)) applyRules(container, containerRules);
  }
  if (spec['hostNetwork'] === true) defaultHostPorts(spec);
}

/** What only pods get, not templates: service links, and requests that follow limits. */
export function defaultPodSpec(spec: Draft): void {
  defaultPodTemplateSpec(spec);
  applyRules(spec, [['enableServiceLinks', true]]);
  for (const path of ['containers[]', 'initContainers[]']) {
    for (const container of holdersAt(spec, path)) defaultRequests(container);
  }
  defaultPodRequests(spec);
}

/** A pod that limits itself as a whole requests what its containers do, or just its limit where none of them says (KEP-2837). */
function defaultPodRequests(spec: Draft): void {
  const resources = objectOf(spec['resources']);
  const limits = objectOf(resources['limits']);
  const containers = [...holdersAt(spec, 'containers[]'), ...holdersAt(spec, 'initContainers[]')];
  const isRequested = (name: string): boolean =>
    containers.some((container) => at(container, ['resources', 'requests', name]) !== undefined);
  const running = runningAmounts(typed<PodSpec>(spec), 'requests');
  const requests = Object.fromEntries(
    Object.entries(limits).map(([name, limit]): [string, unknown] => {
      if (!isRequested(name)) return [name, limit];
      return [name, formatQuantity(running.get(name) ?? zeroQuantity)];
    }),
  );
  if (Object.keys(requests).length === 0) return;
  spec['resources'] = { ...resources, requests: { ...requests, ...objectOf(resources['requests']) } };
}

/** `:latest` or no tag, and no digest: Always. */
export function pullPolicyOf(image: string): 'Always' | 'IfNotPresent' {
  if (image.includes('@')) return 'IfNotPresent';
  const last = image.slice(image.lastIndexOf('/') + 1);
  const tag = last.includes(':') ? last.slice(last.indexOf(':') + 1) : 'latest';
  return tag === 'latest' ? 'Always' : 'IfNotPresent';
}

function httpGetRules(holder: string): readonly DefaultRule[] {
  return [
    [`${holder}.httpGet.path`, '/'],
    [`${holder}.httpGet.scheme`, 'HTTP'],
  ];
}

function defaultHostPorts(spec: Draft): void {
  for (const path of ['containers[].ports[]', 'initContainers[].ports[]']) {
    applyRules(spec, [[`${path}.hostPort`, (port) => port['containerPort'], 'zero']]);
  }
}

function defaultRequests(container: Draft): void {
  const resources = objectOf(container['resources']);
  const limits = objectOf(resources['limits']);
  if (Object.keys(limits).length === 0) return;
  container['resources'] = { ...resources, requests: { ...limits, ...objectOf(resources['requests']) } };
}
