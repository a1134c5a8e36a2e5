/** What control loops are told: options of `server`, named as kube-controller-manager's. */
import { Option, type Command } from 'commander';
import { parseDurationMs } from '#api/meta/duration.ts';
import type { AutoscalerSettings } from '#control-plane/controllers/horizontal-pod-autoscaler/settings.ts';
import type { ZoneSettings } from '#control-plane/controllers/node-lifecycle/zones.ts';
import { controllerListProblems } from '#control-plane/controllers/controller-names.ts';
import { integer } from './argument.ts';
import { addManagerFlags, managerFlagProblems, type ManagerFlags } from './manager-flags.ts';
import { cloudProviderOption } from './cloud-provider-option.ts';
import { durationProblems } from './option-problems.ts';

/** As given; what is not given is as kube-controller-manager has it. Durations as Go writes them. */
export interface ControllerCommandOptions extends ManagerFlags {
  /** Names of loops, `*`, and `-NAME` for one that is not to run. */
  readonly controllers?: readonly string[];
  /** 0: none. */
  readonly controllerManagerPort?: number;
  /** A cloud's controller gives Services their addresses. */
  readonly cloudProvider?: 'external';
  readonly loadBalancerCidr?: readonly string[];
  /** Numbers. */
  readonly nodeEvictionRate?: string;
  readonly secondaryNodeEvictionRate?: string;
  readonly unhealthyZoneThreshold?: string;
  readonly largeClusterSizeThreshold?: string;
  readonly horizontalPodAutoscalerSyncPeriod?: string;
  readonly horizontalPodAutoscalerDownscaleStabilization?: string;
  /** A number. */
  readonly horizontalPodAutoscalerTolerance?: string;
  readonly horizontalPodAutoscalerCpuInitializationPeriod?: string;
  readonly horizontalPodAutoscalerInitialReadinessDelay?: string;
}

const prefix = '--horizontal-pod-autoscaler';

export function addControllerOptions(command: Command): Command {
  return addManagerFlags(command)
    .addOption(
      new Option(
        '--controllers <list>',
        'which loops run, as kube-controller-manager calls them: *,-NAME all but one, NAME,NAME these',
      )
        .argParser((text: string, earlier: readonly string[] = []) => [...earlier, ...text.split(',')])
        .default(undefined, '*'),
    )
    .option(
      '--controller-manager-port <port>',
      "/metrics and /healthz of the loops, at the advertised address, as kube-controller-manager's --secure-port 10257; 0: none",
      integer(0, 65_535),
      0,
    )
    .addOption(cloudProviderOption('a controller of its own gives Services addresses, and nodes theirs'))
    .option(
      '--node-eviction-rate <number>',
      'nodes of a zone a second whose pods go while they are silent',
      '0.1',
    )
    .option(
      '--secondary-node-eviction-rate <number>',
      'the same in a large zone most of whose nodes are silent; in a small one none',
      '0.01',
    )
    .option(
      '--unhealthy-zone-threshold <share>',
      'the share of silent nodes (three at least) from which on that is so',
      '0.55',
    )
    .option('--large-cluster-size-threshold <count>', 'a zone of more nodes is large', '50')
    .addOption(
      new Option(`${prefix}-sync-period <duration>`, 'how often autoscalers look at what is used')
        .env('PODWRIGHT_HORIZONTAL_POD_AUTOSCALER_SYNC_PERIOD')
        .default('15s'),
    )
    .option(
      `${prefix}-downscale-stabilization <duration>`,
      'they scale down to the most that was called for in this time',
      '5m',
    )
    .option(
      `${prefix}-tolerance <share>`,
      'they do nothing while what is used is off what is wanted by this share at most',
      '0.1',
    )
    .option(
      `${prefix}-cpu-initialization-period <duration>`,
      "for how long after a pod's start its processor time counts only while it is ready",
      '5m',
    )
    .option(
      `${prefix}-initial-readiness-delay <duration>`,
      'a pod that became unready within this time after its start was never ready to them',
      '30s',
    );
}

/** What is wrong with them. Pure. */
export function controllerProblems(options: ControllerCommandOptions): readonly string[] {
  const { horizontalPodAutoscalerSyncPeriod: period, horizontalPodAutoscalerTolerance: tolerance } = options;
  const durations = {
    'sync-period': period,
    'downscale-stabilization': options.horizontalPodAutoscalerDownscaleStabilization,
    'cpu-initialization-period': options.horizontalPodAutoscalerCpuInitializationPeriod,
    'initial-readiness-delay': options.horizontalPodAutoscalerInitialReadinessDelay,
  };
  const problems = Object.entries(durations).flatMap(([name, text]) =>
    text === undefined ? [] : durationProblems(`${prefix}-${name}`, text),
  );
  const isHalted = problems.length === 0 && period !== undefined && parseDurationMs(period) < syncPeriodMsMin;
  return [
    ...controllerListProblems(options.controllers ?? ['*']).map((problem) => `--controllers: ${problem}`),
    ...managerFlagProblems(options),
    ...(options.cloudProvider === 'external' && (options.loadBalancerCidr ?? []).length > 0
      ? ['--load-balancer-cidr: with --cloud-provider external the cloud gives Services their addresses']
      : []),
    ...problems,
    ...numberProblems(options),
    ...(isHalted ? [`${prefix}-sync-period ${period}: must be 100ms at least`] : []),
    ...(tolerance === undefined || isNumber(tolerance, Number.POSITIVE_INFINITY)
      ? []
      : [`${prefix}-tolerance ${tolerance}: not a number of 0 or more; write 0.1`]),
  ];
}

function numberProblems(options: ControllerCommandOptions): readonly string[] {
  const numbers = {
    '--node-eviction-rate': [options.nodeEvictionRate, Number.POSITIVE_INFINITY],
    '--secondary-node-eviction-rate': [options.secondaryNodeEvictionRate, Number.POSITIVE_INFINITY],
    '--unhealthy-zone-threshold': [options.unhealthyZoneThreshold, 1],
    '--large-cluster-size-threshold': [options.largeClusterSizeThreshold, Number.POSITIVE_INFINITY],
  } as const;
  return Object.entries(numbers).flatMap(([option, [text, most]]) => {
    if (text === undefined || isNumber(text, most)) return [];
    return [`${option} ${text}: not a number ${most === 1 ? 'from 0 to 1' : 'of 0 or more'}`];
  });
}

function isNumber(text: string, most: number): boolean {
  return text.trim() !== '' && Number(text) >= 0 && Number(text) <= most;
}

/** As the loop takes them. Pure. */
export function nodeZonesOf(options: ControllerCommandOptions): Partial<ZoneSettings> {
  const { nodeEvictionRate, secondaryNodeEvictionRate } = options;
  const { unhealthyZoneThreshold, largeClusterSizeThreshold } = options;
  const texts = {
    ...{ nodeEvictionRate, secondaryNodeEvictionRate },
    ...{ unhealthyZoneThreshold, largeClusterSizeThreshold },
  };
  const given = Object.entries(texts).flatMap(([name, text]) =>
    text === undefined ? [] : [[name, Number(text)] as const],
  );
  const { nodeMonitorGracePeriod: grace, nodeStartupGracePeriod: startup } = options;
  return {
    ...Object.fromEntries(given),
    ...(grace === undefined ? {} : { graceMs: parseDurationMs(grace) }),
    ...(startup === undefined ? {} : { startupGraceMs: parseDurationMs(startup) }),
  };
}

/** Each look asks APIs of metrics. */
const syncPeriodMsMin = 100;

/** As the loop takes them. Pure. */
export function autoscalingOf(options: ControllerCommandOptions): Partial<AutoscalerSettings> {
  const durations = {
    syncPeriodMs: options.horizontalPodAutoscalerSyncPeriod,
    downscaleStabilizationMs: options.horizontalPodAutoscalerDownscaleStabilization,
    cpuInitializationPeriodMs: options.horizontalPodAutoscalerCpuInitializationPeriod,
    initialReadinessDelayMs: options.horizontalPodAutoscalerInitialReadinessDelay,
  };
  const given = Object.entries(durations).flatMap(([name, text]) =>
    text === undefined ? [] : [[name, parseDurationMs(text)] as const],
  );
  const { horizontalPodAutoscalerTolerance: tolerance } = options;
  return {
    ...Object.fromEntries(given),
    ...(tolerance === undefined ? {} : { tolerance: Number(tolerance) }),
  };
}
