import { createPodDriver, podNames, type CreatedPod, type PodDriver } from '#test/bench/bench-cluster.ts';
import { summarise, timed } from '#test/bench/measure.ts';
import { readNodeTimes } from '#test/bench/node-times.ts';
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

/** Milliseconds from the POST, in order of what happens. */
type Timeline = Readonly<Record<(typeof steps)[number], number>>;

const steps = [
  'answeredMs',
  'addedMs',
  'scheduledMs',
  'sandboxBegunMs',
  'sandboxReadyMs',
  'outputMs',
  'runningMs',
] as const;

async function oneAfterAnother(driver: PodDriver, names: readonly string[]): Promise<readonly Timeline[]> {
  const timelines: Timeline[] = [];
  for (const name of names) {
    timelines.push(await timelineOf(driver, await driver.create(name)));
    await driver.remove(name);
  }
  return timelines;
}

async function timelineOf(driver: PodDriver, pod: CreatedPod): Promise<Timeline> {
  const node = await readNodeTimes(driver.cluster, pod);
  return {
    ...pod.seen,
    sandboxBegunMs: node.sandboxBegunMs - pod.postedAtMs,
    sandboxReadyMs: node.sandboxReadyMs - pod.postedAtMs,
    outputMs: node.outputMs - pod.postedAtMs,
  };
}

async function hundredAtOnce(driver: PodDriver, names: readonly string[]): Promise<number> {
  const ms = await timed(() => Promise.all(names.map((name) => driver.create(name))));
  await Promise.all(names.map((name) => driver.remove(name)));
  return ms;
}

function mediansOf(timelines: readonly Timeline[]): Timeline {
  const entries = steps.map((step) => [step, summarise(timelines.map((each) => each[step])).median]);
  return Object.fromEntries(entries);
}
