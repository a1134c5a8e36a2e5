/** The plugins of kube-scheduler 1.36 and the extension points that each has: what a configuration may name. */

export type Point =
  | ('preEnqueue' | 'queueSort' | 'preFilter' | 'filter' | 'postFilter' | 'preScore' | 'score')
  | ('reserve' | 'permit' | 'preBind' | 'bind' | 'postBind');

export const points: readonly Point[] = [
  ...(['preEnqueue', 'queueSort', 'preFilter', 'filter', 'postFilter', 'preScore', 'score'] as const),
  ...(['reserve', 'permit', 'preBind', 'bind', 'postBind'] as const),
];

export interface KnownPlugin {
  readonly name: string;
  readonly points: readonly Point[];
  /** Of its scores, by default. */
  readonly weight?: number;
}

const filters: readonly Point[] = ['preFilter', 'filter'];
const scores: readonly Point[] = ['preScore', 'score'];

/** In the order of the default profile, all of which it has. */
export const knownPlugins: readonly KnownPlugin[] = [
  { name: 'SchedulingGates', points: ['preEnqueue'] },
  { name: 'PrioritySort', points: ['queueSort'] },
  { name: 'NodeUnschedulable', points: ['filter'] },
  { name: 'NodeName', points: ['filter'] },
  { name: 'TaintToleration', points: ['filter', ...scores], weight: 3 },
  { name: 'NodeAffinity', points: [...filters, ...scores], weight: 2 },
  { name: 'NodePorts', points: filters },
  { name: 'NodeResourcesFit', points: [...filters, ...scores], weight: 1 },
  { name: 'VolumeRestrictions', points: filters },
  { name: 'NodeVolumeLimits', points: filters },
  { name: 'VolumeBinding', points: [...filters, ...scores, 'reserve', 'preBind'] },
  { name: 'VolumeZone', points: filters },
  { name: 'PodTopologySpread', points: [...filters, ...scores], weight: 2 },
  { name: 'InterPodAffinity', points: [...filters, ...scores], weight: 2 },
  {
    name: 'DynamicResources',
    points: ['preEnqueue', ...filters, 'postFilter', 'score', 'reserve', 'preBind'],
    weight: 2,
  },
  { name: 'DefaultPreemption', points: ['preEnqueue', 'postFilter'] },
  { name: 'NodeResourcesBalancedAllocation', points: scores, weight: 1 },
  { name: 'ImageLocality', points: ['score'], weight: 1 },
  { name: 'DefaultBinder', points: ['bind'] },
  { name: 'NodeDeclaredFeatures', points: filters },
];

/** Of other versions: refused by name, as kube-scheduler does. */
export const removedPlugins: ReadonlySet<string> = new Set([
  ...['AzureDiskLimits', 'CinderLimits', 'EBSLimits', 'GCEPDLimits'],
]);
