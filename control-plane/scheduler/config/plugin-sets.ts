import { isObject, numberOf, objectsOf, stringOf } from '#api/wire/json.ts';
import { PodwrightError } from '#base/errors.ts';
import { knownPlugins, points, type Point } from './plugin-points.ts';

/** A plugin as a profile names it; weight 0: by default. */
export interface NamedPlugin {
  readonly name: string;
  readonly weight: number;
}

/** The plugins of a profile at each of its extension points, in order. */
export type EnabledPlugins = Readonly<Record<Point, readonly NamedPlugin[]>>;

interface PluginSet {
  readonly enabled: readonly NamedPlugin[];
  readonly disabled: ReadonlySet<string>;
}

/**
 * What of `profiles[].plugins` is enabled where: the default profile changed by it, `multiPoint` spread over the points that a plugin has, what a
 * point says itself first. Source: kube-scheduler mergePluginSet, expandMultiPointPlugins. Pure.
 * @throws {E_INVALID} with kube-scheduler's words
 */
export function enabledPlugins(plugins: unknown, schedulerName: string): EnabledPlugins {
  const given = isObject(plugins) ? plugins : {};
  const multiPoint = merged(
    knownPlugins.map(({ name, weight = 0 }) => ({ name, weight })),
    setOf(given['multiPoint']),
  );
  const enabled = Object.fromEntries(
    points.map((point) => [point, expanded(point, setOf(given[point]), multiPoint)]),
  ) as unknown as EnabledPlugins; // A list for each of the points.
  if (enabled.queueSort.length !== 1)
    throw invalid(
      `only one queue sort plugin required for profile with scheduler name ${JSON.stringify(schedulerName)}, but got ${enabled.queueSort.length}`,
    );
  if (enabled.bind.length === 0)
    throw invalid(
      `at least one bind plugin is needed for profile with scheduler name ${JSON.stringify(schedulerName)}`,
    );
  return enabled;
}

function setOf(value: unknown): PluginSet {
  const { enabled, disabled } = isObject(value) ? value : {};
  const named = (list: unknown): readonly NamedPlugin[] =>
    objectsOf(list).map(({ name, weight }) => ({ name: stringOf(name), weight: numberOf(weight) }));
  return { enabled: named(enabled), disabled: new Set(named(disabled).map(({ name }) => name)) };
}

/** What is configured anew stays in its place, what is new comes behind. */
function merged(byDefault: readonly NamedPlugin[], { enabled, disabled }: PluginSet): readonly NamedPlugin[] {
  const kept = disabled.has('*') ? [] : byDefault.filter(({ name }) => !disabled.has(name));
  const places = kept.map((plugin) => enabled.findLastIndex(({ name }) => name === plugin.name));
  const replaced = new Set(places);
  return [
    ...kept.map((plugin, index) => enabled[places[index] ?? -1] ?? plugin),
    ...enabled.filter((_plugin, index) => !replaced.has(index)),
  ];
}

function expanded(
  point: Point,
  { enabled, disabled }: PluginSet,
  multiPoint: readonly NamedPlugin[],
): readonly NamedPlugin[] {
  const pointsOf = new Map(knownPlugins.map((plugin) => [plugin.name, plugin.points]));
  const seen = new Set<string>();
  for (const { name } of enabled) {
    const has = pointsOf.get(name);
    if (has === undefined) throw invalid(`${typeOf(point)} ${JSON.stringify(name)} does not exist`);
    if (!has.includes(point))
      throw invalid(`plugin ${JSON.stringify(name)} does not extend ${typeOf(point)} plugin`);
    if (seen.has(name))
      throw invalid(`plugin ${JSON.stringify(name)} already registered as ${JSON.stringify(typeOf(point))}`);
    seen.add(name);
  }
  const spread = new Set<string>();
  const more: NamedPlugin[] = [];
  for (const plugin of multiPoint) {
    const has = pointsOf.get(plugin.name);
    if (has === undefined) throw invalid(`plugin ${JSON.stringify(plugin.name)} does not exist`);
    if (!has.includes(point) || disabled.has(plugin.name) || disabled.has('*')) continue;
    if (spread.has(plugin.name))
      throw invalid(
        `plugin ${JSON.stringify(plugin.name)} already registered as ${JSON.stringify(typeOf(point))}`,
      );
    spread.add(plugin.name);
    if (!seen.has(plugin.name)) more.push(plugin);
  }
  return [
    ...enabled.filter(({ name }) => spread.has(name)),
    ...more,
    ...enabled.filter(({ name }) => !spread.has(name)),
  ];
}

/** `FilterPlugin`, as Go calls the type. */
function typeOf(point: Point): string {
  return `${point.charAt(0).toUpperCase()}${point.slice(1)}Plugin`;
}

function invalid(message: string): PodwrightError {
  return new PodwrightError('E_INVALID', message);
}
