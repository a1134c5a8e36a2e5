/** `run`: create and start, and unless it detaches wait for the end. */
import { constants } from 'node:os';
import { PodwrightError } from '#base/errors.ts';
import { createContainer } from './create.ts';
import type { CreateOptions } from './create.ts';
import { deleteContainer } from './delete.ts';
import { find, killContainer } from './signal.ts';
import { startContainer } from './start.ts';
import type { Runtime } from './runtime.ts';

/** Signals that are the container's, while somebody waits for it here. */
const passedSignals = ['SIGTERM', 'SIGINT', 'SIGHUP', 'SIGQUIT', 'SIGUSR1', 'SIGUSR2', 'SIGWINCH'] as const;

/** The container's exit code; 0 at once where it detaches. */
export async function runContainer(
  runtime: Runtime,
  options: Omit<CreateOptions, 'waits'>,
  { detaches, keeps }: { readonly detaches: boolean; readonly keeps: boolean },
): Promise<number> {
  const run = await createContainer(runtime, { ...options, waits: !detaches });
  await startContainer(runtime, options.id);
  if (detaches) return 0;
  for (const name of passedSignals)
    process.on(name, () => pass(runtime, options.id, constants.signals[name]));
  const code = await run.end();
  if (!keeps) await deleteContainer(runtime, options.id, true);
  return code;
}

function pass(runtime: Runtime, id: string, signal: number): void {
  try {
    if (find(runtime, id).status !== 'stopped') killContainer(runtime, id, { signal, all: false });
  } catch (error) {
    // It has ended meanwhile, and is being removed.
    if (!(error instanceof PodwrightError)) throw error;
  }
}
