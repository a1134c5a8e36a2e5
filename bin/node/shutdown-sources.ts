/** Who tells an agent that its machine goes down. */
import { existsSync } from 'node:fs';
import type { KubeletSettings } from '#agent/kubelet/config/settings.ts';
import type { ShutdownSource } from '#agent/kubelet/shutdown/node-shutdown.ts';
import { shutdownSeconds } from '#agent/kubelet/shutdown/plan-shutdown.ts';
import type { Clock } from '#base/clock.ts';
import type { Logger } from '#base/log.ts';

/** A signal, and systemd-logind where there is one. None where pods have no time to end. What they take is loaded only then. */
export async function shutdownSourcesOf(
  { shutdown }: Pick<KubeletSettings, 'shutdown'>,
  { logger, clock }: { readonly logger: Logger; readonly clock: Clock },
): Promise<readonly ShutdownSource[]> {
  if (shutdown.length === 0) return [];
  const [{ createSignalSource }, { createLogindSource }, { systemBus }] = await Promise.all([
    import('#agent/kubelet/shutdown/signal-source.ts'),
    import('#agent/kubelet/shutdown/logind-source.ts'),
    import('#native/dbus/bus.ts'),
  ]);
  const seconds = shutdownSeconds(shutdown);
  return [
    createSignalSource(),
    ...(existsSync(systemBus) ? [createLogindSource({ seconds, logger, clock })] : []),
  ];
}
