/** What worlds came to. */
export interface WorldsSum {
  readonly worlds: number;
  /** That went by in them. */
  readonly virtualMs: number;
  /** Of processor. */
  readonly spentMs: number;
  /** Whether nothing was wrong in any of them. */
  readonly isWell: boolean;
}

export const noWorlds: WorldsSum = { worlds: 0, virtualMs: 0, spentMs: 0, isWell: true };

/** Pure. */
export function addSums(one: WorldsSum, other: WorldsSum): WorldsSum {
  return {
    worlds: one.worlds + other.worlds,
    virtualMs: one.virtualMs + other.virtualMs,
    spentMs: one.spentMs + other.spentMs,
    isWell: one.isWell && other.isWell,
  };
}

/** Pure. */
export function sumText({ worlds, virtualMs, spentMs }: WorldsSum): string {
  const hours = virtualMs / 3_600_000;
  const anHour = Math.round(hours / (spentMs / 3_600_000));
  return `${worlds} worlds, ${hours.toFixed(1)} hours of clusters: ${anHour} an hour of processor`;
}
