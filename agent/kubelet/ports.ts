import type { Clock } from '#base/clock.ts';
import type { Logger } from '#base/log.ts';
import type { Pod, Service } from '#api/generated/objects.ts';
import type { ApiClient } from '#client/client.ts';
import type { EndpointRetraction } from '#agent/proxy/retraction/retraction.ts';
import type { Runtime } from '#agent/runtime/runtime.ts';
import type { PodVolumes } from '#agent/volume/pod-volumes.ts';
import type { PodClaims } from '#agent/device/claims/pod-claims.ts';
import type { Mounter } from '#agent/volume/volume.ts';
import type { AppArmor } from '#agent/node/apparmor.ts';
import type { PodDevices } from '#agent/device/node-devices.ts';
import type { DnsSettings } from './render/host-files.ts';
import type { Refusal } from './admit/refusal.ts';
import type { NodeAssignments } from './assign/node-assignments.ts';
import type { ImagePuller } from './apply/image-puller.ts';
import type { OutcomeObserver } from './sync/pod-memory.ts';
import type { ImageCredentials } from './images/credentials/providers.ts';
import type { PulledImages } from './images/pulled/pulled-images.ts';
import type { PodEvents } from './sync/pod-events.ts';
import type { NodeFacts } from './node-facts.ts';
import type { Reach } from './probe/handler.ts';
import type { PodDisk } from './pod-disk.ts';
import type { KubeletDirectories } from './pod-paths.ts';
import type { ReferencedObjects } from './referenced-objects.ts';

/** How what containers were given is. */
export interface PodHealths {
  /** By name of the container. */
  healthOf(pod: Pod): ReturnType<PodDevices['healthOf']>;
  /** Told of pods of which something is otherwise. */
  onChange(listener: (podUids: readonly string[]) => void): Disposable;
}

/** What containers of this node have for themselves. */
export interface PodAssignments extends Pick<NodeAssignments, 'aligns' | 'written'> {
  /** Gives the pod what it asks for alone, and the others make room at once; safe to repeat. */
  admit(pod: Pod): Refusal | undefined;
}

/** Everything that the worker of a pod acts on. */
export interface KubeletPorts {
  readonly client: ApiClient;
  readonly runtime: Runtime;
  readonly volumes: PodVolumes;
  /** Undefined: no drivers of devices serve this node. */
  readonly claims?: PodClaims | undefined;
  /** Undefined: nobody says how devices of claims are. */
  readonly claimHealths?: PodHealths | undefined;
  readonly mounter: Mounter;
  /** Undefined: the kernel has no AppArmor. */
  readonly appArmor?: AppArmor | undefined;
  readonly objects: ReferencedObjects;
  readonly services: () => readonly Service[];
  /** Undefined: nobody has devices for pods. */
  readonly devices?: PodDevices | undefined;
  /** Undefined: pods are stopped without asking who is sent to them. */
  readonly retraction: EndpointRetraction | undefined;
  readonly puller: ImagePuller;
  /** Whose the images of the node are; undefined: anybody's. */
  readonly pulled?: PulledImages | undefined;
  /** Of programs that the node's owner named; undefined: there are none. */
  readonly imageCredentials?: Pick<ImageCredentials, 'accountOf'> | undefined;
  readonly events: PodEvents;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly directories: KubeletDirectories;
  readonly disk: PodDisk;
  /** Who answers hooks by network; undefined: whoever has the pod's address. */
  readonly reach?: Reach;
  readonly dns: DnsSettings;
  readonly node: NodeFacts;
  /** Undefined: all CPUs and memory are everybody's. */
  readonly assignments?: PodAssignments | undefined;
  /** A pod came or went. */
  readonly podsChanged?: (() => void) | undefined;
  /** The node's other pods that take room, with what they were given. */
  readonly neighbours: (uid: string) => readonly Pod[];
  /** Looks at the pod again, at once or later. */
  readonly enqueue: (uid: string, afterMs?: number) => void;
  readonly onOutcome?: OutcomeObserver | undefined;
  /** Told of each pod as it comes to be known. */
  readonly onSeen?: ((pod: Pod) => void) | undefined;
}
