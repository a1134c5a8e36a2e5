import { mountedImagesOf } from './container-document.ts';
import type { ContainerConfig, ContainerObservation, ContainerState } from './runtime.ts';

/** How a fake container runs. */
export interface FakeBehaviour {
  /** Ends by itself after this long; undefined: runs until stopped. */
  readonly exitAfterMs?: number;
  readonly exitCode?: number;
  /** What SIGTERM does: the exit code, or `ignore` (only SIGKILL after the grace period ends it). Default 143. */
  readonly onTerm?: number | 'ignore';
  /** The launch fails with this message (E_LAUNCH). */
  readonly startError?: string;
  readonly terminationMessage?: string;
  /** Its start takes this long. */
  readonly startAfterMs?: number;
  /** Why it ends by itself, where its exit code does not say. */
  readonly exitReason?: 'OOMKilled';
  /** What it writes at its start. */
  readonly output?: string;
}

/** The little shell that the fake runtime understands: `exit N`, `sleep N`, `trap 'exit N' TERM`, and `while true`, which has no end. */
export function behaviourOf(args: readonly string[]): FakeBehaviour {
  const script = args.join(' ');
  const trapped = /trap ['"]exit (\d+)['"] (?:SIG)?TERM/.exec(script)?.[1];
  const onTerm = trapped !== undefined ? Number(trapped) : /(^| )(sleep|sh) /.test(script) ? 'ignore' : 143;
  const exitCode = /(?:^|[;& ])exit (\d+)(?:$|[;& ])/.exec(
    script.replace(/trap ['"][^'"]*['"] \w+/, ''),
  )?.[1];
  const sleepSeconds = /(?:^|[;& ])sleep ([\d.]+)/.exec(script)?.[1];
  if (/while true; do .*done$/.test(script)) return { onTerm };
  if (exitCode !== undefined)
    return { onTerm, exitCode: Number(exitCode), exitAfterMs: Number(sleepSeconds ?? 0) * 1000 };
  if (sleepSeconds !== undefined) return { onTerm, exitCode: 0, exitAfterMs: Number(sleepSeconds) * 1000 };
  if (/(?:^|\/| )(true|false|echo)(?: |$)/.test(script))
    return { exitAfterMs: 0, exitCode: /(?:^|\/)false/.test(script) ? 1 : 0 };
  return { onTerm };
}

/** As a runtime tells of it. */
export function observeFake({
  config,
  state,
}: {
  readonly config: ContainerConfig;
  readonly state: ContainerState;
}): ContainerObservation {
  return {
    id: config.id,
    name: config.name,
    attempt: config.attempt,
    image: config.image,
    imageId: config.imageId,
    logPath: config.stdio.logPath,
    state,
    user: { uid: config.user.uid ?? 0, gid: config.user.gid ?? 0, additionalGids: [] },
    stopSignal: 15,
    ...mountedImagesOf(config),
  };
}
