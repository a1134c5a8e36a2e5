/** What a node has of pods that the API no longer has: deleted while no agent ran. */
import { describeError } from '#base/errors.ts';
import type { Pod } from '#api/generated/objects.ts';
import { criUidPrefix } from '#agent/runtime/cri/records.ts';
import type { PodObservation } from '#agent/runtime/runtime.ts';
import type { PodDesired } from './pod-input.ts';
import { createPodMemory, type PodMemories } from './pod-memory.ts';
import type { PodSource } from './pod-intake.ts';
import type { VolumeCounts } from '#agent/volume/counts/volume-counts.ts';
import type { KubeletPorts } from '#agent/kubelet/ports.ts';

/** They end at once. What clients of CRI made is theirs. */
export function adoptOrphans(
  source: Pick<PodSource, 'list'>,
  memories: PodMemories,
  { runtime, clock, enqueue, onOutcome }: Pick<KubeletPorts, 'runtime' | 'clock' | 'enqueue' | 'onOutcome'>,
): void {
  const wanted = new Set(source.list().map((pod) => pod.metadata?.uid));
  for (const orphan of runtime.observeAll()) {
    if (wanted.has(orphan.uid) || orphan.uid.startsWith(criUidPrefix)) continue;
    const desired: PodDesired = { pod: orphanPod(orphan), isPresent: false };
    memories.set(orphan.uid, createPodMemory(orphan.uid, desired, clock.now(), onOutcome));
    enqueue(orphan.uid);
  }
}

function orphanPod({ uid, namespace, name }: PodObservation): Pod {
  return { metadata: { uid, namespace, name, deletionGracePeriodSeconds: 1 }, spec: { containers: [] } };
}

/** As often as the kubelet looks for pods that are gone (housekeepingPeriod). */
const housekeepingMs = 2000;

/**
 * Volumes of pods of which nothing else is left: they are looked for at the start, and then until none is left. A driver may not be there
 * yet, which keeps nobody from starting.
 */
export async function removeOrphanVolumes(
  memories: PodMemories,
  { volumes, clock, logger }: Pick<KubeletPorts, 'volumes' | 'clock' | 'logger'>,
  counts?: Pick<VolumeCounts, 'orphans'>,
): Promise<AsyncDisposable> {
  const told = new Map<string, string>();
  /** Whether some are left. */
  const sweep = async (): Promise<boolean> => {
    const [cleaned, failed]: [string[], string[]] = [[], []];
    for (const uid of await volumes.uids()) {
      if (memories.has(uid)) continue;
      try {
        await volumes.remove(uid);
        cleaned.push(uid);
      } catch (error) {
        failed.push(uid);
        const text = describeError(error);
        if (told.get(uid) !== text)
          logger.warn({ uid, error: text }, 'volumes of a pod that is gone not removed');
        told.set(uid, text);
      }
    }
    if (counts !== undefined)
      Object.assign(counts.orphans, { cleaned: cleaned.length, failed: failed.length });
    return failed.length > 0;
  };
  const abort = new AbortController();
  const again = async (): Promise<void> => {
    do await clock.sleep(housekeepingMs, abort.signal).catch(() => undefined);
    while (!abort.signal.aborted && (await sweep()));
  };
  const running = (await sweep()) ? again() : Promise.resolve();
  return {
    [Symbol.asyncDispose]: async () => {
      abort.abort(new DOMException('kubelet stopped', 'AbortError'));
      await running;
    },
  };
}

/** As often as the kubelet looks for claims that nobody uses. */
const claimsMs = 60_000;

/** Claims of pods of which nothing is left are undone; a driver that is not there is asked again. */
export function releaseOrphanClaims(
  memories: PodMemories,
  { claims, runtime, clock, logger }: Pick<KubeletPorts, 'claims' | 'runtime' | 'clock' | 'logger'>,
): AsyncDisposable {
  const abort = new AbortController();
  const run = async (): Promise<void> => {
    if (claims === undefined) return;
    while (!abort.signal.aborted) {
      for (const uid of claims.podUids()) {
        if (memories.has(uid) || runtime.observe(uid) !== undefined) continue;
        await claims.unprepare(uid, abort.signal).catch((error: unknown) => {
          if (!abort.signal.aborted)
            logger.warn({ uid, error: describeError(error) }, 'claims of a pod that is gone not undone');
        });
      }
      await clock.sleep(claimsMs, abort.signal).catch(() => undefined);
    }
  };
  const running = run();
  return {
    [Symbol.asyncDispose]: async () => {
      abort.abort(new DOMException('kubelet stopped', 'AbortError'));
      await running;
    },
  };
}
