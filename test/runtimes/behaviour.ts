/** One behaviour of pods, asked of every runtime that an agent of ours can have; see `behaviours.test.ts`. */
import type { Container, Pod, PodSpec } from '#api/generated/objects.ts';
import type { CommandResult } from '#test/cluster/cluster.ts';

/** Who makes the containers: the agent itself, an OCI runtime of a RuntimeClass, another runtime by CRI. */
export type RuntimeName = 'podwright' | 'crun' | 'runc' | 'containerd';

/** A pod of one behaviour on one runtime, and what can be asked of it. */
export interface SeenPod {
  readonly name: string;
  get(): Promise<Pod>;
  /** Of its container `c`, unless another is said. */
  logs(more?: string): Promise<string>;
  kubectl(args: string, input?: string): Promise<CommandResult>;
  /** In the namespaces of the server's host, where `$KUBECTL` and `$POD` are. */
  outside(script: string): Promise<string>;
  /** In those of the node's. */
  onNode(script: string): Promise<string>;
  /** What its events say, a line each. */
  events(): Promise<string>;
}

export interface Behaviour {
  /** A DNS label. */
  readonly name: string;
  readonly spec: PodSpec;
  /** When it is looked at: when it has ended (without: so), when its containers are ready, or as soon as `see` finds something. */
  readonly when?: 'ready' | 'any';
  /** Undefined: not yet. Without: the log of `c`. */
  readonly see?: (pod: SeenPod) => Promise<unknown>;
  /** As `toEqual` takes it; a text is looked for by an expression. */
  readonly want: unknown;
  /** By whom it is not to be had, and what the pod or its events say of that. */
  readonly refused?: Partial<Record<RuntimeName, RegExp>>;
}

export const image = 'podwright/demo:1';

/** A container that runs a script. */
export const shell = (script: string, more: Partial<Container> = {}): Container => ({
  name: 'c',
  image,
  command: ['sh', '-c', script],
  ...more,
});

/** A pod that runs a script once. What it says on two streams, runtimes log in any order. */
export const once = (
  script: string,
  more: Partial<Container> = {},
  pod: Partial<PodSpec> = {},
): Pick<Behaviour, 'spec'> => ({
  spec: { restartPolicy: 'Never', containers: [shell(script, more)], ...pod },
});

/** A pod that stays until it is told to end. */
export const staying = (
  script: string,
  more: Partial<Container> = {},
  pod: Partial<PodSpec> = {},
): Pick<Behaviour, 'spec' | 'when'> => ({
  when: 'ready',
  spec: { containers: [shell(`${script}; exec sleep 100000`, more)], ...pod },
});
