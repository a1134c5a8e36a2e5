import type { MirrorParts } from '#control-plane/apiserver/objects/mirror.ts';
import type { ReadMetric } from '#control-plane/apiserver/serve/read-metric.ts';
import type { AdmissionContext, AdmissionPlugin } from './admission.ts';
import { keepManifests } from './manifests/keep-manifests.ts';
import { keepNamespaceLabels } from './match/namespace-labels.ts';
import { keepPolicies } from './policies/policy-book.ts';
import { keepHooks } from './webhooks/hook-book.ts';

export interface KeptAdmission extends Disposable {
  readonly kept: Pick<AdmissionContext, 'namespaces' | 'hooks' | 'policies'>;
  /** Of static manifests. */
  readonly metrics: readonly ReadMetric[];
}

/** Follows what hooks and policies go by. Resolves when all was read once. @throws {E_INVALID} for static manifests that are wrong */
export async function keepAdmission(
  parts: MirrorParts,
  plugins: readonly Pick<AdmissionPlugin, 'manifests'>[],
): Promise<KeptAdmission> {
  using stack = new DisposableStack();
  const sources = plugins.flatMap(({ manifests }) => (manifests === undefined ? [] : [manifests]));
  const manifests = stack.use(await keepManifests(sources, parts));
  const { namespaces } = stack.use(await keepNamespaceLabels(parts));
  const { hooks } = stack.use(await keepHooks(parts, manifests));
  const { policies } = stack.use(await keepPolicies(parts, manifests));
  const owned = stack.move();
  return {
    kept: { namespaces, hooks, policies },
    metrics: manifests.metrics,
    [Symbol.dispose]: () => owned[Symbol.dispose](),
  };
}
