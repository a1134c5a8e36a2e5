import type { ProfileSettings } from './config/scheduler-configuration.ts';
import { schedulerSettings } from './config/scheduler-configuration.ts';
import type { PluginArgs } from './config/plugin-args.ts';
import { gangScheduling } from './gang/pod-groups.ts';
import type { FilterPlugin, Profile, ScorePlugin } from './plugin.ts';
import { filterPlugins, scorePlugins } from './plugins.ts';

/**
 * The plugins of a profile, made of what it says. `ignoredResources`: those that an extender counts alone.
 */
export function createProfile(
  { schedulerName, percentageOfNodesToScore, plugins, args }: ProfileSettings,
  ignoredResources: ReadonlySet<string> = new Set(),
): Profile {
  const filters = filtersFor(args, ignoredResources);
  const at = (point: 'preFilter' | 'filter'): readonly FilterPlugin[] =>
    plugins[point].flatMap(({ name }) => filters.get(name) ?? []);
  const names = (point: 'preEnqueue' | 'postFilter'): ReadonlySet<string> =>
    new Set(plugins[point].map(({ name }) => name));
  return {
    schedulerName,
    preFilters: at('preFilter'),
    filters: at('filter'),
    hints: new Map([...filters, [gangScheduling.name, gangScheduling]]),
    scores: plugins.score.flatMap(({ name, weight }) =>
      scoresOf(name, args).map((score) => (weight === 0 ? score : { ...score, weight })),
    ),
    percentageOfNodesToScore,
    preemption: names('postFilter').has('DefaultPreemption') ? args.preemption : undefined,
    releasesClaims: names('postFilter').has('DynamicResources'),
    hasGates: names('preEnqueue').has('SchedulingGates'),
    volumeBindMs: args.volumeBindMs,
    deviceBindMs: args.deviceBindMs,
  };
}

function filtersFor(
  args: PluginArgs,
  ignoredResources: ReadonlySet<string>,
): ReadonlyMap<string, FilterPlugin> {
  return new Map(filterPlugins(args, ignoredResources).map((plugin) => [plugin.name, plugin]));
}

function scoresOf(name: string, args: PluginArgs): readonly ScorePlugin[] {
  return scorePlugins(args).filter((plugin) => plugin.name === name);
}

const settings = schedulerSettings({});
const [first] = settings.profiles;
if (first === undefined) throw new Error('no profile by default');
/** That of kube-scheduler without a configuration. */
export const defaultProfile: Profile = createProfile(first);
