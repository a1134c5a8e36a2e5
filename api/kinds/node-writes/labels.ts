/** What a kubelet may say of its own Node (k8s.io/kubelet/pkg/apis, well_known_labels). */
const kubeletLabels: ReadonlySet<string> = new Set([
  'kubernetes.io/hostname',
  'topology.kubernetes.io/zone',
  'topology.kubernetes.io/region',
  'failure-domain.beta.kubernetes.io/zone',
  'failure-domain.beta.kubernetes.io/region',
  'node.kubernetes.io/instance-type',
  'beta.kubernetes.io/instance-type',
  'kubernetes.io/os',
  'kubernetes.io/arch',
  'beta.kubernetes.io/os',
  'beta.kubernetes.io/arch',
  'node.kubernetes.io/windows-build',
  'beta.kubernetes.io/fluentd-ds-ready',
]);
const kubeletDomains = ['kubelet.kubernetes.io', 'node.kubernetes.io'];
const restricted = 'node-restriction.kubernetes.io';

/** Labels that steer pods to a node are not the node's to choose: those of Kubernetes, but for what a kubelet knows. In order. */
export function forbiddenLabels(names: readonly string[]): readonly string[] {
  return names.filter(isForbidden).toSorted();
}

function isForbidden(label: string): boolean {
  const domain = label.includes('/') ? label.slice(0, label.indexOf('/')) : '';
  if (isIn(domain, restricted)) return true;
  const isOfKubernetes = isIn(domain, 'kubernetes.io') || isIn(domain, 'k8s.io');
  return isOfKubernetes && !kubeletLabels.has(label) && !kubeletDomains.some((own) => isIn(domain, own));
}

function isIn(domain: string, of: string): boolean {
  return domain === of || domain.endsWith(`.${of}`);
}
