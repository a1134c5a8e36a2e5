/**
 * Promise.all for steps with effects: what failed first in the list is thrown, but not before the others have ended too, so
 * that nothing is under way any more when the caller undoes them.
 */
export async function settleAll<T extends readonly unknown[]>(
  steps: readonly [...{ [K in keyof T]: Promise<T[K]> }],
): Promise<T> {
  await Promise.allSettled(steps);
  return (await Promise.all(steps)) as unknown as T; // The mapped tuple type is what Promise.all resolves to.
}
