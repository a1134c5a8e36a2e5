/** What one level wants of the seats that are shared out. All in seats, fractions allowed. */
export interface Want {
  /** What it could use; at least `lower`. */
  readonly target: number;
  readonly lower: number;
  readonly upper: number;
}

export interface SharedOut {
  /** In the order of the wants; their sum is what was to be shared out. */
  readonly seats: readonly number[];
  /** How much of its target each has whom no bound holds. */
  readonly fairFraction: number;
}

/** A target below this is taken for this: who wants nothing still grows with the others. */
const targetMin = 0.001;
const tolerance = 1e-7;

/**
 * Shares seats out so that all have the same fraction of what they want, as far as their bounds let them: max-min fairness with weights
 * (KEP-1040, Seat Borrowing). The sum grows with the fraction, in straight pieces between the fractions at which somebody leaves a bound
 * or comes to one; these are walked through in order. undefined: the bounds leave no way.
 */
export function shareOut(sum: number, wants: readonly Want[]): SharedOut | undefined {
  const all = wants.map((want) => ({ ...want, target: Math.max(want.target, targetMin) }));
  const lowest = all.reduce((total, { lower }) => total + lower, 0);
  const highest = all.reduce((total, { upper }) => total + upper, 0);
  if (lowest - sum > tolerance || sum - highest > tolerance) return undefined;
  const turns = all
    .flatMap(({ target, lower, upper }) => [
      { at: lower / target, slope: target },
      { at: upper / target, slope: -target },
    ])
    .toSorted((a, b) => a.at - b.at);
  let [fraction, reached, slope] = [0, lowest, 0];
  for (const turn of turns) {
    const next = reached + (turn.at - fraction) * slope;
    if (slope > 0 && next >= sum) break;
    reached = next;
    fraction = turn.at;
    slope += turn.slope;
  }
  if (slope > tolerance && reached < sum) fraction += (sum - reached) / slope;
  const seats = all.map(({ target, lower, upper }) => Math.max(lower, Math.min(upper, fraction * target)));
  return { seats, fairFraction: fraction };
}
