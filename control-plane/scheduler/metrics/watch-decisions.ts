import type { Clock } from '#base/clock.ts';
import type { SchedulingContext } from '#control-plane/scheduler/plugin.ts';
import { defaultProfile } from '#control-plane/scheduler/profile.ts';
import type { SchedulerMetrics } from './scheduler-metrics.ts';
import { timedProfile } from './timed-profile.ts';

/** The context of a decision, with what tells how long it took. */
export type Watch = (context: SchedulingContext) => SchedulingContext;

/** Of one in so many decisions each plugin is timed, too: a clock is read for every node then. */
const pluginsTimedEvery = 20;

export function watchDecisions(metrics: SchedulerMetrics, clock: Pick<Clock, 'monotonic'>): Watch {
  const now = (): number => clock.monotonic() / 1000;
  let count = 0;
  return (context) => {
    const { profile = defaultProfile } = context;
    const timer: SchedulingContext['timer'] = {
      now,
      ran: (point, status, since) =>
        metrics.ran({ point, profile: profile.schedulerName, status }, now() - since),
    };
    if (count++ % pluginsTimedEvery !== 0) return { ...context, timer };
    const ran = metrics.pluginRan.bind(metrics);
    return { ...context, timer, profile: timedProfile(profile, { now, ran }) };
  };
}
