/** By which seed each plant is found, and by what. */
export const plantSeeds: readonly {
  readonly plant: string;
  readonly seed: number;
  readonly found: string;
}[] = [
  { plant: 'stale-cache', seed: 2, found: 'no rest' },
  { plant: 'watch-from-now', seed: 1, found: 'no rest' },
  { plant: 'expectation-lost', seed: 1, found: 'which wants' },
  { plant: 'delete-without-precondition', seed: 1, found: 'still runs on' },
];
