/** Signers of Kubernetes itself (certificates.k8s.io/v1, well-known signer names). */
export const signers = {
  client: 'kubernetes.io/kube-apiserver-client',
  kubeletClient: 'kubernetes.io/kube-apiserver-client-kubelet',
  kubeletServing: 'kubernetes.io/kubelet-serving',
  legacyUnknown: 'kubernetes.io/legacy-unknown',
} as const;

/** Whether a signer signs for nodes: what is to be in a request for it is about a node. */
export function isSignerOfNodes(name: string): boolean {
  return name === signers.kubeletClient || name === signers.kubeletServing;
}
