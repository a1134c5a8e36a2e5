/** KubeletConfiguration.featureGates: what the gates of upstream's kubelet are for is here always, or is not there. Pure. */
import type { JsonObject } from '#api/meta/object.ts';
import { isObject } from '#api/wire/json.ts';

/** A setting of something else here: its reader is named. */
const actedGates: ReadonlySet<string> = new Set([
  'MemoryQoS', // isolation.ts
  'KubeletEnsureSecretPulledImages', // verification.ts
]);

/** What is for these is always there (kubernetes pkg/features/kube_features.go, of 1.36). */
const alwaysOn: ReadonlySet<string> = new Set(
  (
    'CPUManagerPolicyBetaOptions CPUManagerPolicyOptions ContainerRestartRules ' +
    'ContainerStopSignals CustomCPUCFSQuotaPeriod DynamicResourceAllocation EnvFiles ' +
    'GracefulNodeShutdown GracefulNodeShutdownBasedOnPodPriority HostnameOverride ImageMaximumGCAge ' +
    'InPlacePodVerticalScaling KubeletCrashLoopBackOffMax KubeletFineGrainedAuthz KubeletPSI ' +
    'KubeletPodResources KubeletServiceAccountTokenForCredentialProviders LocalStorageCapacityIsolation MemoryManager ' +
    'NodeSwap PodLevelResources PodLifecycleSleepAction PodLifecycleSleepActionAllowZero ' +
    'PodObservedGenerationTracking PodReadyToStartContainersCondition ProcMountType RecursiveReadOnlyMounts ' +
    'RestartAllContainersOnContainerExits RotateKubeletServerCertificate ' +
    'SidecarContainers SupplementalGroupsPolicy TopologyManagerPolicyOptions TranslateStreamCloseWebsocketRequests ' +
    'UserNamespacesSupport'
  ).split(' '),
);

/** What is wrong, and what has no effect, in words. */
export interface GateFindings {
  readonly problems: readonly string[];
  readonly notices: readonly string[];
}

export function examineGates({ featureGates: gates }: JsonObject): GateFindings {
  if (!isObject(gates)) return { problems: [], notices: [] };
  const entries = Object.entries(gates);
  const problems = entries
    .filter(([, value]) => typeof value !== 'boolean')
    .map(([name]) => `featureGates.${name}: it is true or false`);
  const notices = entries.flatMap(([name, value]) => {
    const what = `featureGates.${name}: ${JSON.stringify(value)} has no effect: `;
    if (actedGates.has(name) || (alwaysOn.has(name) && value === true)) return [];
    if (alwaysOn.has(name)) return [`${what}what it is for is always there`];
    return value === true ? [`${what}nothing here has a gate of that name`] : [];
  });
  return { problems, notices };
}
