import type { PodSpec } from '#api/generated/objects.ts';
import type { JsonObject } from '#api/meta/object.ts';
import { objectOf, stringOf, typed, type Draft } from '#api/wire/json.ts';
import { formatQuantity } from '#api/meta/quantity.ts';
import { runningAmounts } from '#api/pod/requests.ts';
import { applyRules, holdersAt, type DefaultRule } from './rule.ts';
import { sourceRules } from './volume-source.ts';

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
  ['env[].valueFrom.fileKeyRef.optional', false],
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
  ...sourceRules('volumes[]'),
  ['volumes[].image.pullPolicy', (image) => pullPolicyOf(stringOf(image['reference']))],
  ['volumes[].ephemeral.volumeClaimTemplate.spec.volumeMode', 'Filesystem'],
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
}

/** What only pods get, not templates: service links, ports of the host's network, and requests that follow limits. */
export function defaultPodSpec(spec: Draft): void {
  defaultPodTemplateSpec(spec);
  applyRules(spec, [['enableServiceLinks', true]]);
  if (spec['hostNetwork'] === true) defaultHostPorts(spec);
  for (const path of ['containers[]', 'initContainers[]']) {
    for (const container of holdersAt(spec, path)) defaultRequests(container);
  }
  defaultPodResources(spec);
}

/**
 * A pod that has resources of its own limits itself to the huge pages of its containers, and requests, where it limits itself at all, what
 * its containers do, or just its limit of what none of them requests (KEP-2837).
 */
function defaultPodResources(spec: Draft): void {
  const { limits: ownLimits, requests: ownRequests } = objectOf(spec['resources']);
  const [given, requested] = [objectOf(ownLimits), objectOf(ownRequests)];
  if (Object.keys(given).length + Object.keys(requested).length === 0) return;
  const amounts = (field: 'requests' | 'limits', isMeant: (name: string) => boolean): JsonObject =>
    Object.fromEntries(
      [...runningAmounts(typed<PodSpec>(spec), field)].flatMap(([name, amount]) =>
        isMeant(name) ? [[name, formatQuantity(amount)]] : [],
      ),
    );
  const limits = {
    ...amounts('limits', (name) => isHugePages(name) && requested[name] === undefined),
    ...given,
  };
  const resources = { ...objectOf(spec['resources']), ...withAmounts('limits', limits) };
  spec['resources'] = resources;
  if (Object.keys(limits).length === 0) return;
  const limited = Object.fromEntries(Object.entries(limits).filter(([name]) => isOfPods(name)));
  const requests = { ...limited, ...amounts('requests', isShared), ...requested };
  spec['resources'] = { ...resources, ...withAmounts('requests', requests) };
}

function withAmounts(field: 'requests' | 'limits', amounts: JsonObject): JsonObject {
  return Object.keys(amounts).length === 0 ? {} : { [field]: amounts };
}

function isHugePages(name: string): boolean {
  return name.startsWith('hugepages-');
}

/** What a pod may have as a whole, and share among its containers. */
function isShared(name: string): boolean {
  return name === 'cpu' || name === 'memory';
}

/** What a pod may have as a whole (IsSupportedPodLevelResource). */
function isOfPods(name: string): boolean {
  return isShared(name) || isHugePages(name);
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
