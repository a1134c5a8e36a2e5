import type { Clock } from '#base/clock.ts';
import { watchPresence } from '#base/presence.ts';
import type { Logger } from '#base/log.ts';
import type { Controller } from '#client/controller.ts';
import type { ApiClient } from '#client/client.ts';
import { createEventRecorder, type EventRecorder } from '#client/event-recorder.ts';
import type { Informers } from '#client/informers.ts';
import type { ControllerContext, MayHold } from './controller-context.ts';
import { controllerNames, type ControllerName, type IsOn } from './controller-names.ts';
import { runAttachDetach } from './attach-detach/reconcile.ts';
import { runBootstrapSigner, runBootstrapTokenCleaner } from './bootstrap-token/reconcile.ts';
import { runCsrApproving, runNodeCertificateApproving } from './certificates/approve.ts';
import { runCsrCleaner } from './certificates/clean.ts';
import { runCsrSigning, type SignRequest } from './certificates/sign.ts';
import { runClusterRoleAggregation } from './clusterrole-aggregation/reconcile.ts';
import { runPolicyStanding } from './policy-standing/reconcile.ts';
import { runPolicyTypes } from './policy-types/reconcile.ts';
import { runCronJobs } from './cronjob/reconcile.ts';
import { runDaemonSets } from './daemonset/reconcile.ts';
import { runDeployments } from './deployment/reconcile.ts';
import { runDeviceTaintEviction } from './device-taint-eviction/reconcile.ts';
import { runDisruptionBudgets, runStaleDisruptions } from './disruption/reconcile.ts';
import { runEndpoints } from './endpointslice/reconcile.ts';
import { runEphemeralVolumes } from './ephemeral-volume/reconcile.ts';
import { runEndpointsMirroring } from './endpointslice-mirroring/reconcile.ts';
import { runGarbageCollector } from './garbage/reconcile.ts';
import { runHorizontalPodAutoscalers } from './horizontal-pod-autoscaler/reconcile.ts';
import type { AutoscalerSettings } from './horizontal-pod-autoscaler/settings.ts';
import { runJobs } from './job/reconcile.ts';
import { runTtlAfterFinished } from './job/ttl.ts';
import { runNamespaces } from './namespace/reconcile.ts';
import type { NodePrefixLengths } from './node-ipam/node-ranges.ts';
import { runNodeIpam } from './node-ipam/reconcile.ts';
import { runNodeLifecycle, runTaintEviction } from './node-lifecycle/reconcile.ts';
import type { ZoneSettings } from './node-lifecycle/zones.ts';
import { runPersistentVolumes } from './persistent-volume/reconcile.ts';
import { runPodGc } from './pod-gc/reconcile.ts';
import {
  runAttributesProtection,
  runClaimProtection,
  runServiceCidrProtection,
  runVolumeProtection,
} from './protection/reconcile.ts';
import { runPodGroupProtection } from './protection/pod-groups.ts';
import { runResourceClaims } from './resource-claim/reconcile.ts';
import { runResourceQuotas } from './quota/reconcile.ts';
import { runReplicaSets, runReplicationControllers } from './replicaset/reconcile.ts';
import type { RootCa } from './root-ca.ts';
import { runDefaultServiceAccounts, runRootCa } from './serviceaccount/reconcile.ts';
import { runServiceLoadBalancers } from './service-lb/reconcile.ts';
import { runStatefulSets } from './statefulset/reconcile.ts';
import { runStorageMigrations } from './storage-migration/reconcile.ts';
import { runLegacyTokenCleaner } from './token-cleaner/reconcile.ts';
import type { LoopCounts } from './metrics/loop-counts.ts';
import type { VolumeLoopCounts } from './metrics/volume-counts.ts';
import { runNodeTtl } from './ttl/reconcile.ts';
import { runTokenSecrets, type TokenSecretsOptions } from './token-secrets/reconcile.ts';

export interface ControllersOptions {
  /**
   * Not owned. Read for all of them, as kube-controller-manager reads, by one user who may; shared with the scheduler, so that a pod just
   * created is seen by it at once.
   */
  readonly informers: Informers;
  /** A client as that service account of kube-system: what a controller asks and writes beyond its caches goes by its own. */
  readonly clientAs: (account: string) => ApiClient;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Pod addresses of the cluster (`10.244.0.0/16`), shared out to nodes; undefined: nodes bring their own. */
  readonly clusterCidrs?: readonly string[] | undefined;
  readonly nodePrefixLengths?: NodePrefixLengths | undefined;
  /** Addresses of load balancers, one network or one of each family; undefined: somebody else gives them. */
  readonly loadBalancerCidrs?: readonly string[] | undefined;
  /** Whether PodGroups are served; default: no. */
  readonly hasPodGroups?: boolean | undefined;
  /** Whether StorageVersionMigrations are served; default: no. */
  readonly hasStorageMigrations?: boolean | undefined;
  /** Whether DeviceTaintRules are served; default: no. */
  readonly hasTaintRules?: boolean | undefined;
  /** Which of them run; default: all. */
  readonly isOn?: IsOn | undefined;
  /** Default: as kube-controller-manager's. */
  readonly autoscaling?: Partial<AutoscalerSettings> | undefined;
  /** How many keys a loop works on at once; default: as is usual for it. */
  readonly syncs?: Readonly<Partial<Record<ControllerName, number>>> | undefined;
  /** Of pods that ended so many are left; 0: all. Default: as kube-controller-manager. */
  readonly terminatedPodsMax?: number | undefined;
  /** For how long a token of a Secret is kept unused; default: a year. */
  readonly tokenCleanUpMs?: number | undefined;
  /** How fast pods leave nodes that are not ready; default: as kube-controller-manager's. */
  readonly nodeZones?: Partial<ZoneSettings> | undefined;
  /** The CA of the API server's serving certificate. */
  readonly rootCa: RootCa;
  /** By the cluster's authority; undefined: nothing is signed. */
  readonly signRequest?: SignRequest | undefined;
  /** Signs tokens that lie in Secrets. Without it none are filled or cleaned. */
  readonly signToken?: TokenSecretsOptions['signToken'] | undefined;
  /** Where the server is in this process: what a namespace may hold, so that most of its kinds need not be listed as it goes. */
  readonly mayHold?: MayHold | undefined;
  /** Whether volumes stay attached to nodes that are silent for long, until somebody says that they are off; default: no. */
  readonly waitsForSilentNodes?: boolean | undefined;
  /** Told what becomes of volumes, for /metrics. */
  readonly volumeCounts?: VolumeLoopCounts | undefined;
  /** Told what else loops do, for /metrics. */
  readonly loopCounts?: LoopCounts | undefined;
}

/** Runs every controller until disposed. Each asks as the account that it has in kube-controller-manager. */
export function startControllers(options: ControllersOptions): AsyncDisposable {
  const { informers, clock, logger, clusterCidrs, nodePrefixLengths, mayHold, rootCa, signToken } = options;
  const { loadBalancerCidrs, volumeCounts, loopCounts, isOn = () => true } = options;
  const presence = watchPresence(clock);
  const counts = { volumeCounts, loopCounts };
  const { as, recorders } = contexts(options, { informers, clock, logger, presence, mayHold, ...counts });
  const told =
    (name: ControllerName): As =>
    (account) => ({ ...as(account), syncsMax: options.syncs?.[name] });
  const nodeIpam =
    clusterCidrs === undefined
      ? []
      : [() => runNodeIpam(as('node-controller'), { clusterCidrs, nodePrefixLengths })];
  const given: Partial<Record<ControllerName, readonly Start[]>> = {
    ...simpleLoops(isOn),
    'horizontal-pod-autoscaler-controller': [
      (own) => runHorizontalPodAutoscalers(own('horizontal-pod-autoscaler'), options.autoscaling),
    ],
    'root-ca-certificate-publisher-controller': [() => runRootCa(as('root-ca-cert-publisher'), rootCa)],
    ...(signToken === undefined
      ? {}
      : tokenControllers(as, informers, { rootCa, signToken, cleanUpMs: options.tokenCleanUpMs })),
    'persistentvolume-attach-detach-controller': [
      () => runAttachDetach(as('attachdetach-controller'), options.waitsForSilentNodes),
    ],
    'node-lifecycle-controller': [() => runNodeLifecycle(as('node-controller'), options.nodeZones)],
    'device-taint-eviction-controller': [
      (own) =>
        runDeviceTaintEviction(own('device-taint-eviction-controller'), options.hasTaintRules === true),
    ],
    'taint-eviction-controller': [() => runTaintEviction(as('node-controller'), options.nodeZones)],
    'pod-garbage-collector-controller': [
      () => runPodGc(as('pod-garbage-collector'), options.terminatedPodsMax),
    ],
    'node-ipam-controller': nodeIpam,
    'service-lb-controller':
      loadBalancerCidrs === undefined
        ? []
        : [() => runServiceLoadBalancers(as('service-controller'), loadBalancerCidrs)],
    'certificatesigningrequest-signing-controller': signing(as, options.signRequest),
    'podgroup-protection-controller':
      options.hasPodGroups === true
        ? [() => runPodGroupProtection(as('podgroup-protection-controller'))]
        : [],
    'storage-version-migrator-controller':
      options.hasStorageMigrations === true
        ? [(own) => runStorageMigrations(own('storage-version-migrator-controller'))]
        : [],
  };
  const controllers = controllerNames
    .filter(isOn)
    .flatMap((name) => (given[name] ?? []).map((start) => start(told(name))));
  const off = controllerNames.filter((name) => !isOn(name));
  if (off.length > 0) logger.info({ off }, 'controllers that are switched off');
  // Either of the two is enough for it to run; it writes for those that are on.
  if (isOn('endpointslice-controller') || isOn('endpoints-controller'))
    controllers.push(
      runEndpoints(told('endpointslice-controller')('endpointslice-controller'), {
        slices: isOn('endpointslice-controller') ? as('endpointslice-controller') : undefined,
        endpoints: isOn('endpoints-controller') ? as('endpoint-controller') : undefined,
      }),
    );
  return {
    [Symbol.asyncDispose]: async () => {
      presence[Symbol.dispose]();
      await Promise.all(controllers.map((controller) => controller[Symbol.asyncDispose]()));
      await Promise.all(recorders().map((one) => one[Symbol.asyncDispose]()));
    },
  };
}

type As = (account: string) => ControllerContext;
/** @param as with what was said of the loop */
type Start = (as: As) => Controller;

/** Those that need nothing but their account. */
function simpleLoops(isOn: IsOn): Partial<Record<ControllerName, readonly Start[]>> {
  const expands = isOn('persistentvolume-expander-controller');
  return {
    'deployment-controller': [(as) => runDeployments(as('deployment-controller'))],
    'replicaset-controller': [(as) => runReplicaSets(as('replicaset-controller'))],
    'replicationcontroller-controller': [(as) => runReplicationControllers(as('replication-controller'))],
    'daemonset-controller': [(as) => runDaemonSets(as('daemon-set-controller'))],
    'statefulset-controller': [(as) => runStatefulSets(as('statefulset-controller'))],
    'job-controller': [(as) => runJobs(as('job-controller'))],
    'ttl-after-finished-controller': [(as) => runTtlAfterFinished(as('ttl-after-finished-controller'))],
    'cronjob-controller': [(as) => runCronJobs(as('cronjob-controller'))],
    'endpointslice-mirroring-controller': [
      (as) => runEndpointsMirroring(as('endpointslicemirroring-controller')),
    ],
    'serviceaccount-controller': [(as) => runDefaultServiceAccounts(as('service-account-controller'))],
    'namespace-controller': [(as) => runNamespaces(as('namespace-controller'))],
    'disruption-controller': [
      (as) => runDisruptionBudgets(as('disruption-controller')),
      (as) => runStaleDisruptions(as('disruption-controller')),
    ],
    'resourcequota-controller': [(as) => runResourceQuotas(as('resourcequota-controller'))],
    'persistentvolume-binder-controller': [
      (as) => runPersistentVolumes(as('persistent-volume-binder'), { expands }),
    ],
    'ephemeral-volume-controller': [(as) => runEphemeralVolumes(as('ephemeral-volume-controller'))],
    'resourceclaim-controller': [(as) => runResourceClaims(as('resource-claim-controller'))],
    'persistentvolumeclaim-protection-controller': [
      (as) => runClaimProtection(as('pvc-protection-controller')),
    ],
    'persistentvolume-protection-controller': [(as) => runVolumeProtection(as('pv-protection-controller'))],
    'volumeattributesclass-protection-controller': [
      (as) => runAttributesProtection(as('volumeattributesclass-protection-controller')),
    ],
    'service-cidr-controller': [(as) => runServiceCidrProtection(as('service-cidrs-controller'))],
    'garbage-collector-controller': [(as) => runGarbageCollector(as('generic-garbage-collector'))],
    'clusterrole-aggregation-controller': [
      (as) => runClusterRoleAggregation(as('clusterrole-aggregation-controller')),
    ],
    'certificatesigningrequest-approving-controller': [
      (as) => runCsrApproving(as('certificate-controller')),
      (as) => runNodeCertificateApproving(as('node-certificate-approver')),
    ],
    'certificatesigningrequest-cleaner-controller': [(as) => runCsrCleaner(as('certificate-controller'))],
    'ttl-controller': [(as) => runNodeTtl(as('ttl-controller'))],
    'token-cleaner-controller': [(as) => runBootstrapTokenCleaner(as('token-cleaner'))],
    'bootstrap-signer-controller': [(as) => runBootstrapSigner(as('bootstrap-signer'))],
    'cluster-policy-status-controller': [(as) => runPolicyStanding(as('cluster-policy-status-controller'))],
    'validatingadmissionpolicy-status-controller': [
      (as) => runPolicyTypes(as('validatingadmissionpolicy-status-controller')),
    ],
  };
}

function signing(as: As, sign: SignRequest | undefined): readonly Start[] {
  return sign === undefined ? [] : [() => runCsrSigning(as('certificate-controller'), sign)];
}

/** Of Secrets with tokens. Who fills them asks as kube-controller-manager itself: its account could have no token before. */
function tokenControllers(
  as: As,
  { client }: Informers,
  { cleanUpMs, ...options }: TokenSecretsOptions & { readonly cleanUpMs?: number | undefined },
): Partial<Record<ControllerName, readonly Start[]>> {
  const cleaner = as('legacy-service-account-token-cleaner');
  return {
    'serviceaccount-token-controller': [
      (own) => runTokenSecrets({ ...own('legacy-service-account-token-cleaner'), client }, options),
    ],
    'legacy-serviceaccount-token-cleaner-controller': [() => runLegacyTokenCleaner(cleaner, cleanUpMs)],
  };
}

/** What a controller is given of an account: made once for each, with a recorder for each name that it speaks in. */
function contexts(
  { clientAs }: Pick<ControllersOptions, 'clientAs'>,
  shared: Omit<ControllerContext, 'client' | 'recorder'>,
): {
  readonly as: (account: string) => ControllerContext;
  readonly recorders: () => readonly EventRecorder[];
} {
  const { clock, logger } = shared;
  const made = new Map<string, ControllerContext>();
  const recorders: EventRecorder[] = [];
  const make = (account: string): ControllerContext => {
    const client = clientAs(account);
    const own = new Map<string, EventRecorder>();
    const recorder = (component: string): EventRecorder => {
      const found = own.get(component);
      if (found !== undefined) return found;
      const one = createEventRecorder({ client, component, clock, logger });
      own.set(component, one);
      recorders.push(one);
      return one;
    };
    return { ...shared, client, recorder };
  };
  return {
    as: (account) => {
      const context = made.get(account) ?? make(account);
      made.set(account, context);
      return context;
    },
    recorders: () => recorders,
  };
}
