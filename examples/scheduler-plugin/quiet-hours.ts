/**
 * Keeps pods that ask for it (`example.com/quiet: "true"`) from nodes that are busy, and prefers the nodes with the fewest pods.
 * podwright server --scheduler-plugins examples/scheduler-plugin
 */
interface Labelled {
  readonly metadata?: { readonly labels?: Readonly<Record<string, string>> };
}
interface On {
  readonly node: Labelled;
  readonly pods: readonly Labelled[];
}

const podsMax = 20;
const isQuiet = ({ metadata }: Labelled): boolean => metadata?.labels?.['example.com/quiet'] === 'true';

export const plugin = {
  name: 'QuietHours',
  weight: 2,
  filter: (pod: Labelled, { pods }: On): string | undefined =>
    isQuiet(pod) && pods.length >= podsMax ? 'node(s) were too busy for a quiet pod' : undefined,
  score: (pod: Labelled, { pods }: On): number => (isQuiet(pod) ? Math.max(0, 100 - pods.length) : 0),
};
