import { chmod, mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { errnoOf, isPodwrightError } from '#base/errors.ts';
import type { ActionOutcome } from '#agent/kubelet/sync/outcome.ts';
import type { PodMemory } from '#agent/kubelet/sync/pod-memory.ts';
import type { KubeletPorts } from '#agent/kubelet/ports.ts';

/** What an action is applied to. The facts are not in it: an action says all that they decide. */
export interface ApplyContext {
  readonly memory: Pick<PodMemory, 'uid' | 'desired' | 'facts' | 'report' | 'beside'>;
  readonly ports: KubeletPorts;
}

/** What an action came to, and what it leaves running: that begins when the facts have the outcome, and reports by itself. */
export interface Applied {
  readonly outcome: ActionOutcome;
  readonly beside?: () => void;
}

/** Makes the directory of a file, then the file. */
export async function ensureFile(file: string, content: string, mode: number): Promise<void> {
  try {
    await writeFile(file, content, { mode });
  } catch (error) {
    if (errnoOf(error) !== 'ENOENT') throw error;
    await mkdir(path.dirname(file), { recursive: true });
    await writeFile(file, content, { mode });
  }
  // A file that was there is ours, and has it; a new one lacks what the agent's umask takes away.
  if ((mode & process.umask()) !== 0) await chmod(file, mode);
}

/** Whether the failure is the container's own (its command, its user), which the runtime then reports as a run that ended. */
export function isLaunchFailure(error: unknown): boolean {
  return isPodwrightError(error, 'E_LAUNCH');
}
