import { PodwrightError } from '#base/errors.ts';
import type { IdRange } from '#native/launch/launch.ts';

/** The ids of the host that pods with user namespaces of their own are given, each `idsPerPod` of them. */
export interface IdSpace extends IdRange {
  readonly idsPerPod: number;
}

/** As the kubelet has them by default: 64Ki each, those of the host's own users left out, for its 110 pods. */
export const defaultIdSpace: IdSpace = { first: 65_536, count: 65_536 * 110, idsPerPod: 65_536 };

/** Which pod has which ids. No two have the same, also where one is still being ended. */
export class IdRanges {
  readonly #space: IdSpace;
  readonly #given = new Map<string, IdRange>();

  constructor(space: IdSpace) {
    this.#space = space;
  }

  /** What an earlier agent gave, wherever it lies. */
  keep(uid: string, ids: IdRange): void {
    this.#given.set(uid, ids);
  }

  /** The pod's, the lowest that are free the first time. @throws {E_LIMIT} where none are */
  take(uid: string): IdRange {
    const known = this.#given.get(uid);
    if (known !== undefined) return known;
    const { first, count, idsPerPod } = this.#space;
    const given = [...this.#given.values()];
    for (let at = first; at + idsPerPod <= first + count; at += idsPerPod) {
      const isFree = given.every((ids) => at + idsPerPod <= ids.first || ids.first + ids.count <= at);
      if (!isFree) continue;
      const ids = { first: at, count: idsPerPod };
      this.#given.set(uid, ids);
      return ids;
    }
    throw new PodwrightError(
      'E_LIMIT',
      `give pod ${uid} ids of its own: all ${count} from ${first} on are given, ${idsPerPod} to each of ${given.length} pods`,
    );
  }

  free(uid: string): void {
    this.#given.delete(uid);
  }
}
