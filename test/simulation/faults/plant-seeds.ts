/** By which seed each plant is found, and by what: `node test/simulation/find-plants.ts`. */
export const plantSeeds: readonly {
  readonly plant: string;
  readonly seed: number;
  readonly found: string;
}[] = [
  { plant: 'stale-cache', seed: 9, found: 'a cache of nodes lacks' },
  { plant: 'watch-from-now', seed: 1, found: 'was not looked at' },
  { plant: 'expectation-lost', seed: 2, found: 'which wants' },
  { plant: 'delete-without-precondition', seed: 2, found: 'still runs on' },
  { plant: 'bind-without-precondition', seed: 1, found: 'moved from' },
  { plant: 'quota-not-held', seed: 3, found: 'which may have' },
  { plant: 'late-status', seed: 2, found: 'was Succeeded and is' },
  { plant: 'hasty-disc', seed: 2, found: 'was acknowledged' },
  { plant: 'conflict-forgotten', seed: 6, found: 'says at rest for' },
  { plant: 'silent-in-sleep', seed: 1, found: 'after a sleep: ' },
  { plant: 'namespace-first', seed: 4, found: 'outlives its namespace' },
  { plant: 'finalizer-ignored', seed: 5, found: 'went with the finalizers' },
  { plant: 'budget-not-read-again', seed: 5, found: 'that its budget keeps' },
  { plant: 'address-given-twice', seed: 7, found: 'is that of pods' },
  { plant: 'gang-by-ones', seed: 19, found: 'or none' },
];
