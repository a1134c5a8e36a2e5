/** Names of CDI (github.com/cncf-tags/container-device-interface SPEC.md, "Kind"): `vendor.example/gpu=0`. Pure. */

export interface CdiName {
  /** `vendor.example/gpu` */
  readonly kind: string;
  readonly device: string;
}

const vendor = /^[A-Za-z](?:[A-Za-z0-9_.-]*[A-Za-z0-9])?$/;
const className = /^[A-Za-z](?:[A-Za-z0-9_.-]*[A-Za-z0-9])?$/;
const deviceName = /^[A-Za-z0-9](?:[A-Za-z0-9_.:-]*[A-Za-z0-9])?$/;

/** Undefined where it is none. */
export function parseCdiName(text: string): CdiName | undefined {
  const [kind = '', device, ...more] = text.split('=');
  if (device === undefined || more.length > 0) return undefined;
  return isCdiKind(kind) && isCdiDeviceName(device) ? { kind, device } : undefined;
}

export function isCdiKind(text: string): boolean {
  const [owner = '', name, ...more] = text.split('/');
  return name !== undefined && more.length === 0 && vendor.test(owner) && className.test(name);
}

export function isCdiDeviceName(text: string): boolean {
  return deviceName.test(text);
}
