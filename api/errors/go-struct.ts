import { goJson, isObject } from '#api/wire/json.ts';
import type { JsonObject } from '#api/meta/object.ts';

/** A struct that a message can show. */
export type GoShape =
  | 'PodResourceClaim'
  | 'SeccompProfile'
  | 'SecurityContext'
  | 'Capabilities'
  | 'PodIP'
  | 'NodeSelectorTerm'
  | 'NodeSelectorRequirement'
  | 'Strategy'
  | 'RollingUpdateStatefulSet'
  | 'RollingUpdate'
  | 'PodDisruptionBudgetSpec'
  | 'UncountedTerminatedPods'
  | 'SuccessPolicy'
  | 'SuccessPolicyRule'
  | 'PodFailurePolicy'
  | 'PodFailurePolicyRule'
  | 'OnExitCodes'
  | 'OnPodConditions'
  | 'Toleration'
  | 'Taint'
  | 'NodeAddress'
  | 'ServicePort';

/**
 * Structs that stand as values in messages. kube-apiserver writes them as its internal types: names as in Go, in the order of the
 * struct, with what is absent. Each member: the name in Go, and what stands where it is absent; the name in JSON begins with a small
 * letter, if it is not given. (kubernetes 1.36 pkg/apis/core, apps, policy types.go; seen as RoleRef in errors-observed.)
 */
type Member = readonly [go: string, absent: null | '' | 0 | false, json?: string];

const shapes: Readonly<Record<GoShape, readonly Member[]>> = {
  PodResourceClaim: [
    ['Name', ''],
    ['ResourceClaimName', null],
    ['ResourceClaimTemplateName', null],
  ],
  SeccompProfile: [
    ['Type', ''],
    ['LocalhostProfile', null],
  ],
  SecurityContext: [
    ['Capabilities', null],
    ['Privileged', null],
    ['SELinuxOptions', null, 'seLinuxOptions'],
    ['WindowsOptions', null],
    ['RunAsUser', null],
    ['RunAsGroup', null],
    ['RunAsNonRoot', null],
    ['ReadOnlyRootFilesystem', null],
    ['AllowPrivilegeEscalation', null],
    ['ProcMount', null],
    ['SeccompProfile', null],
    ['AppArmorProfile', null],
  ],
  Capabilities: [
    ['Add', null],
    ['Drop', null],
  ],
  Toleration: [
    ['Key', ''],
    ['Operator', ''],
    ['Value', ''],
    ['Effect', ''],
    ['TolerationSeconds', null],
  ],
  Taint: [
    ['Key', ''],
    ['Value', ''],
    ['Effect', ''],
    ['TimeAdded', null],
  ],
  NodeAddress: [
    ['Type', ''],
    ['Address', ''],
  ],
  ServicePort: [
    ['Name', ''],
    ['Protocol', ''],
    ['AppProtocol', null],
    ['Port', 0],
    ['TargetPort', 0],
    ['NodePort', 0],
  ],
  PodIP: [['IP', '', 'ip']],
  NodeSelectorTerm: [
    ['MatchExpressions', null],
    ['MatchFields', null],
  ],
  NodeSelectorRequirement: [
    ['Key', ''],
    ['Operator', ''],
    ['Values', null],
  ],
  Strategy: [
    ['Type', ''],
    ['RollingUpdate', null],
  ],
  RollingUpdateStatefulSet: [
    ['Partition', 0],
    ['MaxUnavailable', null],
  ],
  RollingUpdate: [
    ['MaxUnavailable', null],
    ['MaxSurge', null],
  ],
  PodDisruptionBudgetSpec: [
    ['MinAvailable', null],
    ['Selector', null],
    ['MaxUnavailable', null],
    ['UnhealthyPodEvictionPolicy', null],
  ],
  UncountedTerminatedPods: [
    ['Succeeded', null],
    ['Failed', null],
  ],
  SuccessPolicy: [['Rules', null]],
  SuccessPolicyRule: [
    ['SucceededIndexes', null],
    ['SucceededCount', null],
  ],
  PodFailurePolicy: [['Rules', null]],
  PodFailurePolicyRule: [
    ['Action', ''],
    ['OnExitCodes', null],
    ['OnPodConditions', null],
  ],
  OnExitCodes: [
    ['ContainerName', null],
    ['Operator', ''],
    ['Values', null],
  ],
  OnPodConditions: [
    ['Type', ''],
    ['Status', ''],
  ],
};

/** Shapes of the members of shapes: of one, or of all in a list. */
const within: Readonly<Partial<Record<string, GoShape>>> = {
  'SecurityContext.Capabilities': 'Capabilities',
  'SecurityContext.SeccompProfile': 'SeccompProfile',
  'SecurityContext.AppArmorProfile': 'SeccompProfile',
  'SuccessPolicy.Rules': 'SuccessPolicyRule',
  'PodFailurePolicy.Rules': 'PodFailurePolicyRule',
  'PodFailurePolicyRule.OnExitCodes': 'OnExitCodes',
  'PodFailurePolicyRule.OnPodConditions': 'OnPodConditions',
  'NodeSelectorTerm.MatchExpressions': 'NodeSelectorRequirement',
  'NodeSelectorTerm.MatchFields': 'NodeSelectorRequirement',
};

/** The value of a message that is a struct, or a list of them, as kube-apiserver shows it; shapes of members by their Go names. */
export function goStruct(
  shape: GoShape,
  value: unknown,
  members: Readonly<Record<string, GoShape>> = {},
): string {
  return render(shape, value, members);
}

function render(shape: GoShape, value: unknown, members: Readonly<Record<string, GoShape>>): string {
  if (Array.isArray(value)) return `[${value.map((item) => render(shape, item, members)).join(',')}]`;
  if (!isObject(value)) return 'null';
  return `{${shapes[shape].map((member) => renderMember(shape, value, member, members)).join(',')}}`;
}

function renderMember(
  shape: GoShape,
  object: JsonObject,
  [go, absent, json]: Member,
  members: Readonly<Record<string, GoShape>>,
): string {
  const value = object[json ?? `${go.charAt(0).toLowerCase()}${go.slice(1)}`];
  const own = members[go] ?? within[`${shape}.${go}`];
  const text =
    value === undefined ? goJson(absent) : own === undefined ? goJson(value) : render(own, value, members);
  return `${JSON.stringify(go)}:${text}`;
}
