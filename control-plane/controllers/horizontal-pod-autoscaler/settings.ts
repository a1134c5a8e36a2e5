import type { AutoscalingV2HorizontalPodAutoscaler } from '#api/generated/objects.ts';

/** HorizontalPodAutoscaler of autoscaling/v2, as which all versions are stored. */
export type Autoscaler = AutoscalingV2HorizontalPodAutoscaler;

/** What a cluster says of all of them. The names are those of kube-controller-manager's options. */
export interface AutoscalerSettings {
  /** How often each is looked at. */
  readonly syncPeriodMs: number;
  /** How far back recommendations count before anything is scaled down, where an autoscaler does not say. */
  readonly downscaleStabilizationMs: number;
  /** By what share of 1 the ratio of used to wanted may differ before anything is done, where an autoscaler does not say. */
  readonly tolerance: number;
  /** How long after its start a pod's use of processor time counts only while it is ready. */
  readonly cpuInitializationPeriodMs: number;
  /** Within what time after its start a pod that became unready counts as one that never was ready. */
  readonly initialReadinessDelayMs: number;
}

/** As kube-controller-manager's (HPAControllerConfiguration). */
export const autoscalerDefaults: AutoscalerSettings = {
  syncPeriodMs: 15_000,
  downscaleStabilizationMs: 300_000,
  tolerance: 0.1,
  cpuInitializationPeriodMs: 300_000,
  initialReadinessDelayMs: 30_000,
};
