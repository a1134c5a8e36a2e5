import type { Source } from '#client/controller.ts';

/** Who signed what the API server shows; renewed while controllers run. */
export interface RootCa {
  /** As it is now. */
  readonly pem: string;
  /** Calls the listener after each renewal, until disposed; without it there is none. */
  onChange?(listener: () => void): Disposable;
}

/** A renewal enqueues all keys of objects that hold the authority. */
export function renewalOf(rootCa: RootCa, keys: () => Iterable<string>): Source {
  return {
    synced: Promise.resolve(),
    attach: (enqueue) =>
      rootCa.onChange?.(() => {
        for (const key of keys()) enqueue(key);
      }) ?? { [Symbol.dispose]: () => undefined },
  };
}
