import { systemClock } from '#base/clock.ts';
import { silentLogger } from '#base/log.ts';
import { defaultIdSpace } from '#agent/runtime/id-ranges.ts';
import { connectRuntime, type ConnectOptions } from './connect-runtime.ts';
import type { CriRuntime } from './cri-runtime.ts';

/** Without cgroups: those of pods are where the runtime has them. */
export function connectForTest(endpoint: string, change: Partial<ConnectOptions> = {}): Promise<CriRuntime> {
  const options: ConnectOptions = {
    endpoint,
    nodeName: 'node-a',
    system: {
      ensureCgroup: async () => ({ path: undefined, missing: [] }),
      removeCgroup: async () => undefined,
    },
    cgroupParent: () => undefined,
    seccompDirectory: '/nonexistent',
    idSpace: defaultIdSpace,
    clock: systemClock,
    log: silentLogger,
    ...change,
  };
  return connectRuntime(options, new AbortController().signal);
}
