import type { CapacityRequirements, Device, DeviceCapacity } from '#api/generated/objects.ts';
import { nanosOf, type Counters } from './pools.ts';

/**
 * What a request takes of each capacity of a device of which others have some, in billionths; undefined: that much is not left, or it cannot have that. Pure.
 */
export function shareOf(
  device: Device,
  asked: CapacityRequirements | undefined,
  others: (name: string) => bigint = () => 0n,
): Counters | undefined {
  const consumed = consumedCapacity(device, asked);
  for (const [name, amount] of consumed ?? [])
    if (others(name) + amount > nanosOf(device.capacity?.[name]?.value)) return undefined;
  return consumed;
}

/**
 * What a request takes of each capacity of a device that several may use, in billionths; undefined: it cannot have that
 * (DRAConsumableCapacity, KEP-5075). Pure.
 */
function consumedCapacity(
  { capacity = {} }: Device,
  { requests = {} }: CapacityRequirements = {},
): Counters | undefined {
  if (Object.keys(requests).some((name) => capacity[name] === undefined)) return undefined;
  const consumed = new Map<string, bigint>();
  for (const [name, of] of Object.entries(capacity)) {
    const amount = amountOf(of, requests[name]);
    if (amount === undefined) return undefined;
    consumed.set(name, amount);
  }
  return consumed;
}

/** Rounded up to what the policy has; of who asks for nothing its default, or all. */
function amountOf({ value, requestPolicy }: DeviceCapacity, asked: string | undefined): bigint | undefined {
  if (asked === undefined) return nanosOf(requestPolicy?.default ?? value);
  const amount = nanosOf(asked);
  const { validRange, validValues } = requestPolicy ?? {};
  if (validRange !== undefined) {
    const { min, max, step } = validRange;
    const least = nanosOf(min);
    const rounded = amount <= least ? least : roundUp(amount - least, nanosOf(step)) + least;
    return max !== undefined && rounded > nanosOf(max) ? undefined : rounded;
  }
  if (validValues === undefined || validValues.length === 0) return amount;
  const values = validValues.map(nanosOf).filter((each) => each >= amount);
  return values.length === 0 ? undefined : values.reduce((a, b) => (a < b ? a : b));
}

function roundUp(amount: bigint, step: bigint): bigint {
  return step <= 0n ? amount : ((amount + step - 1n) / step) * step;
}
