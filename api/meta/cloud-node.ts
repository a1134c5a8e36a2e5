/** What kubelets and the controllers of a cloud agree on about nodes (k8s.io/cloud-provider/api). */

/** A kubelet with `--cloud-provider=external` registers with it (KEP-2395); it goes once the cloud was asked. */
export const uninitializedTaint = {
  key: 'node.cloudprovider.kubernetes.io/uninitialized',
  value: 'true',
  effect: 'NoSchedule',
} as const;

/** The machine is stopped, and there. */
export const shutdownTaint = {
  key: 'node.cloudprovider.kubernetes.io/shutdown',
  effect: 'NoSchedule',
} as const;

/** What the kubelet was told by `--node-ip`: one address, or one of each family with a comma between. */
export const providedNodeIpAnnotation = 'alpha.kubernetes.io/provided-node-ip';
