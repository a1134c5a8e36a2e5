/** What `podwright cloud-controller` was told, checked and as its loops take it. Pure. */
import { parseCidr } from '#base/ip.ts';
import { parseDurationMs } from '#api/meta/duration.ts';
import type { LeaseTimes } from '#client/lease.ts';
import {
  cloudControllerNames,
  type CloudControllerName,
  type CloudControllersOptions,
} from '#control-plane/cloud/start-cloud-controllers.ts';
import { durationProblems, nameProblems } from '#bin/options/option-problems.ts';

/** Options of kube-cloud-controller-manager, by its names and with its defaults. Durations as Go writes them. */
export interface CloudControllerCommandOptions {
  /** A module in TypeScript or JavaScript. */
  readonly cloudProvider: string;
  readonly cloudConfig?: string;
  readonly kubeconfig?: string;
  readonly clusterName: string;
  readonly clusterCidr?: readonly string[];
  readonly configureCloudRoutes: boolean;
  readonly controllers: readonly string[];
  readonly routeReconciliationPeriod: string;
  readonly nodeMonitorPeriod: string;
  readonly nodeStatusUpdateFrequency: string;
  readonly concurrentNodeSyncs: number;
  readonly concurrentServiceSyncs: number;
  readonly leaderElect: boolean;
  readonly leaderElectLeaseDuration: string;
  readonly leaderElectRenewDeadline: string;
  readonly leaderElectRetryPeriod: string;
  readonly leaderElectResourceName: string;
  readonly leaderElectResourceNamespace: string;
}

export type CloudSettings = Pick<
  CloudControllersOptions,
  'isOn' | 'nodeStatusUpdateMs' | 'nodeMonitorMs' | 'nodeSyncsMax' | 'serviceSyncsMax' | 'routes'
>;

/** The shortest of all periods: each asks the cloud. */
const periodMsMin = 100;

export function cloudProblems(options: CloudControllerCommandOptions): readonly string[] {
  const { clusterCidr = [], controllers, configureCloudRoutes, leaderElect, clusterName } = options;
  const durations = {
    '--route-reconciliation-period': options.routeReconciliationPeriod,
    '--node-monitor-period': options.nodeMonitorPeriod,
    '--node-status-update-frequency': options.nodeStatusUpdateFrequency,
    '--leader-elect-lease-duration': options.leaderElectLeaseDuration,
    '--leader-elect-renew-deadline': options.leaderElectRenewDeadline,
    '--leader-elect-retry-period': options.leaderElectRetryPeriod,
  };
  const periods = Object.entries(durations).flatMap(([name, text]) => {
    const problems = durationProblems(name, text);
    if (problems.length > 0 || parseDurationMs(text) >= periodMsMin) return problems;
    return [`${name} ${text}: must be ${periodMsMin}ms at least`];
  });
  const booleans = {
    '--configure-cloud-routes': configureCloudRoutes,
    '--leader-elect': leaderElect,
  };
  return [
    ...Object.entries(booleans).flatMap(([name, value]: readonly [string, unknown]) =>
      typeof value === 'boolean' ? [] : [`${name}=${String(value)}: write true or false`],
    ),
    ...periods,
    ...(periods.length > 0 ? [] : leaseProblems(options)),
    ...clusterCidr
      .filter((text) => parseCidr(text) === undefined)
      .map((text) => `--cluster-cidr ${text}: not a network; write 10.244.0.0/16`),
    ...controllers.flatMap(controllerProblem),
    ...(clusterName === '' ? ['--cluster-name: must not be empty'] : []),
    ...nameProblems('--leader-elect-resource-name', options.leaderElectResourceName),
    ...nameProblems('--leader-elect-resource-namespace', options.leaderElectResourceNamespace),
  ];
}

function controllerProblem(text: string): readonly string[] {
  if (text === '*' || nameOf(text.replace(/^-/, '')) !== undefined) return [];
  const all = cloudControllerNames.map(([name]) => name).join(', ');
  return [`--controllers: ${JSON.stringify(text)} is not in the list of known controllers: ${all}`];
}

const nameOf = (text: string): CloudControllerName | undefined =>
  cloudControllerNames.find((names: readonly string[]) => names.includes(text))?.[0];

function leaseProblems(options: CloudControllerCommandOptions): readonly string[] {
  const { lookMs, holderEndsMs, leaseMs } = leaseTimesOf(options);
  if (leaseMs % 1000 !== 0)
    return [`--leader-elect-lease-duration ${options.leaderElectLeaseDuration}: a Lease says whole seconds`];
  return lookMs < holderEndsMs && holderEndsMs < leaseMs
    ? []
    : [
        '--leader-elect-retry-period < --leader-elect-renew-deadline < --leader-elect-lease-duration must hold',
      ];
}

export function leaseTimesOf(options: CloudControllerCommandOptions): LeaseTimes {
  const retryMs = parseDurationMs(options.leaderElectRetryPeriod);
  return {
    lookMs: retryMs,
    renewMs: retryMs,
    holderEndsMs: parseDurationMs(options.leaderElectRenewDeadline),
    leaseMs: parseDurationMs(options.leaderElectLeaseDuration),
  };
}

export function cloudSettingsOf(options: CloudControllerCommandOptions): CloudSettings {
  const { clusterCidr = [], controllers, configureCloudRoutes } = options;
  const clusterCidrs = clusterCidr.flatMap((text) => parseCidr(text) ?? []);
  return {
    isOn: (name) => {
      for (const one of controllers) {
        if (nameOf(one) === name) return true;
        if (one.startsWith('-') && nameOf(one.slice(1)) === name) return false;
      }
      return controllers.includes('*');
    },
    nodeStatusUpdateMs: parseDurationMs(options.nodeStatusUpdateFrequency),
    nodeMonitorMs: parseDurationMs(options.nodeMonitorPeriod),
    nodeSyncsMax: options.concurrentNodeSyncs,
    serviceSyncsMax: options.concurrentServiceSyncs,
    routes: configureCloudRoutes
      ? { clusterCidrs, periodMs: parseDurationMs(options.routeReconciliationPeriod) }
      : undefined,
  };
}

/** What is wrong with a cloud for what it is asked to do. */
export function cloudFaults(
  { routes }: CloudSettings,
  cloud: { readonly name: string; readonly routes?: unknown },
): readonly string[] {
  return cloud.routes !== undefined && routes?.clusterCidrs.length === 0
    ? [`the cloud ${cloud.name} has routes: say --cluster-cidr, or --configure-cloud-routes=false`]
    : [];
}
