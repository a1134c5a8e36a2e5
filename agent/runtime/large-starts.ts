import type { Clock } from '#base/clock.ts';
import { createTurns } from '#base/turns.ts';
import type { ContainerConfig } from './runtime.ts';

/** Characters of arguments and environment from which a start is large: its encoding takes some eight times as many bytes. */
const largeLength = 262_144;

/** A start that hangs keeps the next large one waiting so long. */
const turnMaxMs = 10_000;

/** Lets one large start at a time be under way on a node, so that a burst of them does not make the agent large; others never wait. */
export interface LargeStarts {
  /** Resolves when it is this one's turn; what it gives ends the turn. */
  enter(config: Pick<ContainerConfig, 'env' | 'args' | 'command'>, signal: AbortSignal): Promise<Disposable>;
}

const nothing: Disposable = { [Symbol.dispose]: () => {} };

export function createLargeStarts(clock: Clock): LargeStarts {
  const turns = createTurns();
  return {
    enter: async ({ env, args, command }, signal) => {
      const values = [...args, ...command].reduce((sum, text) => sum + text.length, 0);
      const length = env.reduce((sum, { name, value }) => sum + name.length + value.length, values);
      if (length < largeLength) return nothing;
      const turn = await turns.take('large');
      const late = clock.after(turnMaxMs, () => turn[Symbol.dispose]());
      const end = new DisposableStack();
      end.use(turn);
      end.use(late);
      if (signal.aborted) end.dispose();
      signal.throwIfAborted();
      return end;
    },
  };
}
