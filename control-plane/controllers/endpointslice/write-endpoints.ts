import { equalJson } from '#api/wire/json.ts';
import { endpoints } from '#api/schema/kind-ref.ts';
import { isNotFound } from '#client/api-error.ts';
import { source, type Source } from '#client/controller.ts';
import type { ControllerContext } from '#control-plane/controllers/controller-context.ts';
import { computeEndpoints, type Backends } from './plan.ts';
import { withTriggerTime } from './trigger-times.ts';

/** Writes the Endpoints objects that old clients read. */
export interface EndpointsWriter {
  /** Enqueues the Service of what somebody else removed or changed: it is put right. */
  readonly source: Source;
  /** Whether there is an object to be updated. */
  has(key: string): boolean;
  /** @param triggerMs since when it is due (unix ms) */
  write(key: string, backends: Backends, triggerMs: number | undefined): Promise<void>;
  remove(key: string): Promise<void>;
}

/** As the endpoints controller of Kubernetes. */
export function createEndpointsWriter({ client, informers }: ControllerContext): EndpointsWriter {
  const informer = informers.for(endpoints);
  /** Revisions of ours by key: what they tell is known. */
  const written = new Map<string, string | undefined>();
  return {
    source: source(informer, ({ key, current }) => {
      if (current !== undefined && current.metadata?.resourceVersion === written.get(key)) return [];
      written.delete(key);
      return [key];
    }),
    has: (key) => informer.get(key) !== undefined,
    write: async (key, backends, triggerMs) => {
      const existing = informer.get(key);
      const computed = computeEndpoints(backends, existing);
      if (existing !== undefined && equalJson(existing, computed)) return;
      const annotations = withTriggerTime(computed.metadata?.annotations, triggerMs);
      const wanted = { ...computed, metadata: { ...computed.metadata, annotations } };
      const made = await (existing === undefined
        ? client.create(endpoints, wanted)
        : client.update(endpoints, wanted));
      written.set(key, made.metadata?.resourceVersion);
      informer.observe(made);
    },
    remove: async (key) => {
      const existing = informer.get(key);
      // Leader-election locks of old programs live in Endpoints objects: only those made here go.
      if (existing?.metadata?.labels?.['endpoints.kubernetes.io/managed-by'] !== 'endpoint-controller')
        return;
      const { namespace, name = '', uid } = existing.metadata;
      try {
        await client.delete(endpoints, { namespace, name }, { preconditions: { uid } });
      } catch (error) {
        if (!isNotFound(error)) throw error;
      }
    },
  };
}
