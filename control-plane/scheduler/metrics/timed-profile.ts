import type {
  FilterPlugin,
  MetricPoint,
  PointStatus,
  Profile,
  ScorePlugin,
} from '#control-plane/scheduler/plugin.ts';

/** What plugins of a profile tell of how long they took. */
export interface PluginTimer {
  /** Seconds, from whenever. */
  readonly now: () => number;
  readonly ran: (plugin: string, point: MetricPoint, status: PointStatus, seconds: number) => void;
}

/** The same plugins, with a watch on each. What they were asked before and is known is not asked, and so not timed. Pure but for its timer. */
export function timedProfile(profile: Profile, timer: PluginTimer): Profile {
  return {
    ...profile,
    preFilters: profile.preFilters.map((plugin) => timedPreFilter(plugin, timer)),
    filters: profile.filters.map((plugin) => timedFilter(plugin, timer)),
    scores: profile.scores.map((plugin) => timedScore(plugin, timer)),
  };
}

function timedPreFilter(plugin: FilterPlugin, { now, ran }: PluginTimer): FilterPlugin {
  const { name, refuseAll } = plugin;
  if (refuseAll === undefined) return plugin;
  return {
    ...plugin,
    refuseAll: (context) => {
      const since = now();
      const why = refuseAll(context);
      ran(name, 'PreFilter', why === undefined ? 'Success' : 'UnschedulableAndUnresolvable', now() - since);
      return why;
    },
  };
}

function timedFilter(plugin: FilterPlugin, { now, ran }: PluginTimer): FilterPlugin {
  return {
    ...plugin,
    filter: (context) => {
      const test = plugin.filter(context);
      if (test === undefined) return undefined;
      return (node) => {
        const since = now();
        const reasons = test(node);
        ran(plugin.name, 'Filter', reasons.length === 0 ? 'Success' : 'Unschedulable', now() - since);
        return reasons;
      };
    },
  };
}

function timedScore(plugin: ScorePlugin, { now, ran }: PluginTimer): ScorePlugin {
  return {
    ...plugin,
    score: (context, feasible) => {
      const score = plugin.score(context, feasible);
      if (score === undefined) return undefined;
      return (node) => {
        const since = now();
        const value = score(node);
        ran(plugin.name, 'Score', 'Success', now() - since);
        return value;
      };
    },
  };
}
