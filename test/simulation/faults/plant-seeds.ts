/** By which seed each plant is found, and by what. */
export const plantSeeds: readonly {
  readonly plant: string;
  readonly seed: number;
  readonly found: string;
}[] = [
  { plant: 'stale-cache', seed: 1, found: 'a cache of' },
  { plant: 'watch-from-now', seed: 1, found: 'no rest' },
  { plant: 'expectation-lost', seed: 1, found: 'which wants' },
  { plant: 'delete-without-precondition', seed: 1, found: 'still runs on' },
  { plant: 'budget-not-read-again', seed: 1, found: 'that its budget keeps' },
  { plant: 'bind-without-precondition', seed: 1, found: 'moved from' },
  { plant: 'finalizer-ignored', seed: 1, found: 'went with the finalizers' },
  { plant: 'quota-not-held', seed: 1, found: 'which may have' },
  { plant: 'address-given-twice', seed: 1, found: 'is that of pods' },
  { plant: 'late-status', seed: 1, found: 'was Succeeded and is' },
  { plant: 'hasty-disc', seed: 1, found: 'was acknowledged' },
];
