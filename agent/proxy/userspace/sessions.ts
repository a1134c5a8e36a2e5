/** What goes on between clients and backends, of all Services: so many at once, and no more. */
export interface Sessions {
  /**
   * Takes a place until the result is disposed. Where there is none, the one that has been silent longest of those that may be
   * ended makes place; undefined: none may.
   */
  open(end?: () => void): Session | undefined;
}

export interface Session extends Disposable {
  /** Something was said: others make place first. */
  touch(): void;
}

/** Descriptors are two each, and an agent may open 65,536 and more (its unit's LimitNOFILE). */
export const sessionsMax = 16_384;

export function createSessions(max: number = sessionsMax): Sessions {
  const all = new Set<object>();
  const endable = new Map<object, () => void>();
  return {
    open: (end) => {
      if (all.size >= max) {
        const [oldest] = endable;
        if (oldest === undefined) return undefined;
        oldest[1]();
      }
      const self = {};
      all.add(self);
      if (end !== undefined) endable.set(self, end);
      return {
        touch: () => {
          if (end === undefined || !endable.delete(self)) return;
          endable.set(self, end);
        },
        [Symbol.dispose]: () => {
          all.delete(self);
          endable.delete(self);
        },
      };
    },
  };
}
