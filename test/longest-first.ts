import { createHash } from 'node:crypto';

import { BaseSequencer, type TestSequencer, type TestSpecification, type Vitest } from 'vitest/node';

/**
 * Seconds that a file takes on two quiet cores, of those with more than a few: begun first, so that the workers end together.
 * A checkout has no memory of earlier runs, and their sizes say nothing: the longest are short texts. `.ci/run` prints the slowest.
 */
const secondsOf: Readonly<Record<string, number>> = {
  'test/attack/kill-campaign.test.ts': 79,
  'test/cluster/join.test.ts': 65,
  'test/cluster/images.test.ts': 50,
  'test/attack/bounds.test.ts': 43,
  'test/simulation/simulation.test.ts': 43,
  'test/cluster/kill.test.ts': 40,
  'test/cluster/identity.test.ts': 40,
  'test/cluster/kubectl.test.ts': 38,
  'test/cluster/families.test.ts': 38,
  'test/cluster/pod-fields.test.ts': 38,
  'agent/network/fabric/fabric.linux.test.ts': 36,
  'agent/proxy/proxy.linux.test.ts': 36,
  'test/cluster/volumes.test.ts': 35,
  'test/cluster/outside.test.ts': 35,
  'test/environment/environment.test.ts': 30,
  'test/cluster/life-cycle.test.ts': 30,
  'test/cluster/services.test.ts': 25,
  'test/server/knock-over/knock-over.test.ts': 25,
  'test/attack/shared-campaign.test.ts': 28,
  'test/cluster/fabric.test.ts': 26,
  'test/cluster/rolling/rolling.test.ts': 24,
  'test/cluster/proxy-modes.test.ts': 20,
  'test/package/kill-campaign.test.ts': 17,
  'agent/runtime/images/quirks/layer-quirks.test.ts': 40,
  'control-plane/store/embedded.test.ts': 16,
  'control-plane/apiserver/encryption/encryption.test.ts': 15,
};

/**
 * Files that have a process of their own, then those that share one; of each the longest first.
 * With PODWRIGHT_ORDER_SEED any order, by that word: what a file leaves for the next shows.
 */
export class LongestFirst implements TestSequencer {
  readonly #base: BaseSequencer;
  readonly #root: string;

  constructor(vitest: Vitest) {
    this.#base = new BaseSequencer(vitest);
    this.#root = `${vitest.config.root}/`;
  }

  shard(files: TestSpecification[]): Promise<TestSpecification[]> {
    return this.#base.shard(files);
  }

  async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const seed = process.env['PODWRIGHT_ORDER_SEED'];
    if (seed !== undefined) return files.toSorted(byHash(seed));
    const sorted = await this.#base.sort(files);
    const isShared = ({ project }: TestSpecification): number => Number(!project.config.isolate);
    const seconds = ({ moduleId }: TestSpecification): number =>
      secondsOf[moduleId.replace(this.#root, '')] ?? 0;
    return sorted.toSorted((a, b) => isShared(a) - isShared(b) || seconds(b) - seconds(a));
  }
}

function byHash(seed: string): (a: TestSpecification, b: TestSpecification) => number {
  const hash = ({ moduleId }: TestSpecification): string =>
    createHash('sha256').update(`${seed} ${moduleId}`).digest('hex');
  return (a, b) => (hash(a) < hash(b) ? -1 : 1);
}
