import type { Deployment, ManagedFieldsEntry, ReplicaSet } from '#api/generated/objects.ts';
import { replicaSets as replicaSetKind } from '#api/schema/kind-ref.ts';
import { isNotFound } from '#client/api-error.ts';
import type { ApiClient } from '#client/client.ts';
import { findNewReplicaSet, hasTemplateOf } from './revision.ts';

/** Of so many ReplicaSets it is remembered who wrote them. */
const knownMax = 1_000;

/**
 * Who wrote templates of ReplicaSets, which caches do not keep: asked for where only the name tells that a ReplicaSet is the Deployment's, which is
 * so where admission, or somebody, changed its template.
 */
export class TemplateWriters {
  readonly #client: ApiClient;
  readonly #known = new Map<string, readonly ManagedFieldsEntry[]>();

  constructor(client: ApiClient) {
    this.#client = client;
  }

  /** The same ReplicaSets, the doubtful one with its managedFields. */
  async tell(deployment: Deployment, all: readonly ReplicaSet[]): Promise<readonly ReplicaSet[]> {
    const found = findNewReplicaSet(deployment, all);
    if (found === undefined || hasTemplateOf(found, deployment)) return all;
    const managedFields = await this.#writersOf(found);
    const told = { ...found, metadata: { ...found.metadata, managedFields } };
    return all.map((one) => (one === found ? told : one));
  }

  async #writersOf({ metadata }: ReplicaSet): Promise<readonly ManagedFieldsEntry[]> {
    const { namespace, name = '', uid = '', generation = 0 } = metadata ?? {};
    const id = `${uid} ${generation}`;
    const known = this.#known.get(id);
    if (known !== undefined) return known;
    try {
      const live = await this.#client.get(replicaSetKind, { namespace, name });
      const writers = live.metadata?.managedFields ?? [];
      this.#known.set(id, writers);
      for (const oldest of this.#known.keys()) if (this.#known.size > knownMax) this.#known.delete(oldest);
      return writers;
    } catch (error) {
      if (isNotFound(error)) return [];
      throw error;
    }
  }
}
