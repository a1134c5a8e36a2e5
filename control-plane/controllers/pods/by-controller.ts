import type { KubeObject } from '#api/meta/object.ts';
import { controllerRef } from '#api/meta/owner.ts';
import type { LabelMatcher } from '#api/meta/selector.ts';
import { byLabel, selectedIn } from './by-label.ts';

/** Index of owned objects by the uid of their controller; those without one are there for who may adopt them, by label. */
export const byController = (object: KubeObject): readonly string[] => {
  const uid = controllerRef(object)?.uid;
  return uid === undefined ? byLabel(object).map(orphan) : [uid];
};

/** Where the index has the orphans that the selector may select. */
export function orphansFor(namespace: string | undefined, selector: LabelMatcher): string {
  return orphan(selectedIn(namespace, selector));
}

function orphan(label: string): string {
  return `orphans/${label}`;
}
