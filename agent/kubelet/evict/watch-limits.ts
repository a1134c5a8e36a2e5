/** Pods that outgrow their limits of local storage are ended. */
import { describeError } from '#base/errors.ts';
import type { Runtime } from '#agent/runtime/runtime.ts';
import { evictionCheckMs, overLimit } from './evict.ts';
import type { PodMemories } from '#agent/kubelet/sync/pod-memory.ts';
import type { KubeletPorts } from '#agent/kubelet/ports.ts';

/** Looks at every pod, one after another, for as long as it is not disposed. */
export function watchLimits(memories: PodMemories, ports: KubeletPorts): Disposable {
  const { clock, logger } = ports;
  const abort = new AbortController();
  const run = async (): Promise<void> => {
    for (;;) {
      await clock.sleep(evictionCheckMs, abort.signal);
      await evictOverLimit(memories, ports).catch((error: unknown) =>
        logger.warn({ error: describeError(error) }, 'volume usage not read'),
      );
    }
  };
  run().catch(() => undefined); // Ends by abort only.
  return { [Symbol.dispose]: () => abort.abort(new DOMException('kubelet stopped', 'AbortError')) };
}

async function evictOverLimit(memories: PodMemories, ports: KubeletPorts): Promise<void> {
  const { directories, events, enqueue, runtime } = ports;
  for (const memory of memories.values()) {
    if (memory.facts.rejection !== undefined || memory.facts.volumes.state !== 'ready') continue;
    const { pod } = memory.desired;
    const writableLayers = layersOf(memory.uid, runtime);
    const over = await overLimit(pod, { directories, writableLayers });
    if (over === undefined) continue;
    const { message, signal } = over;
    // Upstream's immediateEvictionGracePeriodSeconds: what it writes while it ends is beyond its limit, too.
    memory.report({ kind: 'refused', refusal: { reason: 'Evicted', message, signal, graceSecondsMax: 1 } });
    events.warning(pod, 'Evicted', message);
    enqueue(memory.uid);
  }
}

/** By container name, what its runs that are still on the node wrote. */
function layersOf(uid: string, runtime: Runtime): ReadonlyMap<string, readonly string[]> {
  const layers = new Map<string, readonly string[]>();
  for (const { id, name } of runtime.observe(uid)?.containers ?? [])
    layers.set(name, [...(layers.get(name) ?? []), runtime.writableLayer(id)]);
  return layers;
}
