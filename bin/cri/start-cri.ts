/** Serves a runtime as CRI: of an agent, or alone. */
import { existsSync } from 'node:fs';
import { release } from 'node:os';
import type { Clock } from '#base/clock.ts';
import type { Logger } from '#base/log.ts';
import type { PodNetwork } from '#agent/network/pod-network.ts';
import type { HostNames } from '#agent/node/host-names.ts';
import { cdiDirectories } from '#agent/device/cdi/cdi-files.ts';
import { createAppArmor, isAppArmorEnabled } from '#agent/node/apparmor.ts';
import { readUserNamespaceFacts, userNamespaceProblem } from '#agent/node/user-namespaces.ts';
import { startCriServer } from '#agent/runtime/cri/cri-server.ts';
import { defaultIdSpace } from '#agent/runtime/id-ranges.ts';
import type { Runtime } from '#agent/runtime/runtime.ts';
import type { AgentPaths } from '#bin/paths.ts';
import { version } from '#bin/version.ts';

export interface CriPlace {
  readonly path: string;
  readonly paths: Pick<AgentPaths, 'run' | 'data'>;
  readonly runtime: Runtime;
  readonly network: PodNetwork;
  readonly hostNames: HostNames;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly cgroupDefault: string;
  readonly setPodCidrs?: (cidrs: readonly string[]) => Promise<void>;
}

/** Streams are reached from this host alone, as kubelets and crictl reach them. */
const streamHost = '127.0.0.1';

/** Loads gRPC. @throws as startCriServer */
export function startCri(place: CriPlace): Promise<AsyncDisposable> {
  const { paths, logger: log, ...ports } = place;
  return startCriServer({
    ...ports,
    log,
    runDirectory: paths.run,
    dataDirectory: paths.data,
    streamHost,
    isSelinuxEnabled: existsSync('/sys/fs/selinux/enforce'),
    appArmor: isAppArmorEnabled() ? createAppArmor(log) : undefined,
    cdiDirectories,
    userNamespaceProblem: userNamespaceProblem(readUserNamespaceFacts(release()), defaultIdSpace),
    version: version(),
  });
}
