/** One step of a pod with all that it takes: nothing is left to choose, and nothing to look up but what is on the node's disk. */
import type { LifecycleHandler, Pod, ResourceRequirements } from '#api/generated/objects.ts';
import type { CgroupResources, ContainerConfig, SandboxConfig } from '#agent/runtime/runtime.ts';
import type { DownwardValues } from '#agent/volume/volume.ts';
import type { HandlerTarget } from '#agent/kubelet/probe/handler.ts';
import type { Intent, StartFailure } from '#agent/kubelet/sync/pod-input.ts';

export type Action =
  | {
      readonly kind: 'prepareVolumes';
      readonly volumes: VolumesToMount;
      /** What containers will need on disk. */
      readonly directories: readonly string[];
    }
  | { readonly kind: 'refreshVolumes'; readonly volumes: VolumesToMount }
  | { readonly kind: 'removeVolumes' }
  | { readonly kind: 'prepareClaims'; readonly pod: Pod }
  | { readonly kind: 'unprepareClaims' }
  /** With `replaces` the dead sandbox before it is cleared away first. */
  | {
      readonly kind: 'runSandbox';
      readonly config: SandboxConfig;
      readonly replaces: boolean;
      /** What the pod was given. */
      readonly resources: CgroupResources;
    }
  /** It cannot be described. */
  | { readonly kind: 'failSandbox'; readonly message: string }
  | { readonly kind: 'stopSandbox' }
  | {
      readonly kind: 'pullImage';
      readonly container: string;
      readonly image: string;
      readonly attempt: number;
      /** Names of imagePullSecrets. What is in them, the pull alone reads. */
      readonly secrets: readonly string[];
      /** As the intent has it. */
      readonly locked?: { readonly imageId: string; readonly isNever: boolean };
    }
  | StartAction
  | FailStartAction
  | { readonly kind: 'startHook'; readonly id: string; readonly hook: Hook | undefined }
  | {
      readonly kind: 'stopContainer';
      readonly container: string;
      readonly id: string;
      readonly graceSeconds: number;
      /** How long it may take until no Service leads to the pod any more. */
      readonly retractMsMax: number;
      readonly message: string;
      readonly isForResize: boolean;
      /** A stop is under way, with more grace than this. */
      readonly isCut: boolean;
      readonly preStop: Hook | undefined;
    }
  | IntentOf<'resize'>
  | {
      readonly kind: 'removeContainer';
      readonly id: string;
      /** The container's, of ours. */
      readonly files: readonly string[];
    }
  | { readonly kind: 'removePod'; readonly logs: string }
  /** The uid is the condition, for the name may belong to another pod by now. */
  | { readonly kind: 'deleteObject'; readonly namespace: string; readonly name: string };

export type IntentOf<K extends Intent['kind']> = Extract<Intent, { kind: K }>;
export type ActionOf<K extends Action['kind']> = Extract<Action, { kind: K }>;

export interface VolumesToMount {
  readonly pod: Pod;
  readonly downward: DownwardValues;
  /** volumeChanges before anything is read: a change from here on is another one. */
  readonly atChange: number;
}

/** A lifecycle handler and what it is run against. */
export interface Hook {
  readonly handler: LifecycleHandler;
  readonly target: HandlerTarget;
  /** It is there while the hook is due. */
  readonly dueFile: string;
}

/** What stands for a container in events. */
interface ContainerStart {
  readonly container: string;
  /** As the pod names it. */
  readonly image: string;
  /** Events told of a pull for this run. */
  readonly isPullTold: boolean;
}

export interface StartAction extends ContainerStart {
  readonly kind: 'startContainer';
  /** All that the runtime is given. Of its first mounts, one for each of `sources`, `isFile` is what is found there. */
  readonly config: ContainerConfig;
  readonly sources: readonly MountSource[];
  /** hosts, resolv.conf and hostname: once for a sandbox, written in place, so that containers that have them see it. */
  readonly podFiles: PodFiles;
  /** Where the container may leave a termination message. */
  readonly messageFile: string;
  readonly hook: Hook | undefined;
  readonly resources: ResourceRequirements;
}

/** The container cannot be described. */
export interface FailStartAction extends ContainerStart {
  readonly kind: 'failStart';
  readonly reason: StartFailure['reason'];
  readonly message: string;
}

/** A volume, a path inside one that is bound to a place of the agent's own, or an image. */
export type MountSource =
  /** `isDirectory`: it is not looked at. */
  | { readonly kind: 'volume'; readonly path: string; readonly isDirectory?: true }
  /** Of the runtime, which sees what is there. */
  | { readonly kind: 'image' }
  | { readonly kind: 'subPath'; readonly root: string; readonly subPath: string; readonly target: string };

export interface PodFiles {
  readonly sandboxId: string;
  readonly files: readonly TextFile[];
}

export interface TextFile {
  readonly path: string;
  readonly content: string;
}
