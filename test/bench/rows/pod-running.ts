import { createPodDriver, podNames, type PodDriver, type PodTimes } from '#test/bench/bench-cluster.ts';
import { summarise, timed } from '#test/bench/measure.ts';
import { atMost, type Measurement, type Row } from '#test/bench/row.ts';

/** On a whole cluster, over HTTPS: from the POST of a pod to Running in a watch. */
export const podRunning: Row = {
  name: 'pod-running',
  inNamespaces: true,
  run: async (scale) => {
    await using driver = await createPodDriver();

    await oneAfterAnother(driver, podNames('warm', 5));
    const times = await oneAfterAnother(driver, podNames('single', scale.rounds(60)));
    const single: Measurement = {
      what: 'POST of a pod to Running seen, one after another',
      unit: 'ms',
      ours: summarise(times.map(({ runningMs }) => runningMs)),
      peers: [],
      budgets: [atMost(15), atMost(60, 'p99')],
      detail: mediansOf(times),
    };
    const rounds: number[] = [];
    for (let round = 0; round < (scale.isQuick ? 1 : 3); round++) {
      rounds.push(await hundredAtOnce(driver, podNames(`many-${round}`, 100)));
    }
    return [
      single,
      {
        what: '100 pods created at once to all Running',
        unit: 'ms',
        ours: summarise(rounds),
        peers: [],
        budgets: [atMost(1000)],
      },
    ];
  },
};

async function oneAfterAnother(driver: PodDriver, names: readonly string[]): Promise<readonly PodTimes[]> {
  const times: PodTimes[] = [];
  for (const name of names) {
    times.push(await driver.create(name));
    await driver.remove(name);
  }
  return times;
}

async function hundredAtOnce(driver: PodDriver, names: readonly string[]): Promise<number> {
  const ms = await timed(() => Promise.all(names.map((name) => driver.create(name))));
  await Promise.all(names.map((name) => driver.remove(name)));
  return ms;
}

function mediansOf(times: readonly PodTimes[]): Readonly<Record<string, number>> {
  const keys = ['answeredMs', 'addedMs', 'scheduledMs', 'addressMs', 'runningMs'] as const;
  return Object.fromEntries(keys.map((key) => [key, summarise(times.map((each) => each[key])).median]));
}
