import type { DeviceTaint, DeviceToleration } from '#api/generated/objects.ts';

/** Whether a toleration of a claim covers a taint of a device; an empty key with Exists covers all, an empty effect every effect. */
export function toleratesDeviceTaint(
  { key = '', operator = 'Equal', value = '', effect }: DeviceToleration,
  taint: DeviceTaint,
): boolean {
  if (effect !== undefined && effect !== taint.effect) return false;
  if (key !== '' && key !== taint.key) return false;
  return operator === 'Exists' || (key !== '' && value === (taint.value ?? ''));
}

/** Whether a device may be given to who tolerates this: effect None keeps nobody away. */
export function toleratesDevice(
  tolerations: readonly DeviceToleration[] | undefined,
  taints: readonly DeviceTaint[] | undefined,
): boolean {
  return (taints ?? []).every(
    (taint) =>
      taint.effect === 'None' ||
      (tolerations ?? []).some((toleration) => toleratesDeviceTaint(toleration, taint)),
  );
}
