import type { Node } from '#api/generated/objects.ts';

/** The version that servers and nodes report: that of Kubernetes whose API this is (the facts' version), and ours (package.json). */
export const gitVersion = 'v1.36.2+podwright-0.1.0';

/** Whether an agent of ours runs there, whatever its containers are run by. */
export function isOwnNode({ status }: Node): boolean {
  const { kubeletVersion = '', containerRuntimeVersion = '' } = status?.nodeInfo ?? {};
  return containerRuntimeVersion.startsWith('podwright://') || kubeletVersion.includes('+podwright');
}
