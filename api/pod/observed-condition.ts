import type { Pod } from '#api/generated/objects.ts';

/**
 * A condition of the pod with the generation that it was said of (PodObservedGenerationTracking, by default since 1.34). Whoever creates,
 * binds or evicts by the API says none.
 */
export function observedCondition<C extends { readonly type: string }>(
  { metadata }: Pod,
  condition: C,
): C & { readonly observedGeneration?: number } {
  const { generation } = metadata ?? {};
  return generation === undefined ? condition : { ...condition, observedGeneration: generation };
}
