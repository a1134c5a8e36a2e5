/**
 * The port to a cloud: what `podwright cloud-controller` asks of a module that users write. A module of `--cloud-provider` exports
 * `createCloud`, a `CreateCloud`. Parts that the cloud has not are left out: then no loop runs that would ask them. What a function
 * throws is an error of the cloud: it is logged, told in an event where Kubernetes tells it, and asked again with back-off.
 */
import type { LoadBalancerStatus, Node, NodeAddress, Service } from '#api/generated/objects.ts';

/** What a cloud is made of. */
export interface CloudSetup {
  /** `--cluster-name`: tells what of one cluster is from what of another in the same cloud. */
  readonly clusterName: string;
  /** The text of `--cloud-config`; undefined: none was named. */
  readonly config: string | undefined;
  /** A line of the program's log. */
  readonly log: (message: string, fields?: Readonly<Record<string, unknown>>) => void;
  /** Aborts when the program ends. */
  readonly signal: AbortSignal;
}

export type CreateCloud = (setup: CloudSetup) => Cloud | Promise<Cloud>;

export interface Cloud {
  /** As in `NAME://…` of providerID. */
  readonly name: string;
  readonly instances?: CloudInstances | undefined;
  readonly loadBalancers?: CloudLoadBalancers | undefined;
  readonly routes?: CloudRoutes | undefined;
}

/** The machines that nodes are (InstancesV2 of k8s.io/cloud-provider). */
export interface CloudInstances {
  /**
   * The instance of a node, by spec.providerID where there is one, else by name, labels or addresses; also one that is stopped. Undefined: there is
   * none, and the Node is deleted once it is not ready. What cannot be found out is thrown, never undefined.
   */
  find(node: Node, signal: AbortSignal): Promise<CloudInstance | undefined>;
}

export interface CloudInstance {
  /** `NAME://…`; a Node that has one keeps it. */
  readonly providerId: string;
  /** node.kubernetes.io/instance-type */
  readonly type?: string | undefined;
  /** topology.kubernetes.io/zone */
  readonly zone?: string | undefined;
  /** topology.kubernetes.io/region */
  readonly region?: string | undefined;
  /** Of a Hostname there need be none: the node's own stays. */
  readonly addresses: readonly NodeAddress[];
  /** Of the cloud's own; those of kubernetes.io and k8s.io are left out. */
  readonly labels?: Readonly<Record<string, string>> | undefined;
  /** Stopped, and there: its Node gets the taint node.cloudprovider.kubernetes.io/shutdown. */
  readonly isShutDown?: boolean | undefined;
}

/** Load balancers of Services (LoadBalancer of k8s.io/cloud-provider). What is there is found by the Service, such as by its uid. */
export interface CloudLoadBalancers {
  /** What the balancer's addresses are; undefined: there is none. */
  find(service: Service, signal: AbortSignal): Promise<LoadBalancerStatus | undefined>;
  /** Makes the balancer, or changes it into what the Service says; safe to repeat. */
  ensure(service: Service, nodes: readonly Node[], signal: AbortSignal): Promise<EnsuredBalancer>;
  /** Only the nodes are others. */
  update(service: Service, nodes: readonly Node[], signal: AbortSignal): Promise<void>;
  /** Removes all that there is of it, also what was half made; safe to repeat. */
  delete(service: Service, signal: AbortSignal): Promise<void>;
}

export type EnsuredBalancer =
  | { readonly kind: 'ready'; readonly status: LoadBalancerStatus }
  /** It is being made: ask again after so long, instead of with back-off (api.RetryError). */
  | { readonly kind: 'wait'; readonly reason: string; readonly afterMs: number }
  /** Another controller sees to it (ImplementedElsewhere). */
  | { readonly kind: 'elsewhere' };

/** Routes to the pods of nodes, where the cloud's network needs them (Routes of k8s.io/cloud-provider). */
export interface CloudRoutes {
  /** All of this cluster. */
  list(signal: AbortSignal): Promise<readonly CloudRoute[]>;
  /** @param nameHint unique among nodes */
  create(route: CloudRoute, nameHint: string, signal: AbortSignal): Promise<void>;
  /** @param route as `list` had it */
  delete(route: CloudRoute, signal: AbortSignal): Promise<void>;
}

export interface CloudRoute {
  /** The cloud's own; of one to be made there is none. */
  readonly name?: string | undefined;
  /** The Node's name; undefined: of no node that is known. */
  readonly node?: string | undefined;
  readonly destination: string;
  /** Where it leads, where the cloud says so: one that leads elsewhere than to the node's addresses is made anew. */
  readonly nodeAddresses?: readonly NodeAddress[] | undefined;
  /** It leads nowhere, and is removed. */
  readonly isBlackhole?: boolean | undefined;
}
