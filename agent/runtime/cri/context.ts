import type { Clock } from '#base/clock.ts';
import type { Logger } from '#base/log.ts';
import type { Turns } from '#base/turns.ts';
import type { Handlers } from '#proto/unix-server.ts';
import type { Services } from '#proto/cri/api.ts';
import { refusal } from '#proto/status.ts';
import type { AppArmor } from '#agent/node/apparmor.ts';
import type { HostNames } from '#agent/node/host-names.ts';
import type { PodNetwork } from '#agent/network/pod-network.ts';
import type { Runtime } from '#agent/runtime/runtime.ts';
import type { CriEvents } from './events.ts';
import type { CriBook } from './records.ts';
import type { CriStreams } from './streams.ts';
import { findById, viewAll, type ContainerView, type SandboxView } from './views.ts';

export type RuntimeHandlers = Handlers<Services['runtime.v1.RuntimeService']>;
export type ImageHandlers = Handlers<Services['runtime.v1.ImageService']>;

/** What a CRI server is given. */
export interface CriOptions {
  /** The socket. */
  readonly path: string;
  /** A directory on a tmpfs: what clients said lies in `cri` below. */
  readonly runDirectory: string;
  /** Of images and containers, for what they use of the disk. */
  readonly dataDirectory: string;
  readonly runtime: Runtime;
  readonly network: Pick<PodNetwork, 'status'>;
  readonly hostNames: Pick<HostNames, 'hosts' | 'resolvConf'>;
  readonly clock: Clock;
  readonly log: Logger;
  /** Where streams of exec, attach and port-forward are reached. */
  readonly streamHost: string;
  /** Of sandboxes without a `cgroup_parent`, relative to the runtime's tree. */
  readonly cgroupDefault: string;
  readonly isSelinuxEnabled: boolean;
  /** Undefined: the kernel has none. */
  readonly appArmor: AppArmor | undefined;
  /** Of files of CDI, the later before the earlier. */
  readonly cdiDirectories: readonly string[];
  /** Why no sandbox can have a user namespace, in words; undefined: they can. */
  readonly userNamespaceProblem: string | undefined;
  /** What the runtime says of itself. */
  readonly version: string;
  /** Makes the pod network of these addresses; undefined where the network is configured by others. */
  readonly setPodCidrs?: ((cidrs: readonly string[]) => Promise<void>) | undefined;
}

/** What the handlers share. */
export interface CriContext extends CriOptions {
  readonly book: CriBook;
  readonly events: CriEvents;
  readonly streams: CriStreams;
  /** By the names that clients give: of those who make the same one is first. */
  readonly turns: Turns;
}

/** @throws NOT_FOUND, INVALID_ARGUMENT */
export function sandboxOf({ book, runtime }: CriContext, id: string): SandboxView {
  return findById('sandbox', id, viewAll(book, runtime));
}

/** @throws NOT_FOUND, INVALID_ARGUMENT */
export function containerOf({ book, runtime }: CriContext, id: string): ContainerView {
  return findById(
    'container',
    id,
    viewAll(book, runtime).flatMap(({ containers }) => containers),
  );
}

/** @throws FAILED_PRECONDITION */
export function mustRun(container: ContainerView): void {
  const { state, id } = container;
  if (state.state !== 'running')
    throw refusal('FAILED_PRECONDITION', `use container ${id}: it does not run (${state.state})`);
}

/** The node's own kubelet would make it again, or end it. @throws FAILED_PRECONDITION */
export function mustBeOwn(sandbox: SandboxView): void {
  if (!sandbox.isOwn)
    throw refusal(
      'FAILED_PRECONDITION',
      `change sandbox ${sandbox.id}: it is the pod of this node's kubelet`,
    );
}
