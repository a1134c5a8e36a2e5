import type {
  DeviceTaint,
  DeviceTaintRule,
  DeviceTaintSelector,
  DeviceToleration,
  ResourceSlice,
} from '#api/generated/objects.ts';

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

/** Whether a rule is about the device; without a selector it is about none. */
export function selectsDevice(
  { spec: { deviceSelector: selector } }: DeviceTaintRule,
  device: Required<DeviceTaintSelector>,
): boolean {
  if (selector === undefined) return false;
  return (['driver', 'pool', 'device'] as const).every(
    (name) => selector[name] === undefined || selector[name] === device[name],
  );
}

/** The slices as if their drivers had said what rules say of the devices in them. */
export function withRules(
  slices: readonly ResourceSlice[],
  rules: readonly DeviceTaintRule[],
): readonly ResourceSlice[] {
  const selecting = rules.filter(({ spec }) => spec.deviceSelector !== undefined);
  return selecting.length === 0 ? slices : slices.map((slice) => tainted(slice, selecting));
}

function tainted(slice: ResourceSlice, rules: readonly DeviceTaintRule[]): ResourceSlice {
  const { driver, pool, devices = [] } = slice.spec;
  let isOther = false;
  const changed = devices.map((device) => {
    const here = { driver, pool: pool.name, device: device.name };
    const taints = rules.filter((rule) => selectsDevice(rule, here)).map(({ spec }) => spec.taint);
    if (taints.length === 0) return device;
    isOther = true;
    return { ...device, taints: [...(device.taints ?? []), ...taints] };
  });
  return isOther ? { ...slice, spec: { ...slice.spec, devices: changed } } : slice;
}
