import type { ShutdownSource } from './node-shutdown.ts';

/** The signal by which an init system, or a person, says that power fails (init(8)): pods end, nothing else waits for that. */
const powerFailure = 'SIGPWR';

export function createSignalSource(): ShutdownSource {
  let listener: (() => void) | undefined;
  const stop = (): void => {
    if (listener !== undefined) process.off(powerFailure, listener);
    listener = undefined;
  };
  return {
    start: async (onChange) => {
      listener = () => onChange(true);
      process.on(powerFailure, listener);
    },
    release: async () => undefined,
    [Symbol.asyncDispose]: async () => stop(),
  };
}
