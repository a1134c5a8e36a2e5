/**
 * Flags of kube-controller-manager that say how loops work, as data: how many keys each works on at once, and what has a meaning there that it
 * has not here, which is refused with what to do instead.
 */
import { Option, type Command } from 'commander';
import { parseDurationMs } from '#api/meta/duration.ts';
import type { ControllerName } from '#control-plane/controllers/controller-names.ts';
import type { ControllersOptions } from '#control-plane/controllers/start-controllers.ts';
import { integer } from './argument.ts';
import { durationProblems } from './option-problems.ts';

/** `--concurrent-NAME-syncs`, and what they are about. */
export const syncFlags: readonly (readonly [flag: string, loop: ControllerName])[] = [
  ['cron-job', 'cronjob-controller'],
  ['daemonset', 'daemonset-controller'],
  ['deployment', 'deployment-controller'],
  ['ephemeralvolume', 'ephemeral-volume-controller'],
  ['gc', 'garbage-collector-controller'],
  ['horizontal-pod-autoscaler', 'horizontal-pod-autoscaler-controller'],
  ['job', 'job-controller'],
  ['namespace', 'namespace-controller'],
  ['rc', 'replicationcontroller-controller'],
  ['replicaset', 'replicaset-controller'],
  ['resource-quota', 'resourcequota-controller'],
  ['resourceclaim', 'resourceclaim-controller'],
  ['service-account-token', 'serviceaccount-token-controller'],
  ['service-endpoint', 'endpointslice-controller'],
  ['mirroring-service-endpoint', 'endpointslice-mirroring-controller'],
  ['statefulset', 'statefulset-controller'],
  ['ttl-after-finished', 'ttl-after-finished-controller'],
  ['validating-admission-policy-status', 'validatingadmissionpolicy-status-controller'],
];

/** What is not there, and why nobody needs it. Each takes any value. */
export const refusedFlags: readonly (readonly [flag: string, remedy: string])[] = [
  [
    'node-monitor-period',
    'a node is looked at when it says something, and when its time is up; leave it out',
  ],
  [
    'pod-eviction-timeout',
    'Kubernetes has it no more; pods say tolerationSeconds for node.kubernetes.io/not-ready and unreachable',
  ],
  [
    'attach-detach-reconcile-sync-period',
    'attachments are compared when pods, volumes or nodes change; leave it out',
  ],
  [
    'disable-attach-detach-reconcile-sync',
    'switch the loop off: --controllers=*,-persistentvolume-attach-detach-controller',
  ],
  ['concurrent-endpoint-syncs', 'one loop writes Endpoints and slices: --concurrent-service-endpoint-syncs'],
  [
    'concurrent-service-syncs',
    'addresses are given one after another; of a cloud: podwright cloud-controller --concurrent-service-syncs',
  ],
  ['concurrent-device-taint-eviction-syncs', 'it is said by nothing here; leave it out'],
  ['pvclaimbinder-sync-period', 'claims are looked at when they, volumes or classes change; leave it out'],
  ['namespace-sync-period', 'namespaces are looked at when they change; leave it out'],
  ['resource-quota-sync-period', 'quotas are counted with each write; leave it out'],
  ['endpoint-updates-batch-period', 'changes of one turn are written together; leave it out'],
  ['endpointslice-updates-batch-period', 'changes of one turn are written together; leave it out'],
  [
    'kube-api-qps',
    'loops are held by their share of the server (FlowSchema kube-controller-manager); change that',
  ],
  [
    'kube-api-burst',
    'loops are held by their share of the server (FlowSchema kube-controller-manager); change that',
  ],
  [
    'cluster-signing-cert-file',
    "certificates are signed by the cluster's own authority; switch signing off by --controllers and sign them elsewhere",
  ],
  [
    'cluster-signing-key-file',
    "certificates are signed by the cluster's own authority; switch signing off by --controllers and sign them elsewhere",
  ],
  [
    'allocate-node-cidrs',
    'nodes get their part of --cluster-cidr; to leave that to others: --controllers=*,-node-ipam-controller',
  ],
  ['use-service-account-credentials', 'each loop asks as its own account always; leave it out'],
  ['leader-elect', 'servers that share a store elect always, one alone never; leave it out'],
];

/** As given. Those of --concurrent-NAME-syncs are members `concurrentNameSyncs`. */
export interface ManagerFlags {
  /** Durations as Go writes them. */
  readonly nodeMonitorGracePeriod?: string;
  readonly nodeStartupGracePeriod?: string;
  readonly legacyServiceAccountTokenCleanUpPeriod?: string;
  readonly terminatedPodGcThreshold?: number;
  readonly disableForceDetachOnTimeout?: boolean;
}

const syncsMax = 10_000;
/** As many as that are looked for at least; a lease is renewed every 10 s. */
const graceMsMin = 1_000;
const attributeOf = (flag: string): string => new Option(`--${flag} <n>`).attributeName();
/** That of mirrored slices is called otherwise. */
const syncFlagOf = (name: string): string =>
  name.startsWith('mirroring-')
    ? name.replace('mirroring-', 'mirroring-concurrent-').concat('-syncs')
    : `concurrent-${name}-syncs`;

export function addManagerFlags(command: Command): Command {
  for (const [name, loop] of syncFlags)
    command.addOption(
      new Option(`--${syncFlagOf(name)} <n>`, `keys that ${loop} works on at once`)
        .argParser(integer(1, syncsMax))
        .hideHelp(),
    );
  for (const [flag, remedy] of refusedFlags)
    command.addOption(new Option(`--${flag} [value]`, remedy).hideHelp());
  return command
    .option(
      '--node-monitor-grace-period <duration>',
      'a node that says nothing for so long is marked as silent (default: 50s)',
    )
    .option(
      '--node-startup-grace-period <duration>',
      'the same of a node that never said whether it is ready (default: 1m)',
    )
    .option(
      '--terminated-pod-gc-threshold <n>',
      'of pods that ended so many stay; 0: all (default: 12500)',
      integer(0, 10_000_000),
    )
    .option(
      '--legacy-service-account-token-clean-up-period <duration>',
      'how long a token of a Secret is kept that nobody uses (default: 8760h)',
    )
    .option(
      '--disable-force-detach-on-timeout',
      'volumes stay attached to a node that is silent, until it is tainted as out of service',
    );
}

export function managerFlagProblems(options: ManagerFlags): readonly string[] {
  const given: Readonly<Record<string, unknown>> = { ...options };
  const { nodeMonitorGracePeriod: grace, nodeStartupGracePeriod: startup } = options;
  const durations = [
    ['--node-monitor-grace-period', grace],
    ['--node-startup-grace-period', startup],
    ['--legacy-service-account-token-clean-up-period', options.legacyServiceAccountTokenCleanUpPeriod],
  ] as const;
  const problems = durations.flatMap(([flag, text]) =>
    text === undefined ? [] : durationProblems(flag, text),
  );
  const tooShort = (problems.length > 0 ? [] : durations)
    .slice(0, 2)
    .flatMap(([flag, text]) =>
      text === undefined || parseDurationMs(text) >= graceMsMin
        ? []
        : [`${flag} ${text}: must be 1s at least, and longer than nodes take to renew their Leases`],
    );
  return [
    ...refusedFlags.flatMap(([flag, remedy]) =>
      given[attributeOf(flag)] === undefined ? [] : [`--${flag}: ${remedy}`],
    ),
    ...problems,
    ...tooShort,
  ];
}

/** As loops take them. Pure. */
export function managerSettingsOf(
  options: ManagerFlags,
): Pick<ControllersOptions, 'syncs' | 'terminatedPodsMax' | 'tokenCleanUpMs' | 'waitsForSilentNodes'> {
  const given: Readonly<Record<string, unknown>> = { ...options };
  const { legacyServiceAccountTokenCleanUpPeriod: cleanUp } = options;
  const syncs = syncFlags.flatMap(([name, loop]) => {
    const count = given[attributeOf(syncFlagOf(name))];
    return typeof count === 'number' ? [[loop, count] as const] : [];
  });
  return {
    syncs: Object.fromEntries(syncs),
    terminatedPodsMax: options.terminatedPodGcThreshold,
    waitsForSilentNodes: options.disableForceDetachOnTimeout === true,
    tokenCleanUpMs: cleanUp === undefined ? undefined : parseDurationMs(cleanUp),
  };
}
