/** What is said of fake nodes on the command line. Pure. */
import type { Taint } from '#api/generated/objects.ts';
import { parseQuantity, quantityToInteger, quantityToMilli } from '#api/meta/quantity.ts';
import { qualifiedName } from '#api/validation/format.ts';
import { fleetMax } from '#agent/fake-node/fleet-bounds.ts';
import type { NodeShape } from '#agent/fake-node/fake-node.ts';

export interface ShapeOptions {
  readonly nodes: number;
  readonly prefix: string;
  readonly cpu: string;
  readonly memory: string;
  readonly storage: string;
  readonly maxPods: number;
  readonly nodeLabel: readonly string[];
  readonly nodeTaint: readonly string[];
  readonly zones: readonly string[];
}

const effects = ['NoSchedule', 'PreferNoSchedule', 'NoExecute'] as const;

/** `KEY=VALUE:EFFECT`, `KEY:EFFECT`; undefined: neither. */
export function parseTaint(text: string): Taint | undefined {
  const [, key = '', value, effect] = /^([^=:]+)(?:=([^:]*))?:(\w+)$/.exec(text) ?? [];
  const known = effects.find((each) => each === effect);
  if (known === undefined || qualifiedName(key).length > 0) return undefined;
  return { key, effect: known, ...(value === undefined ? {} : { value }) };
}

export function shapeProblems(options: ShapeOptions): readonly string[] {
  const { nodes, prefix, nodeLabel, nodeTaint } = options;
  const amounts = (['cpu', 'memory', 'storage'] as const).filter((name) => {
    try {
      return quantityToInteger(parseQuantity(options[name])) <= 0;
    } catch {
      return true;
    }
  });
  return [
    ...(nodes > fleetMax
      ? [`--nodes ${nodes}: one process has ${fleetMax} at most; start another with another --prefix`]
      : []),
    ...(/^[a-z0-9]([a-z0-9-]{0,40}[a-z0-9])?$/.test(prefix)
      ? []
      : [`--prefix ${prefix}: write a-z, 0-9 and -, 42 characters at most`]),
    ...amounts.map((name) => `--${name} ${options[name]}: write a quantity, such as 32 or 256Gi`),
    ...nodeLabel
      .filter(
        (text) => !/^[^=]+=[A-Za-z0-9_.-]*$/.test(text) || qualifiedName(text.split('=')[0] ?? '').length > 0,
      )
      .map((text) => `--node-label ${text}: write KEY=VALUE`),
    ...nodeTaint
      .filter((text) => parseTaint(text) === undefined)
      .map((text) => `--node-taint ${text}: write KEY=VALUE:EFFECT, EFFECT being ${effects.join(', ')}`),
  ];
}

/** Zones go round. */
export function shapeOf(options: ShapeOptions, index: number): NodeShape {
  const { zones, nodeLabel, nodeTaint, maxPods } = options;
  const zone = zones[index % Math.max(1, zones.length)];
  return {
    cpuCount: quantityToMilli(parseQuantity(options.cpu)) / 1000,
    memoryBytes: quantityToInteger(parseQuantity(options.memory)),
    diskBytes: quantityToInteger(parseQuantity(options.storage)),
    podsMax: maxPods,
    labels: {
      ...(zone === undefined ? {} : { 'topology.kubernetes.io/zone': zone }),
      ...Object.fromEntries(
        nodeLabel.map((text) => {
          const [key = '', value = ''] = text.split('=');
          return [key, value];
        }),
      ),
    },
    taints: nodeTaint.flatMap((text) => parseTaint(text) ?? []),
  };
}
