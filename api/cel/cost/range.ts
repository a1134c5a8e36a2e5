/** From the least to the most that a size or a cost may be; whole numbers, `unknownMax` for what has no bound (cel-go, checker/cost.go). */
export interface Range {
  readonly min: number;
  readonly max: number;
}

/** Of a uint64, where sums and products stay. */
export const unknownMax: number = 2 ** 64;

export const unknownSize: Range = { min: 0, max: unknownMax };
export const nothing: Range = { min: 0, max: 0 };

export function fixed(value: number): Range {
  return { min: value, max: value };
}

export function sumOf(...ranges: readonly Range[]): Range {
  return ranges.reduce((a, b) => ({ min: capped(a.min + b.min), max: capped(a.max + b.max) }), nothing);
}

export function productOf(a: Range, b: Range): Range {
  return { min: times(a.min, b.min), max: times(a.max, b.max) };
}

/** Rounded up. */
export function scaled({ min, max }: Range, factor: number): Range {
  return { min: capped(Math.ceil(min * factor)), max: capped(Math.ceil(max * factor)) };
}

export function unionOf(a: Range, b: Range): Range {
  return { min: Math.min(a.min, b.min), max: Math.max(a.max, b.max) };
}

/** Of two bounds that may be none. */
export function times(a: number, b: number): number {
  return capped(a * b);
}

function capped(value: number): number {
  return Math.min(value, unknownMax);
}
