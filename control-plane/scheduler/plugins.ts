import type { FilterPlugin, ScorePlugin } from './plugin.ts';
import { dynamicResourcesFilter, dynamicResourcesScore } from './plugins/dynamic-resources.ts';
import { interPodAffinityFilter, interPodAffinityScore } from './plugins/inter-pod-affinity.ts';
import { nodeAffinityFilter, nodeAffinityScore } from './plugins/node-affinity.ts';
import { imageLocalityScore, nodeNameFilter, nodeUnschedulableFilter } from './plugins/node-facts.ts';
import { nodePortsFilter } from './plugins/node-ports.ts';
import {
  balancedAllocationScore,
  leastAllocatedScore,
  nodeResourcesFilter,
} from './plugins/node-resources.ts';
import { defaultSpreadScore } from './plugins/default-spread.ts';
import { topologySpreadFilter, topologySpreadScore } from './plugins/topology-spread.ts';
import { volumeBindingFilter } from './plugins/volume-binding.ts';
import { volumeLimitsFilter } from './plugins/volume-limits.ts';
import { volumeRestrictionsFilter } from './plugins/volume-restrictions.ts';
import { taintTolerationFilter, taintTolerationScore } from './plugins/taint-toleration.ts';

/** In the order of kube-scheduler's default profile: the first that refuses a node gives the reason. */
export const filterPlugins: readonly FilterPlugin[] = [
  nodeUnschedulableFilter,
  nodeNameFilter,
  taintTolerationFilter,
  nodeAffinityFilter,
  nodePortsFilter,
  nodeResourcesFilter,
  volumeRestrictionsFilter,
  volumeLimitsFilter,
  volumeBindingFilter,
  topologySpreadFilter,
  interPodAffinityFilter,
  dynamicResourcesFilter,
];

/** With the weights of kube-scheduler's default profile. */
export const scorePlugins: readonly ScorePlugin[] = [
  taintTolerationScore,
  nodeAffinityScore,
  topologySpreadScore,
  defaultSpreadScore,
  interPodAffinityScore,
  dynamicResourcesScore,
  leastAllocatedScore,
  balancedAllocationScore,
  imageLocalityScore,
];
