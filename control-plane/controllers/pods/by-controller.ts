import type { KubeObject } from '#api/meta/object.ts';
import { controllerRef } from '#api/meta/owner.ts';

/** Index of owned objects by the uid of their controller; those without one are under `orphans/<namespace>`. */
export const byController = (object: KubeObject): readonly string[] => [
  controllerRef(object)?.uid ?? orphansOf(object.metadata?.namespace),
];

export function orphansOf(namespace: string | undefined): string {
  return `orphans/${namespace ?? ''}`;
}
