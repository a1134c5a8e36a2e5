/** What a job in a machine says to the host that started it: JSON lines through the virtio port. */
export type Report =
  | { readonly kind: 'step'; readonly text: string; readonly ms: number }
  | { readonly kind: 'passed'; readonly text: string; readonly ms: number }
  | { readonly kind: 'failed'; readonly text: string; readonly ms: number; readonly why: string }
  /** The set-up broke: nothing further can be found out in this machine. */
  | { readonly kind: 'died'; readonly why: string }
  /** Said last, so that a machine that died half-way is told from one that is through. */
  | { readonly kind: 'through' };

/** A line of the port as a report; what is none (a stray print) is told apart by undefined. */
export function parseReport(line: string): Report | undefined {
  try {
    const value: unknown = JSON.parse(line);
    return typeof value === 'object' && value !== null && 'kind' in value ? (value as Report) : undefined;
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
}
