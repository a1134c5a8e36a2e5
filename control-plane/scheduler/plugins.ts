import type { PluginArgs } from './config/plugin-args.ts';
import type { FilterPlugin, ScorePlugin } from './plugin.ts';
import { dynamicResourcesFilter, dynamicResourcesScore } from './plugins/dynamic-resources.ts';
import { imageLocalityScore } from './plugins/image-locality.ts';
import { interPodAffinityFilter } from './plugins/inter-pod-affinity.ts';
import { interPodAffinityScore } from './plugins/inter-pod-score.ts';
import { nodeAffinityFilter, nodeAffinityScore } from './plugins/node-affinity.ts';
import { nodeDeclaredFeaturesFilter } from './plugins/node-declared-features.ts';
import { nodeNameFilter, nodeUnschedulableFilter } from './plugins/node-facts.ts';
import { nodePortsFilter } from './plugins/node-ports.ts';
import { nodeResourcesFilter } from './plugins/node-resources.ts';
import { balancedAllocationScore, resourcesScore } from './plugins/resources-score.ts';
import { taintTolerationFilter, taintTolerationScore } from './plugins/taint-toleration.ts';
import { topologySpreadFilter } from './plugins/topology-spread.ts';
import { topologySpreadScore } from './plugins/spread-score.ts';
import { volumeBindingFilter } from './plugins/volume-binding.ts';
import { volumeLimitsFilter } from './plugins/volume-limits.ts';
import { volumeRestrictionsFilter } from './plugins/volume-restrictions.ts';
import { volumeZoneFilter } from './plugins/volume-zone.ts';

/** Each with what it is told; which of them a profile has, and their order, is in its configuration. */
export function filterPlugins(
  args: PluginArgs,
  ignoredResources: ReadonlySet<string>,
): readonly FilterPlugin[] {
  return [
    nodeUnschedulableFilter,
    nodeNameFilter,
    taintTolerationFilter,
    nodeAffinityFilter(args.addedAffinity),
    nodePortsFilter,
    nodeResourcesFilter(args.fit, ignoredResources),
    volumeRestrictionsFilter,
    volumeLimitsFilter,
    volumeBindingFilter,
    volumeZoneFilter,
    topologySpreadFilter(args.defaultConstraints),
    interPodAffinityFilter,
    dynamicResourcesFilter,
    nodeDeclaredFeaturesFilter,
  ];
}

/** With the weights of kube-scheduler's default profile. */
export function scorePlugins(args: PluginArgs): readonly ScorePlugin[] {
  return [
    taintTolerationScore,
    nodeAffinityScore(args.addedAffinity),
    topologySpreadScore(args.defaultConstraints),
    interPodAffinityScore(args.interPodAffinity),
    dynamicResourcesScore,
    resourcesScore(args.fit),
    balancedAllocationScore(args.balanced),
    imageLocalityScore,
  ];
}
