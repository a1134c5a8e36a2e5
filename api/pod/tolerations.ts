import type { Taint, Toleration } from '#api/generated/objects.ts';

/** Whether one toleration covers the taint; an empty key with Exists covers all, an empty effect every effect. */
export function toleratesTaint(toleration: Toleration, taint: Taint): boolean {
  const { key = '', operator = 'Equal', value = '', effect = '' } = toleration;
  if (effect !== '' && effect !== taint.effect) return false;
  if (key !== '' && key !== taint.key) return false;
  switch (operator) {
    case 'Exists':
      return true;
    case 'Lt':
    case 'Gt':
      return comparesTo(operator, value, taint.value ?? '');
    default: // Equal, also when it is ''.
      return key !== '' && value === (taint.value ?? '');
  }
}

/** The first taint with one of the effects that no toleration covers, or undefined. */
export function findUntoleratedTaint(
  tolerations: readonly Toleration[] | undefined,
  taints: readonly Taint[] | undefined,
  effects: readonly string[],
): Taint | undefined {
  return (taints ?? []).find(
    (taint) =>
      effects.includes(taint.effect) &&
      !(tolerations ?? []).some((toleration) => toleratesTaint(toleration, taint)),
  );
}

/** KEP-5471: the taint's number is less or more than the toleration's. */
function comparesTo(operator: 'Lt' | 'Gt', tolerated: string, tainted: string): boolean {
  const [bound, value] = [tolerated, tainted].map((text) =>
    /^(0|-?[1-9]\d*)$/.test(text) ? Number(text) : Number.NaN,
  );
  if (bound === undefined || value === undefined) return false;
  return operator === 'Lt' ? value < bound : value > bound;
}
