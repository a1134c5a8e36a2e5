/** How devices of claims are, as their drivers say it (NodeWatchResources, KEP-4680): what is not repeated in time is not known any more. */
import type { Clock } from '#base/clock.ts';
import { describeError, isPodwrightError, PodwrightError } from '#base/errors.ts';
import type { Logger } from '#base/log.ts';
import type { ResourceHealth } from '#api/generated/objects.ts';
import type { DeviceHealth as ToldHealth } from '#proto/dra-health/api.ts';
import { devicesMax } from '#agent/device/device-plugin.ts';
import type { DeviceHealth } from '#agent/device/device.ts';

/** Of a device whose driver names no time (kubelet's DefaultHealthTimeout). */
const defaultTimeoutMs = 30_000;
/** Characters of what a driver says of a device (core/v1 ResourceHealthMessageMaxLength). */
const messageMax = 1024;
/** Until a driver whose stream ended is asked again. */
export const healthRetryMs = 5000;

/** What a driver says of one of its devices. */
export interface DeviceReport {
  readonly pool: string;
  readonly device: string;
  readonly health: DeviceHealth;
  readonly message: string;
  readonly timeoutMs: number;
}

/** @throws {E_LIMIT} {E_INVALID} for a report that is none */
export function parseReport(devices: readonly ToldHealth[]): readonly DeviceReport[] {
  if (devices.length > devicesMax)
    throw new PodwrightError('E_LIMIT', `it tells of ${devices.length} devices, at most ${devicesMax}`);
  return devices.map(({ device, health, health_check_timeout_seconds: seconds, message }) => {
    if (device === null || device.pool_name === '' || device.device_name === '')
      throw new PodwrightError('E_INVALID', 'it tells of a device without a name');
    return {
      ...{ pool: device.pool_name, device: device.device_name },
      health: health === 'HEALTHY' ? 'Healthy' : health === 'UNHEALTHY' ? 'Unhealthy' : 'Unknown',
      message: message.length > messageMax ? `${message.slice(0, messageMax - 3)}...` : message,
      timeoutMs: seconds > 0 ? seconds * 1000 : defaultTimeoutMs,
    };
  });
}

interface Known extends DeviceReport {
  readonly untilMs: number;
}

export interface ClaimHealthsOptions {
  readonly clock: Clock;
  /** Told of devices (`pool/device`) of a driver that are otherwise than before. */
  readonly onChange: (driver: string, devices: ReadonlySet<string>) => void;
}

export class ClaimHealths implements Disposable {
  readonly #options: ClaimHealthsOptions;
  readonly #byDriver = new Map<string, ReadonlyMap<string, Known>>();
  #timer: Disposable | undefined;

  constructor(options: ClaimHealthsOptions) {
    this.#options = options;
  }

  of(driver: string, pool: string, device: string): Pick<ResourceHealth, 'health' | 'message'> {
    const known = this.#byDriver.get(driver)?.get(`${pool}/${device}`);
    if (known === undefined || known.untilMs <= this.#options.clock.monotonic()) return { health: 'Unknown' };
    return { health: known.health, ...(known.message === '' ? {} : { message: known.message }) };
  }

  /** All that a driver says now. Of what it leaves out its last word stands, for as long as it is good. */
  report(driver: string, reports: readonly DeviceReport[]): void {
    const nowMs = this.#options.clock.monotonic();
    const before = this.#byDriver.get(driver) ?? new Map<string, Known>();
    const after = new Map([...before].filter(([, { untilMs }]) => untilMs > nowMs));
    for (const one of reports)
      after.set(`${one.pool}/${one.device}`, { ...one, untilMs: nowMs + one.timeoutMs });
    this.#set(driver, before, after);
  }

  /** Nobody says any more how its devices are. */
  forget(driver: string): void {
    this.#set(driver, this.#byDriver.get(driver) ?? new Map(), new Map());
  }

  #set(driver: string, before: ReadonlyMap<string, Known>, after: ReadonlyMap<string, Known>): void {
    if (after.size === 0) this.#byDriver.delete(driver);
    else this.#byDriver.set(driver, after);
    const textOf = (known: Known | undefined): string =>
      known === undefined ? 'Unknown ' : `${known.health} ${known.message}`;
    const names = new Set([...before.keys(), ...after.keys()]);
    const changed = [...names].filter((name) => textOf(before.get(name)) !== textOf(after.get(name)));
    this.#await();
    if (changed.length > 0) this.#options.onChange(driver, new Set(changed));
  }

  /** Looks again when the next word is no longer good. */
  #await(): void {
    this.#timer?.[Symbol.dispose]();
    const ends = [...this.#byDriver.values()].flatMap((known) =>
      [...known.values()].map(({ untilMs }) => untilMs),
    );
    const { clock } = this.#options;
    const look = (): void => {
      for (const driver of this.#byDriver.keys()) this.report(driver, []);
    };
    let next = Infinity;
    for (const end of ends) next = Math.min(next, end);
    this.#timer = next === Infinity ? undefined : clock.after(Math.max(0, next - clock.monotonic()), look);
  }

  [Symbol.dispose](): void {
    this.#timer?.[Symbol.dispose]();
  }
}

export interface FollowOptions {
  readonly driver: string;
  /** What the driver says, until it ends it. */
  readonly watch: (signal: AbortSignal) => AsyncIterable<readonly ToldHealth[]>;
  readonly healths: Pick<ClaimHealths, 'report' | 'forget'>;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** Takes what a driver says of its devices, as long as it serves the node. One that says nothing of them is not asked again. */
export async function followHealths(options: FollowOptions, signal: AbortSignal): Promise<void> {
  const { driver, watch, healths, clock, logger } = options;
  while (!signal.aborted) {
    try {
      for await (const devices of watch(signal)) healths.report(driver, parseReport(devices));
    } catch (error) {
      if (!signal.aborted && isPodwrightError(error, 'E_UNSUPPORTED')) return;
      if (!signal.aborted)
        logger.warn({ driver, error: describeError(error) }, 'driver does not say how its devices are');
    }
    healths.forget(driver);
    await clock.sleep(healthRetryMs, signal).catch(() => undefined);
  }
}
