import { systemClock } from '#base/clock.ts';
import { silentLogger } from '#base/log.ts';
import { loadContract } from '#proto/load.ts';
import type { PluginInfo, RegistrationStatus } from '#proto/pluginregistration/api.ts';
import { serveUnix, serviceOf, type ServedService } from '#proto/unix-server.ts';

export interface TestDriver extends AsyncDisposable {
  /** What it was told of its registration. */
  readonly told: readonly RegistrationStatus[];
  /** How often it was asked what it is. */
  readonly asked: number;
}

export interface TestDriverOptions {
  /** Who it says it is; a function may answer late, or throw. */
  readonly info: Partial<PluginInfo> | (() => Promise<Partial<PluginInfo>>);
  /** What it serves at the same socket. */
  readonly services?: readonly ServedService[];
}

/** A driver with a registration socket, in this process. */
export async function startTestDriver(path: string, options: TestDriverOptions): Promise<TestDriver> {
  const contract = await loadContract('pluginregistration-v1');
  const told: RegistrationStatus[] = [];
  let asked = 0;
  const { info } = options;
  const registration = serviceOf(contract.services['pluginregistration.Registration'], {
    GetInfo: () => {
      asked++;
      return typeof info === 'function' ? info() : info;
    },
    NotifyRegistrationStatus: (status) => {
      told.push(status);
      return {};
    },
  });
  const services = [registration, ...(options.services ?? [])];
  const server = await serveUnix(contract, { path, services, clock: systemClock, log: silentLogger });
  return {
    told,
    get asked() {
      return asked;
    },
    [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
  };
}
