/** How far a pull is: of the layers as they are sent, those that are here already included. */
export interface PullProgress {
  readonly layers: number;
  /** Those that are here, unpacked. */
  readonly layersDone: number;
  readonly bytes: number;
  readonly bytesDone: number;
}

/** Counts what has come of the layers of one image. */
export interface PullCount {
  /** So many bytes of the layer are here; of one that was begun again fewer than before. */
  came(layer: number, bytes: number): void;
  done(layer: number): void;
}

/** `tell` hears of the beginning and of each change; undefined: nobody asks. */
export function countPull(
  layers: readonly { readonly sizeBytes: number }[],
  tell: ((progress: PullProgress) => void) | undefined,
): PullCount {
  const sum = (numbers: readonly number[]): number => numbers.reduce((all, one) => all + one, 0);
  const sizes = layers.map(({ sizeBytes }) => sizeBytes);
  const here = sizes.map(() => 0);
  const whole = new Set<number>();
  const say = (): void =>
    tell?.({
      ...{ layers: sizes.length, layersDone: whole.size },
      ...{ bytes: sum(sizes), bytesDone: sum(here) },
    });
  say();
  return {
    came: (layer, bytes) => {
      here[layer] = Math.min(bytes, sizes[layer] ?? 0);
      say();
    },
    done: (layer) => {
      here[layer] = sizes[layer] ?? 0;
      whole.add(layer);
      say();
    },
  };
}
