/** What a PriorityLevelConfiguration says of its level, with defaults filled in. */
export interface LevelSpec {
  readonly isExempt: boolean;
  /** `nominalConcurrencyShares`. */
  readonly shares: number;
  /** 0 to 100. */
  readonly lendablePercent: number;
  /** undefined: without a limit. */
  readonly borrowingLimitPercent: number | undefined;
  /** undefined: who finds no seat is refused. */
  readonly queuing: Queuing | undefined;
}

export interface Queuing {
  readonly queues: number;
  readonly handSize: number;
  readonly queueLengthLimit: number;
}

/** The seats of a level (KEP-1040: NominalCL, MinCL, MaxCL). */
export interface LevelSeats {
  readonly nominal: number;
  /** What it keeps when it lends all that it may. */
  readonly min: number;
  /** What it has when it borrows all that it may. */
  readonly max: number;
  /** What it begins with, before anything is known of what it wants. */
  readonly initial: number;
  /** The most that one request takes. */
  readonly widest: number;
}

/** However many seats there are (apiserver, MaximumListSeatsLimit). */
const widestMax = 10;
/** Of the nominal seats, that one request may take (apiserver, priorityLevelMaxSeatsPercent). */
const widestShare = 0.15;

/** Divides all seats of the server by shares. Rounded up, so that the sum is a little more. Pure. */
export function computeLevelSeats(
  specs: ReadonlyMap<string, LevelSpec>,
  total: number,
): ReadonlyMap<string, LevelSeats> {
  const shares = [...specs.values()].reduce((sum, spec) => sum + spec.shares, 0);
  return new Map([...specs].map(([name, spec]) => [name, seatsOf(spec, { total, shares })]));
}

function seatsOf(
  { shares, lendablePercent, borrowingLimitPercent, queuing }: LevelSpec,
  all: { readonly total: number; readonly shares: number },
): LevelSeats {
  const nominal = all.shares === 0 ? 0 : Math.ceil((all.total * shares) / all.shares);
  const lendable = Math.round((nominal * lendablePercent) / 100);
  const borrowing =
    borrowingLimitPercent === undefined ? all.total : Math.round((nominal * borrowingLimitPercent) / 100);
  // A flow has as many queues as its hand: with requests this wide it leaves seats to others (kubernetes #115409).
  const ofHand = queuing === undefined ? widestMax : Math.floor(nominal / queuing.handSize);
  const ofLevel = queuing === undefined ? widestMax : Math.ceil(nominal * widestShare);
  return {
    nominal,
    min: nominal - lendable,
    max: nominal + borrowing,
    initial: nominal - Math.floor(lendable / 2),
    widest: Math.max(1, Math.min(widestMax, ofHand, ofLevel)),
  };
}
