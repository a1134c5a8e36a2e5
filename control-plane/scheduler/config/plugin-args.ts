/** What plugins may be told (`profiles[].pluginConfig`), with kube-scheduler's defaults and complaints. */
import type { FieldShape, ObjectShape } from '#api/config/config-document.ts';
import {
  duplicateField,
  forbiddenField,
  invalidField,
  invalidHidden,
  notSupportedField,
  requiredField,
  type FieldError,
} from '#api/errors/field-error.ts';
import type { NodeAffinity, TopologySpreadConstraint } from '#api/generated/objects.ts';
import { parseDurationMs } from '#api/meta/duration.ts';
import type { JsonObject } from '#api/meta/object.ts';
import { formatErrors, qualifiedName } from '#api/validation/format.ts';
import { affinityErrors } from '#api/validation/pod/affinity.ts';
import { isObject, numberOf, objectsOf } from '#api/wire/json.ts';

export interface ResourceWeight {
  readonly name: string;
  readonly weight: number;
}

/** A point of a function of utilization in percent; the score is 0 to 10. */
export interface ShapePoint {
  readonly utilization: number;
  readonly score: number;
}

export interface FitArgs {
  readonly ignoredResources: ReadonlySet<string>;
  /** Parts of names before the slash. */
  readonly ignoredResourceGroups: ReadonlySet<string>;
  readonly strategy: 'LeastAllocated' | 'MostAllocated' | 'RequestedToCapacityRatio';
  readonly resources: readonly ResourceWeight[];
  readonly shape: readonly ShapePoint[];
}

export interface PreemptionArgs {
  readonly minCandidateNodesPercentage: number;
  readonly minCandidateNodesAbsolute: number;
}

export interface PluginArgs {
  readonly fit: FitArgs;
  readonly balanced: readonly ResourceWeight[];
  readonly interPodAffinity: {
    readonly hardPodAffinityWeight: number;
    readonly ignorePreferredTermsOfExistingPods: boolean;
  };
  /** Undefined: those of the system. */
  readonly defaultConstraints: readonly TopologySpreadConstraint[] | undefined;
  readonly addedAffinity: NodeAffinity | undefined;
  readonly preemption: PreemptionArgs;
  readonly volumeBindMs: number;
  readonly deviceBindMs: number;
}

const weights: FieldShape = [{ name: 'string', weight: 'integer' }];
const shape: FieldShape = [{ utilization: 'integer', score: 'integer' }];
const selectorTerm: FieldShape = {
  matchExpressions: [{ key: 'string', operator: 'string', values: ['string'] }],
  matchFields: [{ key: 'string', operator: 'string', values: ['string'] }],
};

/** Of each plugin that takes any. */
export const argShapes: Readonly<Record<string, ObjectShape>> = {
  DefaultPreemption: { minCandidateNodesPercentage: 'integer', minCandidateNodesAbsolute: 'integer' },
  DynamicResources: { filterTimeout: 'duration', bindingTimeout: 'duration' },
  InterPodAffinity: { hardPodAffinityWeight: 'integer', ignorePreferredTermsOfExistingPods: 'boolean' },
  NodeAffinity: {
    addedAffinity: {
      requiredDuringSchedulingIgnoredDuringExecution: { nodeSelectorTerms: [selectorTerm] },
      preferredDuringSchedulingIgnoredDuringExecution: [{ weight: 'integer', preference: selectorTerm }],
    },
  },
  NodeResourcesBalancedAllocation: { resources: weights },
  NodeResourcesFit: {
    ignoredResources: ['string'],
    ignoredResourceGroups: ['string'],
    scoringStrategy: { type: 'string', resources: weights, requestedToCapacityRatio: { shape } },
  },
  PodTopologySpread: {
    defaultConstraints: [
      {
        ...{ maxSkew: 'integer', topologyKey: 'string', whenUnsatisfiable: 'string', labelSelector: 'any' },
        ...{ minDomains: 'integer', nodeAffinityPolicy: 'string', nodeTaintsPolicy: 'string' },
        matchLabelKeys: ['string'],
      },
    ],
    defaultingType: 'string',
  },
  VolumeBinding: { bindTimeoutSeconds: 'integer', shape },
};

type ArgsByPlugin = Readonly<Record<string, JsonObject>>;

/** Of arguments without complaints. Pure. */
export function pluginArgs(args: ArgsByPlugin): PluginArgs {
  const of = (name: string): JsonObject => args[name] ?? {};
  const number = (name: string, field: string, byDefault: number): number => {
    const value = of(name)[field];
    return typeof value === 'number' ? value : byDefault;
  };
  const affinity = of('NodeAffinity')['addedAffinity'];
  const spread = of('PodTopologySpread');
  const isList = spread['defaultingType'] === 'List';
  const { bindingTimeout } = of('DynamicResources');
  return {
    fit: fitArgs(of('NodeResourcesFit')),
    balanced: weightsOf(of('NodeResourcesBalancedAllocation')['resources']),
    interPodAffinity: {
      hardPodAffinityWeight: number('InterPodAffinity', 'hardPodAffinityWeight', 1),
      ignorePreferredTermsOfExistingPods:
        of('InterPodAffinity')['ignorePreferredTermsOfExistingPods'] === true,
    },
    defaultConstraints: isList
      ? (objectsOf(spread['defaultConstraints']) as unknown as readonly TopologySpreadConstraint[]) // As checked.
      : undefined,
    addedAffinity: isObject(affinity) ? (affinity as NodeAffinity) : undefined, // As checked.
    preemption: {
      minCandidateNodesPercentage: number('DefaultPreemption', 'minCandidateNodesPercentage', 10),
      minCandidateNodesAbsolute: number('DefaultPreemption', 'minCandidateNodesAbsolute', 100),
    },
    volumeBindMs: number('VolumeBinding', 'bindTimeoutSeconds', 600) * 1000,
    deviceBindMs: typeof bindingTimeout === 'string' ? parseDurationMs(bindingTimeout) : 600_000,
  };
}

/** What is wrong with the arguments of a plugin. Pure. */
export function pluginArgErrors(name: string, args: JsonObject, path: string): readonly FieldError[] {
  switch (name) {
    case 'DefaultPreemption':
      return preemptionErrors(args, path);
    case 'DynamicResources':
      return deviceErrors(args, path);
    case 'InterPodAffinity':
      return rangeErrors(args['hardPodAffinityWeight'], `${path}.hardPodAffinityWeight`);
    case 'NodeAffinity':
      return addedAffinityErrors(args['addedAffinity'], path);
    case 'NodeResourcesBalancedAllocation':
      return balancedErrors(args, path);
    case 'NodeResourcesFit':
      return fitErrors(args, path);
    case 'PodTopologySpread':
      return spreadErrors(args, path);
    case 'VolumeBinding':
      return volumeErrors(args, path);
    default:
      return [];
  }
}

const cpuAndMemory: readonly ResourceWeight[] = [
  { name: 'cpu', weight: 1 },
  { name: 'memory', weight: 1 },
];

function textsOf(value: unknown): readonly string[] {
  return Array.isArray(value) ? value.filter((item) => typeof item === 'string') : [];
}

/** A weight that is not said is 1. */
function weightsOf(value: unknown): readonly ResourceWeight[] {
  const list = objectsOf(value).map(({ name, weight }) => ({
    name: String(name),
    weight: numberOf(weight) || 1,
  }));
  return list.length === 0 ? cpuAndMemory : list;
}

function fitArgs(args: JsonObject): FitArgs {
  const strategy = isObject(args['scoringStrategy']) ? args['scoringStrategy'] : {};
  const { type = 'LeastAllocated' } = strategy;
  const ratio = isObject(strategy['requestedToCapacityRatio']) ? strategy['requestedToCapacityRatio'] : {};
  return {
    ignoredResources: new Set(textsOf(args['ignoredResources'])),
    ignoredResourceGroups: new Set(textsOf(args['ignoredResourceGroups'])),
    strategy: type === 'MostAllocated' || type === 'RequestedToCapacityRatio' ? type : 'LeastAllocated',
    resources: weightsOf(strategy['resources']),
    shape: objectsOf(ratio['shape']).map(({ utilization, score }) => ({
      utilization: numberOf(utilization),
      score: numberOf(score),
    })),
  };
}

function rangeErrors(value: unknown, field: string): readonly FieldError[] {
  const number = numberOf(value);
  return number < 0 || number > 100 ? [invalidField(field, number, 'not in valid range [0, 100]')] : [];
}

function preemptionErrors(args: JsonObject, path: string): readonly FieldError[] {
  const [percentage, absolute] = ['minCandidateNodesPercentage', 'minCandidateNodesAbsolute'] as const;
  const least = numberOf(args[absolute] ?? 100);
  const share = numberOf(args[percentage] ?? 10);
  const both = (other: string): string => `cannot be zero at the same time as ${other}`;
  return [
    ...rangeErrors(share, `${path}.${percentage}`),
    ...(least < 0 ? [invalidField(`${path}.${absolute}`, least, 'not in valid range [0, inf)')] : []),
    ...(least === 0 && share === 0
      ? [
          invalidField(`${path}.${percentage}`, share, both(absolute)),
          invalidField(`${path}.${absolute}`, least, both(percentage)),
        ]
      : []),
  ];
}

function deviceErrors({ filterTimeout, bindingTimeout }: JsonObject, path: string): readonly FieldError[] {
  const isUnder = (value: unknown, ms: number): boolean =>
    typeof value === 'string' && parseDurationMs(value) < ms;
  return [
    ...(isUnder(filterTimeout, 0)
      ? [invalidField(`${path}.filterTimeout`, filterTimeout, 'must be zero or positive')]
      : []),
    ...(isUnder(bindingTimeout, 1000)
      ? [invalidField(`${path}.bindingTimeout`, bindingTimeout, 'must be at least 1 second')]
      : []),
  ];
}

function addedAffinityErrors(affinity: unknown, path: string): readonly FieldError[] {
  if (!isObject(affinity)) return [];
  const prefix = 'nodeAffinity.';
  return affinityErrors({ nodeAffinity: affinity }, '', undefined).map((error) => ({
    ...error,
    field: `${path}.addedAffinity.${error.field.slice(error.field.indexOf(prefix) + prefix.length)}`,
  }));
}

function balancedErrors(args: JsonObject, path: string): readonly FieldError[] {
  const seen = new Set<unknown>();
  return objectsOf(args['resources']).flatMap(({ name, weight = 1 }, index) => {
    const place = `${path}.resources[${index}]`;
    const isSeen = seen.has(name);
    seen.add(name);
    return [
      ...(isSeen ? [duplicateField(`${place}.name`, name)] : []),
      ...(weight === 1 ? [] : [invalidField(`${place}.weight`, weight, 'must be 1')]),
    ];
  });
}

const strategies = ['LeastAllocated', 'MostAllocated', 'RequestedToCapacityRatio'];

function fitErrors(args: JsonObject, path: string): readonly FieldError[] {
  const names = textsOf(args['ignoredResources']).flatMap((name, index) =>
    formatErrors(`${path}.ignoredResources[${index}]`, name, qualifiedName),
  );
  const groups = textsOf(args['ignoredResourceGroups']).flatMap((group, index) => {
    const field = `${path}.ignoredResourceGroups[${index}]`;
    return [
      ...(group.includes('/') ? [invalidField(field, group, "resource group name can't contain '/'")] : []),
      ...formatErrors(field, group, qualifiedName),
    ];
  });
  const strategy = args['scoringStrategy'];
  return [
    ...names,
    ...groups,
    ...(isObject(strategy) ? strategyErrors(strategy, `${path}.scoringStrategy`) : []),
  ];
}

function strategyErrors(strategy: JsonObject, path: string): readonly FieldError[] {
  const { type = '', resources, requestedToCapacityRatio: ratio } = strategy;
  const ratioField = `${path}.requestedToCapacityRatio`;
  return [
    ...(strategies.includes(String(type)) ? [] : [notSupportedField(`${path}.type`, type, strategies)]),
    ...objectsOf(resources).flatMap(({ name, weight = 1 }, index) =>
      numberOf(weight) <= 0 || numberOf(weight) > 100
        ? [
            invalidField(
              `${path}.resources[${index}].weight`,
              weight,
              `resource weight of ${String(name)} not in valid range (0, 100]`,
            ),
          ]
        : [],
    ),
    ...(type === 'RequestedToCapacityRatio'
      ? isObject(ratio)
        ? shapeErrors(objectsOf(ratio['shape']), `${ratioField}.shape`)
        : [requiredField(ratioField, 'must be specified when type is RequestedToCapacityRatio')]
      : isObject(ratio)
        ? [forbiddenField(ratioField, 'must be nil when type is not RequestedToCapacityRatio')]
        : []),
  ];
}

function shapeErrors(list: readonly JsonObject[], path: string): readonly FieldError[] {
  if (list.length === 0) return [requiredField(path, 'at least one point must be specified')];
  const uses = list.map(({ utilization }) => numberOf(utilization));
  const unsorted = uses.findIndex((use, index) => index > 0 && (uses[index - 1] ?? -1) >= use);
  return [
    ...(unsorted < 0
      ? []
      : [
          invalidField(
            `${path}[${unsorted}].utilization`,
            uses[unsorted],
            'values must be sorted in increasing order',
          ),
        ]),
    ...list.flatMap(({ utilization, score }, index) => [
      ...rangeErrors(utilization, `${path}[${index}].utilization`),
      ...(numberOf(score) < 0 || numberOf(score) > 10
        ? [invalidField(`${path}[${index}].score`, score, 'not in valid range [0, 10]')]
        : []),
    ]),
  ];
}

const defaultings = ['System', 'List'];
const actions = ['DoNotSchedule', 'ScheduleAnyway'];

function spreadErrors(
  { defaultingType, defaultConstraints }: JsonObject,
  path: string,
): readonly FieldError[] {
  const field = `${path}.defaultingType`;
  const constraints = objectsOf(defaultConstraints);
  const type = defaultingType ?? 'System';
  const typeErrors = !defaultings.includes(String(type))
    ? [notSupportedField(field, type, defaultings)]
    : type === 'System' && constraints.length > 0
      ? [invalidField(field, type, 'when .defaultConstraints are not empty')]
      : [];
  const seen = new Set<string>();
  const constraintErrors = constraints.flatMap((constraint, index) => {
    const place = `${path}.defaultConstraints[${index}]`;
    const { maxSkew, topologyKey = '', whenUnsatisfiable = '', labelSelector } = constraint;
    const pair = `{${String(topologyKey)}, ${String(whenUnsatisfiable)}}`;
    const isSeen = seen.has(pair);
    seen.add(pair);
    return [
      ...(numberOf(maxSkew) > 0
        ? []
        : [invalidField(`${place}.maxSkew`, numberOf(maxSkew), 'not in valid range (0, inf)')]),
      ...(topologyKey === ''
        ? [requiredField(`${place}.topologyKey`, 'can not be empty')]
        : formatErrors(`${place}.topologyKey`, String(topologyKey), qualifiedName)),
      ...(whenUnsatisfiable === ''
        ? [requiredField(`${place}.whenUnsatisfiable`, 'can not be empty')]
        : actions.includes(String(whenUnsatisfiable))
          ? []
          : [notSupportedField(`${place}.whenUnsatisfiable`, whenUnsatisfiable, actions)]),
      ...(labelSelector === undefined
        ? []
        : [
            forbiddenField(
              `${place}.labelSelector`,
              'constraint must not define a selector, as they deduced for each pod',
            ),
          ]),
      ...(isSeen ? [duplicateField(place, pair)] : []),
    ];
  });
  return [...typeErrors, ...constraintErrors];
}

function volumeErrors({ bindTimeoutSeconds, shape: given }: JsonObject, path: string): readonly FieldError[] {
  const seconds = numberOf(bindTimeoutSeconds);
  return [
    ...(seconds < 0
      ? [
          invalidField(
            `${path}.bindTimeoutSeconds`,
            seconds,
            'invalid BindTimeoutSeconds, should not be a negative value',
          ),
        ]
      : []),
    ...(given === undefined
      ? []
      : [
          invalidHidden(
            `${path}.shape`,
            'unexpected field `shape`, remove it or turn on the feature gate StorageCapacityScoring',
          ),
        ]),
  ];
}
