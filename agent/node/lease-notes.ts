/** What parts of a node say in annotations of its Lease: written with it anyway, and read by few. */
export interface LeaseNotes {
  /** undefined: nothing any more. */
  set(annotation: string, text: string | undefined): void;
  /** By annotation. */
  all(): ReadonlyMap<string, string | undefined>;
  onChange(handler: () => void): Disposable;
}

export function createLeaseNotes(): LeaseNotes {
  const notes = new Map<string, string | undefined>();
  const handlers = new Set<() => void>();
  return {
    set: (annotation, text) => {
      if (notes.has(annotation) && notes.get(annotation) === text) return;
      notes.set(annotation, text);
      for (const handler of handlers) handler();
    },
    all: () => notes,
    onChange: (handler) => {
      handlers.add(handler);
      return { [Symbol.dispose]: () => void handlers.delete(handler) };
    },
  };
}
